"""What full queues cannot take is refused before anything of it is stored; with time given, it waits for room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.memory import MemoryBus
from concertino.bus.port import Bus, Delivery, Queued
from concertino.bus.topology import Consumer
from concertino.client import Client, Limits, Plan, Source, Subtask, room
from concertino.client.room import BEHIND, needs
from concertino.contracts.errors import BusUnavailable, InvalidMessage, InvalidPlan, QueueFull, Refused
from concertino.contracts.messages import Announcement, Done, Lane, Result, Submitted
from concertino.contracts.subjects import ROOM, Subjects
from kit.waiting import until

SUBJECTS = Subjects()
WEB = Plan(subtasks=tuple(Subtask(id=f"s{i}", kind="web", objective="look") for i in range(3)))


class Looked(MemoryBus):
    """Counts how often it is asked, and may refuse to say."""

    asked = 0
    refuses: Exception | None = None
    asked_behind = 0
    refuses_behind: Exception | None = None
    asked_waiting = 0
    refuses_waiting: Exception | None = None

    async def count(self, stream: str, subjects: str) -> int:
        self.asked_waiting += 1
        if self.refuses_waiting:
            raise self.refuses_waiting
        return await super().count(stream, subjects)

    async def depth(self, consumer: Consumer) -> tuple[int, int]:
        assert consumer == topology.coordinator(SUBJECTS)
        self.asked_behind += 1
        if self.refuses_behind:
            raise self.refuses_behind
        return await super().depth(consumer)

    async def queued(self, stream: str, subjects: str) -> Queued:
        self.asked += 1
        await asyncio.sleep(0)  # it takes its time, and others come meanwhile
        if self.refuses:
            raise self.refuses
        return await super().queued(stream, subjects)


@pytest.fixture
async def bus(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Looked]:
    monkeypatch.setattr(room, "AFTER", 0.01)
    bus = Looked(SUBJECTS)
    await bus.provision(topology.installation(SUBJECTS, max_queued=4))
    await announce(bus, SUBJECTS, Announcement(kind="web", description="Looks.", replica="r1"))
    yield bus
    await bus.close()


async def fill(bus: Bus, kind: str, count: int, lane: Lane = "interactive", first: int = 0) -> None:
    for number in range(first, first + count):
        await bus.enqueue(SUBJECTS.work(lane, kind), b"{}", f"x.{kind}{number}.1")


async def stored(bus: Bus) -> list[Any]:
    return [await bus.read(stream, ">") for stream in (SUBJECTS.tasks_stream, SUBJECTS.blobs_stream)]


@pytest.mark.parametrize("kind", ["plan", "docs", "synthesize"])
async def test_a_task_is_refused_where_a_queue_that_it_needs_is_full_and_nothing_is_stored(bus: Looked, kind: str) -> None:
    await fill(bus, kind, 4)
    sources = [Source(kind="docs", location="/manual")]
    with pytest.raises(
        QueueFull, match=rf"queue of '{kind}', lane 'interactive', is full \(4 of 4\).*try again later"
    ) as caught:
        await Client(bus=bus).submit("What?" + "ü" * 90_000, sources=sources)
    assert caught.value.retryable
    assert caught.value.after
    assert await stored(bus) == [[], []]


async def test_queues_that_it_does_not_need_may_be_full(bus: Looked) -> None:
    await fill(bus, "web", 4)
    await fill(bus, "plan", 4, "batch")
    await Client(bus=bus).submit("What?")


async def test_the_subtasks_of_a_plan_are_counted_those_that_are_done_are_not(bus: Looked) -> None:
    await fill(bus, "web", 2)
    with pytest.raises(QueueFull):
        await Client(bus=bus).submit("What?", plan=WEB)
    done = tuple(Done(work=subtask.work_id, result=Result()) for subtask in WEB.subtasks[:1])
    assert needs(Submitted(request="What?", plan=WEB, done=done)) == {"web": 2, "synthesize": 1}
    assert needs(Submitted(request="What?", until="plan", sources=(Source(kind="docs", location="x"),))) == {"plan": 1}


async def test_a_plan_that_no_queue_will_ever_hold_is_no_plan(bus: Looked) -> None:
    plan = Plan(subtasks=tuple(Subtask(id=f"s{i}", kind="web", objective="look") for i in range(5)))
    with pytest.raises(InvalidPlan, match=r"5 subtasks for 'web', and its queue holds 4 at the most.*CTN_MAX_QUEUED"):
        await Client(bus=bus).submit("What?", plan=plan)
    assert await stored(bus) == [[], []]


async def test_who_submits_much_asks_seldom_and_counts_what_he_submits(bus: Looked) -> None:
    client = Client(bus=bus)
    for _ in range(4):
        await client.submit("What?")
    with pytest.raises(QueueFull):
        await client.submit("What?")
    assert (bus.asked, bus.asked_behind) == (1, 1)


class Held(Looked):
    """Answers once it is let."""

    def __init__(self) -> None:
        super().__init__(SUBJECTS)
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def queued(self, stream: str, subjects: str) -> Queued:
        found = await super().queued(stream, subjects)
        await self.go_on.wait()
        return found


async def held(max_queued: int) -> Held:
    bus = Held()
    await bus.provision(topology.installation(SUBJECTS, max_queued=max_queued))
    await announce(bus, SUBJECTS, Announcement(kind="web", description="Looks.", replica="r1"))
    return bus


async def test_who_submits_now_and_then_waits_for_no_look_where_there_was_plenty_of_room() -> None:
    now, bus = 0.0, await held(8)
    mine = room.Room(bus, SUBJECTS, lambda: now)
    task = Submitted(request="What?")
    await mine.take(task)

    bus.go_on.clear()
    for looks in (2, 2):  # the second while the look that the first began is under way
        now += room.FRESH + 0.1
        await asyncio.wait_for(mine.take(task), 5)
        await asyncio.sleep(0.01)
        assert bus.asked == looks
    await fill(bus, "plan", 8)
    bus.go_on.set()
    await until(lambda: not mine._looking.locked(), "it was looked")
    now += room.FRESH + 0.1
    await asyncio.wait_for(mine.take(task), 5)  # by what was there when it was looked
    await until(lambda: bus.asked == 3 and not mine._looking.locked(), "it was looked again")
    with pytest.raises(QueueFull):
        await mine.take(task)
    await bus.close()


@pytest.mark.parametrize(("room_for", "later"), [(3, room.FRESH), (8, room.FRESH + room.PLENTY)])
async def test_who_might_find_no_room_or_has_not_looked_for_long_waits_for_the_look(room_for: int, later: float) -> None:
    now, bus = 0.0, await held(room_for)
    mine = room.Room(bus, SUBJECTS, lambda: now)
    await mine.take(Submitted(request="What?"))

    bus.go_on.clear()
    now += later
    taking = asyncio.create_task(mine.take(Submitted(request="What?")))
    await until(lambda: bus.asked == 2, "it looks")
    await asyncio.sleep(0.01)
    assert not taking.done()
    bus.go_on.set()
    await taking
    await bus.close()


async def test_of_many_that_are_submitted_at_once_one_looks_and_all_are_counted(bus: Looked) -> None:
    client = Client(bus=bus)
    came = await asyncio.gather(*(client.submit("What?") for _ in range(50)), return_exceptions=True)
    assert [type(one) for one in came if not isinstance(one, str)] == [QueueFull] * 46
    assert len((await stored(bus))[0]) == 4
    assert (bus.asked, bus.asked_behind) == (1, 1)


async def test_with_time_given_it_is_submitted_once_there_is_room(bus: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FRESH", 0.0)
    monkeypatch.setattr(room, "PLENTY", 0.0)
    await fill(bus, "plan", 4)
    waiting = asyncio.create_task(Client(bus=bus).submit("What?", wait=60))
    while bus.asked < 3:
        await asyncio.sleep(0.01)
    assert not waiting.done()
    bus.server.stream(SUBJECTS.work_stream).purge(SUBJECTS.work("interactive", "plan"))
    assert await waiting
    await fill(bus, "plan", 4, first=4)
    with pytest.raises(QueueFull):
        await Client(bus=bus).submit("What?", wait=0.1)


async def test_a_task_that_was_submitted_is_not_refused_when_it_is_submitted_again(bus: Looked) -> None:
    await Client(bus=bus).submit("What?", task="t1")
    await fill(bus, "plan", 4)
    assert await Client(bus=bus).submit("What?", task="t1") == "t1"
    with pytest.raises(QueueFull):
        await Client(bus=bus).submit("What?", task="t2")


@pytest.mark.parametrize("why", [Refused("no permission"), BusUnavailable("nobody answers")])
async def test_who_may_not_look_submits_all_the_same(bus: Looked, why: Exception) -> None:
    bus.refuses = why
    client = Client(bus=bus)
    for _ in range(3):
        await client.submit("What?")
    assert bus.asked == 1


async def test_who_was_not_answered_asks_again_soon_as_a_bus_that_is_slow_is_asked_too_much(bus: Looked) -> None:
    now = 0.0
    client = room.Room(bus, SUBJECTS, lambda: now)
    bus.refuses = bus.refuses_behind = BusUnavailable("no answer in time")
    await client.take(Submitted(request="What?"))
    bus.refuses = bus.refuses_behind = None
    await fill(bus, "plan", 4)
    await undecided(bus, BEHIND)
    now += room.UNANSWERED
    with pytest.raises(QueueFull, match="queue of 'plan'"):
        await client.take(Submitted(request="What?"))
    with pytest.raises(QueueFull, match="orchestrators are behind"):
        await client.take(Submitted(request="What?", plan=WEB, lane="batch"))


async def test_a_task_that_would_outlive_its_log_is_refused_and_nothing_is_stored(bus: Looked) -> None:
    await bus.provision(topology.installation(SUBJECTS, keep=600, max_queued=4))
    with pytest.raises(InvalidMessage, match=r"deadline is 600 s, and may be 300 s.*CTN_KEEP"):
        await Client(bus=bus).submit("What?", plan=WEB)
    assert await stored(bus) == [[], []]
    await Client(bus=bus).submit("What?", plan=WEB, limits=Limits(deadline=300))


async def undecided(bus: Bus, count: int, name: str = "submitted", first: int = 0) -> None:
    """``count`` facts for which orchestrators have something to do, of as many tasks."""
    for number in range(first, first + count):
        await bus.write_once(SUBJECTS.fact(f"x{number}", name), b"{}")


async def test_where_no_orchestrator_decides_tasks_are_refused_and_nothing_is_stored(bus: Looked) -> None:
    await undecided(bus, BEHIND)
    with pytest.raises(QueueFull, match=r"orchestrators are behind \(1,000 facts.*and 1,000 may\).*try again later") as caught:
        await Client(bus=bus).submit("What?" + "ü" * 90_000, lane="batch")
    assert caught.value.retryable
    assert caught.value.after
    assert len(await bus.read(SUBJECTS.tasks_stream, ">")) == BEHIND
    assert await bus.read(SUBJECTS.blobs_stream, ">") == []


async def test_a_flood_of_batch_tasks_leaves_half_of_what_may_wait_to_interactive_ones(bus: Looked) -> None:
    await undecided(bus, BEHIND)
    await Client(bus=bus).submit("What?")
    await undecided(bus, BEHIND, first=BEHIND)
    with pytest.raises(QueueFull, match="orchestrators are behind"):
        await Client(bus=bus).submit("What?")


async def test_large_queues_let_as_much_wait_for_orchestrators(bus: Looked) -> None:
    await bus.provision(topology.installation(SUBJECTS, max_queued=BEHIND + 2))
    await undecided(bus, BEHIND + 1)
    client = Client(bus=bus)
    await client.submit("What?", lane="batch")
    with pytest.raises(QueueFull, match="orchestrators are behind"):
        await client.submit("What?", lane="batch")  # what was just submitted counts, though nobody looked again
    assert bus.asked_behind == 1


async def test_what_orchestrators_took_and_are_not_done_with_counts_what_they_settled_does_not(bus: Looked) -> None:
    await undecided(bus, BEHIND)
    taken: list[Delivery] = []

    async def take(delivery: Delivery) -> None:
        taken.append(delivery)

    consumption = bus.consume(topology.coordinator(SUBJECTS), take, slots=BEHIND)
    while len(taken) < BEHIND:
        await asyncio.sleep(0.01)
    with pytest.raises(QueueFull, match="orchestrators are behind"):
        await Client(bus=bus).submit("What?", lane="batch")
    for delivery in taken:
        await delivery.ack()
    await Client(bus=bus).submit("What?", lane="batch")
    await consumption.stop()


@pytest.mark.parametrize("why", [Refused("no permission"), BusUnavailable("nobody answers")])
async def test_who_may_see_queues_and_not_orchestrators_is_held_by_queues(
    bus: Looked, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    monkeypatch.setattr(room, "FRESH", 0.0)
    monkeypatch.setattr(room, "PLENTY", 0.0)
    bus.refuses_behind = why
    await undecided(bus, BEHIND)
    client = Client(bus=bus)
    for _ in range(3):
        await client.submit("What?", lane="batch")
    assert (bus.asked, bus.asked_behind) == (3, 1), "it is not asked again at each look"
    await fill(bus, "plan", 4, "batch")
    with pytest.raises(QueueFull, match="queue of 'plan'"):
        await client.submit("What?", lane="batch")


async def waiting(bus: Bus, count: int, name: str = ROOM) -> None:
    """``count`` tasks whose work waits for room, of which orchestrators have settled all facts."""
    for number in range(count):
        subject = SUBJECTS.timer(f"w{number}", name)
        await bus.schedule(subject, time.time() + 3600, SUBJECTS.due(f"w{number}", name))


async def test_tasks_whose_work_waits_for_room_count_as_they_are_stored_and_not_done(bus: Looked) -> None:
    await waiting(bus, BEHIND - 1)
    await waiting(bus, 100, "join")  # what every task has counts for nothing
    await undecided(bus, 1)
    with pytest.raises(QueueFull, match=r"orchestrators are behind \(1,000"):
        await Client(bus=bus).submit("What?", lane="batch")
    await bus.unschedule(SUBJECTS.timer("w0", ROOM))
    await Client(bus=bus).submit("What?", lane="batch")


@pytest.mark.parametrize("why", [Refused("no permission"), BusUnavailable("nobody answers")])
async def test_who_may_not_see_what_waits_is_held_by_what_orchestrators_have_before_them(
    bus: Looked, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    monkeypatch.setattr(room, "FRESH", 0.0)
    monkeypatch.setattr(room, "PLENTY", 0.0)
    bus.refuses_waiting = why
    await waiting(bus, BEHIND)
    client = Client(bus=bus)
    for _ in range(3):
        await client.submit("What?", lane="batch")
    assert (bus.asked_behind, bus.asked_waiting) == (3, 1), "it is not asked again at each look"
    await undecided(bus, BEHIND)
    with pytest.raises(QueueFull, match="orchestrators are behind"):
        await client.submit("What?", lane="batch")
