"""Timers that stand still on a strict server: an orchestrator's user may see them, and say that they are overdue."""

from __future__ import annotations

import time

import pytest
from break_in import SUBJECTS

from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.contracts.subjects import ORCHESTRATOR
from concertino.orchestrator.overdue import Overdue
from kit.secured import Secured

pytestmark = pytest.mark.nats


async def test_an_orchestrator_may_do_what_it_takes(server: Secured, inspector: JetStream) -> None:
    at, later = time.time() + 3600, time.time() + 7200
    bus = await JetStream.connect(server.url, ORCHESTRATOR, SUBJECTS, access=server.access(ORCHESTRATOR))
    await bus.schedule(SUBJECTS.timer("stands", "join"), at, SUBJECTS.due("stands", "join"))
    await bus.schedule(SUBJECTS.timer("waits", "join"), later, SUBJECTS.due("waits", "join"))
    await Overdue(bus, SUBJECTS, lambda: at + 60).look()
    assert [str(fact.name) for fact in await TaskLog(inspector, SUBJECTS).read("stands")][-1] == "overdue.join"
    assert "overdue.join" not in [str(fact.name) for fact in await TaskLog(inspector, SUBJECTS).read("waits")]
    await bus.close()
