"""A queue that is full: work waits for room, nothing of it is lost or sent twice, and other tasks go on."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import structs
from orchestra import Faulty, Orchestra, brought, subtask

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Announcement, Cancel, Dispatched, OutcomeStatus
from concertino.contracts.subjects import ROOM
from concertino.orchestrator.queues import Queues
from concertino.telemetry import metrics
from kit.counted import Counted
from kit.waiting import until


@pytest.fixture
async def full(orchestra: Orchestra) -> Orchestra:
    """Two pieces of work to a queue; ``code`` and all but ``web`` are served."""
    orchestra.max_queued = 2
    bus = await orchestra.connect()
    await announce(bus, orchestra.subjects, Announcement(kind="web", description="Is away.", replica="r9"))
    await bus.provision(topology.queues(orchestra.subjects, ["web"]))
    await orchestra.play(kinds=("code",))
    return orchestra


async def waves(orchestra: Orchestra, task: str) -> list[tuple[str, ...]]:
    state = await orchestra.state(task)
    sent: list[Dispatched] = [state.dispatched[number] for number in sorted(state.dispatched)]
    return [tuple(work.rpartition(".")[2] for work, _ in wave.work) for wave in sent]


async def test_work_waits_for_room_and_none_of_it_is_lost_or_sent_twice(full: Orchestra) -> None:
    counted = Counted()
    await full.conduct()
    await full.submit("t1", brought(*(subtask(f"s{i}") for i in range(5))))
    await until(lambda: counted("concertino_queue_full_total", kind="web", lane="interactive") >= 1)
    assert await waves(full, "t1") == [("s0", "s1")]

    await full.play(kinds=("web",))
    assert (await full.outcome("t1", within=60)).status == OutcomeStatus.ANSWERED
    assert [len(wave) <= 2 for wave in await waves(full, "t1")]
    sent = Counter(id_ for wave in await waves(full, "t1") for id_ in wave)
    assert {id_: n for id_, n in sent.items() if id_ != "0"} == {f"s{i}": 1 for i in range(5)}
    assert max(Counter(full.delivered).values()) == 1


async def test_other_tasks_go_on_meanwhile(full: Orchestra) -> None:
    counted = Counted()
    await full.conduct()
    for number in range(20):
        await full.submit(f"t{number}", brought(*(subtask(f"s{i}") for i in range(5))))
    await until(lambda: counted("concertino_queue_full_total", kind="web", lane="interactive") >= 20)
    await full.submit("other", brought(subtask("a", kind="code")))
    assert (await full.outcome("other")).status == OutcomeStatus.ANSWERED


async def test_what_of_a_wave_is_for_other_queues_is_sent(full: Orchestra) -> None:
    counted = Counted()
    await full.conduct()
    await full.submit("t1", brought(*(subtask(f"s{i}") for i in range(5)), subtask("a", kind="code")))
    await until(lambda: counted("concertino_queue_full_total", kind="web", lane="interactive") >= 1)
    assert await waves(full, "t1") == [("s0", "s1", "a")]


async def test_a_full_queue_is_asked_now_and_then_and_not_all_the_time(full: Orchestra) -> None:
    tries = Counter[str]()

    def count(call: str, subject: str) -> None:
        tries[call, subject.rpartition(".")[2]] += 1  # type: ignore[index]

    await full.conduct(lambda bus: Faulty(bus, count))
    await full.submit("t1", brought(*(subtask(f"s{i}") for i in range(5)), deadline=600))
    await until(lambda: tries["enqueue", "web"])  # type: ignore[index]
    await full.advance(0.1)
    assert tries["enqueue", "web"] == 5, "what went in is a wave, and there is a pause before the next"  # type: ignore[index]
    for _ in range(120):
        await full.advance(0.5)
    assert 5 < tries["enqueue", "web"] <= 5 + 3 * 30, "in a minute"  # type: ignore[index]


async def test_a_task_whose_work_waits_can_be_cancelled_and_ends_in_time(full: Orchestra) -> None:
    counted = Counted()
    await full.conduct()
    await full.submit("t1", brought(*(subtask(f"s{i}") for i in range(5))))
    await full.submit("t2", brought(*(subtask(f"s{i}") for i in range(5)), deadline=20))
    await until(lambda: counted("concertino_queue_full_total", kind="web", lane="interactive") >= 2)
    await full.write("t1", "cancel", Cancel(reason="enough"))
    assert (await full.outcome("t1")).status == OutcomeStatus.CANCELLED
    assert (await full.outcome("t2", within=30)).status == OutcomeStatus.FAILED


async def test_how_much_a_queue_holds_is_seen(full: Orchestra) -> None:
    metrics.QUEUE_LIMIT.set(0)  # as if nothing had looked in this process before
    counted = Counted()
    await Queues(full.buses[0], full.subjects).look()
    assert counted("concertino_queue_limit") == 2
    assert counted("concertino_queue_full_total", kind="web", lane="batch") == 0


async def test_tasks_that_wait_hold_nothing_so_that_nobody_is_deaf_behind_them(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many: of what is taken and not settled, the server hands out so much and no more."""
    coordinator = topology.coordinator
    monkeypatch.setattr(topology, "coordinator", lambda subjects: structs.replace(coordinator(subjects), max_ack_pending=10))
    orchestra.max_queued = 2
    bus = await orchestra.connect()
    await announce(bus, orchestra.subjects, Announcement(kind="web", description="Is away.", replica="r9"))
    await orchestra.play(kinds=("code",))
    await orchestra.conduct()
    for number in range(20):
        await orchestra.submit(f"t{number}", brought(*(subtask(f"s{i}") for i in range(3)), deadline=600))
    await orchestra.quiet()
    await orchestra.submit("other", brought(subtask("a", kind="code")))
    assert (await orchestra.outcome("other")).status == OutcomeStatus.ANSWERED
    await orchestra.write("t9", "cancel", Cancel(reason="enough"))
    assert (await orchestra.outcome("t9")).status == OutcomeStatus.CANCELLED
    waiting = orchestra.subjects.timer("*", ROOM)
    assert await bus.count(orchestra.subjects.timers_stream, waiting) == 19, "each that waits, and none that has ended"

    await orchestra.play(kinds=("web",))
    for number in set(range(20)) - {9}:
        assert (await orchestra.outcome(f"t{number}", within=500)).status == OutcomeStatus.ANSWERED
    assert max(Counter(orchestra.delivered).values()) == 1
    assert await bus.count(orchestra.subjects.timers_stream, waiting) == 0


async def test_where_no_timer_can_be_set_triggers_are_kept(full: Orchestra) -> None:
    refused = 0

    def fault(call: str, subject: str) -> None:
        nonlocal refused
        if call == "schedule" and subject.endswith(f".{ROOM}") and refused < 3:
            refused += 1
            raise BusUnavailable("no answer in time")

    await full.conduct(lambda bus: Faulty(bus, fault))
    await full.submit("t1", brought(*(subtask(f"s{i}") for i in range(5)), deadline=600))
    await until(lambda: refused == 1, "the first try")
    await full.play(kinds=("web",))
    assert (await full.outcome("t1", within=100)).status == OutcomeStatus.ANSWERED
