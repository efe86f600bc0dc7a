"""What Prometheus sees of tasks and queues, with two orchestrators as in production: everything once."""

from __future__ import annotations

import pytest
from orchestra import Orchestra, brought, good_work, subtask
from prometheus_client import REGISTRY

from concertino.bus import topology
from concertino.bus.tasklog import TaskLog
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Settled, Submitted, Work
from concertino.orchestrator.queues import Queues
from concertino.orchestrator.watch import Watch
from kit.counted import Counted
from kit.waiting import until


async def ended(orchestra: Orchestra, task: str) -> None:
    """It has its outcome, and whoever wrote that is done with it."""
    await orchestra.outcome(task)
    await orchestra.quiet()


async def test_each_task_counts_once_however_many_look_at_it(orchestra: Orchestra) -> None:
    counted = Counted()
    await orchestra.play()
    await orchestra.conduct()
    await orchestra.conduct()
    for i in range(20):
        await orchestra.submit(f"t{i}", Submitted(request="What is it?", lane="batch" if i % 2 else "interactive"))
    for i in range(20):
        await ended(orchestra, f"t{i}")
    for lane in ("batch", "interactive"):
        assert counted("concertino_tasks_total", outcome="answered", lane=lane) == 10
    assert counted("concertino_task_seconds_count", outcome="answered") == 20
    assert counted("concertino_rounds_total") == 20


async def test_a_task_takes_as_long_as_it_took(orchestra: Orchestra) -> None:
    counted = Counted()

    def silent(work: Work) -> Settled | None:
        return None if work.brief.kind == "code" else good_work(work)

    await orchestra.play(silent)
    await orchestra.conduct()
    await orchestra.submit("t1", brought(subtask("a"), subtask("b", kind="code"), deadline=100))
    await until(lambda: len(orchestra.delivered) == 2)
    await orchestra.advance(80)
    await ended(orchestra, "t1")
    assert counted("concertino_task_seconds_sum", outcome="partial") == 80
    assert counted("concertino_missing_results_total", kind="code") == 1
    assert counted("concertino_missing_results_total", kind="web") == 0


async def test_a_task_that_cannot_be_read_is_a_failed_one(orchestra: Orchestra) -> None:
    counted = Counted()
    await orchestra.conduct()
    await orchestra.write_raw("t1", "submitted", b"{")
    await ended(orchestra, "t1")
    assert counted("concertino_tasks_total", outcome="failed", lane="other") == 1


def depth(kind: str, name: str = "pending") -> float | None:
    return REGISTRY.get_sample_value(f"concertino_{name}", {"kind": kind, "lane": "interactive"})


async def test_queues_are_told_as_they_are_and_not_at_all_where_they_cannot_be_seen(orchestra: Orchestra) -> None:
    bus = orchestra.buses[0]
    await bus.provision(topology.queues(orchestra.subjects, ["web"]))
    await bus.provision(topology.Topology(consumers=(topology.coordinator(orchestra.subjects),)))
    queues = Queues(bus, orchestra.subjects)
    for i in range(3):
        work = Work(task="t1", id=f"result.web.s{i}", attempt=1, request="?", brief=subtask(f"s{i}"), deadline=2e9)
        await TaskLog(bus, orchestra.subjects).enqueue("interactive", work)
    await orchestra.submit("t1", brought(subtask("s0")))
    for _ in range(2):  # of two that look, one must not add to what the other said
        await queues.look()
        assert depth("web") == 3
        assert depth("web", "ack_pending") == 0
        assert REGISTRY.get_sample_value("concertino_triggers", {"state": "waiting"}) == 1

    async def away(_: str) -> dict[str, tuple[int, int]]:
        raise BusUnavailable("no server")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bus, "depths", away)
        watch = Watch("the queues", queues.look)
        watch.start()
        await until(lambda: depth("web") is None, "what was true once is not told any more")
        await watch.stop()
    assert REGISTRY.get_sample_value("concertino_triggers", {"state": "waiting"}) is None
