"""A server whose schedules have stopped, and one whose log no longer takes what is due: an orchestrator says it."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec import structs
from orchestra import brought, subtask

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.jetstream import JetStream
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Stored
from concertino.bus.tasklog import TaskLog
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import ROOM, Subjects
from concertino.orchestrator.coordinator import Coordinator
from concertino.orchestrator.overdue import LATE, Overdue
from concertino.orchestrator.watch import Watch
from concertino.runtime.nats_server import NatsServer
from kit.waiting import until

NOW = 1e9


async def test_what_is_overdue_is_said_once_and_what_is_not_is_let_be() -> None:
    subjects = Subjects()
    server = MemoryServer(clock=lambda: NOW)  # it stands still: nothing goes off
    bus = MemoryBus(subjects, server=server)
    await bus.provision(topology.installation(subjects))
    for task, at in (("late", NOW + 5), ("soon", NOW + 60)):
        await bus.schedule(subjects.timer(task, "join"), at, subjects.due(task, "join"))
    await bus.overwrite(subjects.timer("odd", "join"), b"", {})
    overdue = Overdue(bus, subjects, lambda: NOW + 5 + LATE + 0.1)
    await overdue.look()
    await overdue.look()
    log = TaskLog(bus, subjects)
    assert [str(fact.name) for fact in await log.read("late")] == ["timer.join", "overdue.join"]
    assert [str(fact.name) for fact in await log.read("soon")] == ["timer.join"]


async def test_what_has_gone_off_and_reached_the_log_is_not_said_again() -> None:
    subjects, server = Subjects(), MemoryServer(clock=lambda: NOW)
    bus = MemoryBus(subjects, server=server)
    await bus.provision(topology.installation(subjects))
    await bus.schedule(subjects.timer("well", "join"), NOW + 5, subjects.due("well", "join"))
    await server.advance(6)
    await Overdue(bus, subjects, lambda: NOW + 60).look()
    assert [str(fact.name) for fact in await TaskLog(bus, subjects).read("well")][-1] == "due.join"


async def test_the_timer_for_room_is_said_each_time_that_it_does_not_arrive() -> None:
    subjects, server = Subjects(), MemoryServer(clock=lambda: NOW)
    bus = MemoryBus(subjects, server=server)
    await bus.provision(topology.installation(subjects))
    timer, due = subjects.timer("full", ROOM), subjects.due("full", ROOM)
    overdue = Overdue(bus, subjects, lambda: NOW + 20)
    for at in (5, 6):  # none of them goes off
        await bus.schedule(timer, NOW + at, due)
        await overdue.look()
        await overdue.look()
    await server.advance(8)  # this one does, and arrives
    await overdue.look()
    await bus.schedule(timer, NOW + 10, due)
    await overdue.look()
    said = [str(fact.name).partition("-")[0] for fact in await TaskLog(bus, subjects).read("full")]
    assert said.count(f"overdue.{ROOM}") == 3


async def test_what_has_gone_off_again_and_not_arrived_again_is_said() -> None:
    subjects, server = Subjects(), MemoryServer(clock=lambda: NOW)
    bus = MemoryBus(subjects, server=server)
    installation = topology.installation(subjects)
    await bus.provision(installation)
    timer, due = subjects.timer("full", ROOM), subjects.due("full", ROOM)
    await bus.schedule(timer, NOW + 5, due)
    await server.advance(6)
    cut_off = tuple(structs.replace(stream, sources=()) for stream in installation.streams)
    await bus.provision(structs.replace(installation, streams=cut_off))
    await bus.schedule(timer, NOW + 8, due)
    await server.advance(4)
    await Overdue(bus, subjects, lambda: NOW + 20).look()
    names = [str(fact.name) for fact in await TaskLog(bus, subjects).read("full")]
    assert names.count(f"due.{ROOM}") == 1
    assert sum(name.startswith(f"overdue.{ROOM}") for name in names) == 1


@pytest.mark.parametrize("error", [BusUnavailable("servers choose who leads"), ValueError("a bug")])
async def test_after_a_look_that_took_long_and_failed_it_is_looked_again_soon(error: Exception) -> None:
    subjects = Subjects()
    bus = _Electing(subjects, error)
    await bus.provision(topology.installation(subjects))
    await bus.schedule(subjects.timer("late", "join"), NOW + 5, subjects.due("late", "join"))
    watch = Watch("timers", Overdue(bus, subjects, lambda: NOW + 60).look, pause=0.05)
    watch.start()

    async def said() -> bool:
        return await TaskLog(bus, subjects).read_one("late", "overdue.join") is not None

    await until(said, "what is overdue is said", seconds=30)  # twenty times as long as the look took is 40
    await watch.stop()


class _Electing(MemoryBus):
    """Its first read of timers waits in vain, for two seconds, until somebody leads."""

    def __init__(self, subjects: Subjects, error: Exception) -> None:
        super().__init__(subjects, server=MemoryServer(clock=lambda: NOW))
        self._fails = [error]

    async def read(
        self, stream: str, subjects: str, after: int = 0, reach: int = 0, since: float | None = None
    ) -> list[Stored]:
        if self._fails and stream == "CTN_TIMERS":
            await asyncio.sleep(2.0)
            raise self._fails.pop()
        return await super().read(stream, subjects, after, reach, since)


@pytest.mark.nats
async def test_a_task_ends_though_nothing_that_is_due_reaches_its_log(subjects: Subjects, nats_server: NatsServer) -> None:
    bus = await JetStream.connect(nats_server.url, "test", subjects, patience=2.0)
    installation = topology.installation(subjects)
    cut_off = tuple(structs.replace(stream, sources=()) for stream in installation.streams)
    await bus.provision(structs.replace(installation, streams=cut_off))
    await announce(bus, subjects, Announcement(kind="web", description="never does anything", replica="r1"))
    Coordinator(bus, subjects, time.time).start()
    log = TaskLog(bus, subjects)
    assert await log.write("t", "submitted", brought(subtask("a"), deadline=1.0))

    async def gone_off() -> bool:
        return bool(await bus.read(subjects.timers_stream, subjects.due("t", "join")))

    async def ended() -> bool:
        return await log.read_one("t", "outcome") is not None

    await until(gone_off, "the timer has gone off")
    await Overdue(bus, subjects, lambda: time.time() + LATE + 1).look()
    await until(ended, "the task has its outcome")
    names = [str(fact.name) for fact in await log.read("t")]
    assert "overdue.join" in names
    assert "due.join" not in names
    await bus.close()
