"""``redrive --all`` that meets a full queue on the way: the same command goes on where it stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.memory import MemoryBus
from concertino.bus.tasklog import TaskLog
from concertino.cli import failing
from concertino.cli.question import RedriveOptions
from concertino.cli.session import Session
from concertino.client import Client, Plan, Subtask
from concertino.contracts.errors import QueueFull
from concertino.contracts.messages import Announcement, Failure, Outcome, OutcomeStatus, Result, ResultStatus, Submitted
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import Settings

SUBJECTS = Subjects()
BROKEN = Result(status=ResultStatus.FAILED, error=Failure(code="source", message="it is not there"), attempts=2)
TASKS = [f"t{number}" for number in range(5)]


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    """Five tasks that failed, and queues for two."""
    bus = MemoryBus(SUBJECTS)
    await bus.provision(topology.installation(SUBJECTS, max_queued=2))
    await announce(bus, SUBJECTS, Announcement(kind="web", description="Looks.", replica="r1"))
    log, plan = TaskLog(bus, SUBJECTS), Plan(subtasks=(Subtask(id="a", kind="web", objective="look"),), synthesize=False)
    for task in TASKS:
        await log.write(task, "submitted", Submitted(request="What?", plan=plan))
        await log.write(task, "result.web.a", BROKEN)
        await log.write(task, "outcome", Outcome(status=OutcomeStatus.FAILED, reason="a failed"))
    yield bus
    await bus.close()


async def test_it_says_how_far_it_came_and_goes_on_there(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def connect(*_: Any) -> AsyncIterator[Session]:
        yield Session(Client(bus=bus), bus, SUBJECTS)  # type: ignore[arg-type]

    monkeypatch.setattr(failing, "connect", connect)
    monkeypatch.setattr(failing, "configuration", lambda _: Settings())  # the real one configures the logs of the process
    again: dict[str, str] = {}
    for done, of in ((2, 5), (2, 3)):
        with pytest.raises(QueueFull):
            await failing.redrive_all(RedriveOptions(), since=3600.0, kind="", nats=None)
        out, err = capsys.readouterr()
        assert f"{done} of {of} tasks gone through; the same command goes on with the other {of - done}" in err
        lines = dict(line.split("\t") for line in out.splitlines())
        assert len(lines) == done
        assert again.keys().isdisjoint(lines)
        again |= lines
        # Nobody coordinates here: nothing of it is in a queue, and whoever asks anew finds room.
    assert await failing.redrive_all(RedriveOptions(), since=3600.0, kind="", nats=None) == 0
    out, err = capsys.readouterr()
    again |= dict(line.split("\t") for line in out.splitlines())
    assert (sorted(again), len(set(again.values()))) == (TASKS, 5)
    stored = await bus.read(SUBJECTS.tasks_stream, SUBJECTS.fact("*", "submitted"))
    assert len(stored) == 10
