"""Queues that were deleted with work in them, and were made anew: what waited there is sent again, once."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import structs
from orchestra import Orchestra, brought, subtask
from prometheus_client import REGISTRY

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.contracts.errors import BusUnavailable, QueueFull
from concertino.contracts.messages import Announcement, Begun, OutcomeStatus, Returned, Submitted
from concertino.orchestrator.queues import Queues
from concertino.orchestrator.resending import WITHIN, Resending
from concertino.orchestrator.watch import Watch
from kit.waiting import until


@pytest.fixture
async def waiting(orchestra: Orchestra) -> Orchestra:
    """A task whose four subtasks wait in a queue that nobody serves, and another that waits for its plan."""
    bus = await orchestra.connect()
    await announce(bus, orchestra.subjects, Announcement(kind="web", description="Is away.", replica="r9"))
    await bus.provision(topology.queues(orchestra.subjects, ["web"]))
    await orchestra.conduct()
    await orchestra.submit("t1", brought(*(subtask(f"s{i}") for i in range(3)), subtask("later", "s0"), deadline=600))
    await orchestra.submit("t2", Submitted(request="What is it?"))

    async def sent() -> bool:
        return await waits(orchestra) == 4

    await until(sent, "all that can be done is in the queues")
    return orchestra


async def waits(orchestra: Orchestra) -> int:
    return sum((await orchestra.buses[0].queued(orchestra.subjects.work_stream, ">")).messages.values())


async def delete(orchestra: Orchestra) -> float:
    """The Unix time at which the queues were made anew."""
    await orchestra.advance(1.0)
    name = orchestra.subjects.work_stream
    del orchestra.server._streams[name]
    for key in [key for key in orchestra.server._consumers if key[0] == name]:
        del orchestra.server._consumers[key]
    bus = await orchestra.connect()
    await bus.provision(topology.queues(orchestra.subjects, ["web"]))
    assert await waits(orchestra) == 0
    return (await bus.queued(name, ">")).made


def resending(orchestra: Orchestra) -> Resending:
    return Resending(orchestra.buses[0], orchestra.subjects, orchestra.server.now)


async def test_what_waited_is_sent_again_and_done_once_however_many_send_it(waiting: Orchestra) -> None:
    made = await delete(waiting)
    for _ in range(2):
        await resending(waiting).after(made)
    assert await waits(waiting) == 4
    await waiting.play(kinds=("web", "code"))
    for task in ("t1", "t2"):
        assert (await waiting.outcome(task, within=30)).status == OutcomeStatus.ANSWERED
    assert max(Counter(waiting.delivered).values()) == 1


async def test_what_somebody_is_at_work_on_is_left_to_who_has_it(waiting: Orchestra) -> None:
    for name in ("s0", "s1"):
        await waiting.write("t1", f"begun.result.web.{name}.1", Begun(worker="w1"))
    await waiting.write("t1", "returned.result.web.s1.1", Returned(worker="w1"))
    made = await delete(waiting)
    await resending(waiting).after(made)
    assert await waits(waiting) == 3, "what was handed back waited in the queue"


async def test_where_queues_are_older_than_tasks_nothing_is_sent(waiting: Orchestra) -> None:
    queued = await waiting.buses[0].queued(waiting.subjects.work_stream, ">")
    waiting.server.stream(waiting.subjects.work_stream).purge(waiting.subjects.work("interactive", "web"))
    await resending(waiting).after(queued.made)
    assert await waits(waiting) == 1


async def test_nothing_is_sent_when_the_server_may_not_know_any_more_that_it_was(waiting: Orchestra) -> None:
    made = await delete(waiting)
    await waiting.advance(WITHIN + 1)
    await resending(waiting).after(made)
    assert await waits(waiting) == 0


async def test_the_watch_tells_of_queues_that_were_made_anew_until_it_is_heard(waiting: Orchestra) -> None:
    told: list[float] = []
    fails = True

    async def heard(made: float) -> None:
        told.append(made)
        if fails:
            raise BusUnavailable("no answer in time")

    watch = Queues(waiting.buses[0], waiting.subjects, on_made=heard)
    with pytest.raises(BusUnavailable):
        await watch.look()
    told_of = REGISTRY.get_sample_value("concertino_pending", {"kind": "web", "lane": "interactive"})
    assert told_of is not None, "how deep they are was seen all the same"
    fails = False
    for _ in range(2):
        await watch.look()
    made = await delete(waiting)
    for _ in range(2):
        await watch.look()
    assert (len(told), told[0], told[2]) == (3, told[1], made)


async def test_a_queue_that_is_full_again_keeps_nothing_out_of_the_others(waiting: Orchestra) -> None:
    await waiting.submit("t3", Submitted(request="And this?", lane="batch"))

    async def sent() -> bool:
        return await waits(waiting) == 5

    await until(sent, "the last is in its queue, too")
    made = await delete(waiting)
    queues, web = waiting.server.stream(waiting.subjects.work_stream), waiting.subjects.work("interactive", "web")
    queues.config = structs.replace(queues.config, max_each=1)
    await waiting.buses[0].enqueue(web, b"", "of somebody else")
    with pytest.raises(QueueFull):
        await resending(waiting).after(made)
    assert await waits(waiting) == 3, "what there is to plan has room"


async def test_a_look_at_the_queues_that_fails_is_not_the_last(waiting: Orchestra) -> None:
    told: list[float] = []

    async def on_made(made: float) -> None:
        told.append(made)
        if len(told) == 1:
            raise ValueError("a bug, or a log that nobody foresaw")

    watch = Watch("the queues", Queues(waiting.buses[0], waiting.subjects, on_made=on_made).look, pause=0.01)
    watch.start()
    await until(lambda: len(told) == 2, "it looks again", seconds=30)
    await watch.stop()
