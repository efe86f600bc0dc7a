"""A server whose schedules have stopped: an orchestrator says what is due."""

from __future__ import annotations

from concertino.bus import topology
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.tasklog import TaskLog
from concertino.contracts.subjects import Subjects
from concertino.orchestrator.overdue import LATE, Overdue

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
    assert [str(fact.name) for fact in await log.read("late")] == ["timer.join", "due.join"]
    assert [str(fact.name) for fact in await log.read("soon")] == ["timer.join"]
    assert [s.subject for s in await bus.read(subjects.timers_stream, subjects.timer("late", "*"))] == []
