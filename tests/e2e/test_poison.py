"""Work that ends its worker, each time, ends as a failed result; and nothing that does not let go keeps a process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from concertino.bus.jetstream import JetStream
from concertino.bus.topology import installation
from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import Service
from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.subjects import Subjects
from concertino.orchestrator.coordinator import Coordinator
from concertino.runtime.settings import settings
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

KIT = Path(__file__).parent.parent / "kit"
ORCHESTRATOR = Service("orchestrator", "concertino.orchestrator", ("plan",))
ECHO = Service("echo", str(KIT / "echo.py"), ("echo",))
ATTEMPTS = 2

Start = Callable[..., AbstractAsyncContextManager[Fleet]]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """The real services as processes on a real server, with a lease short enough to wait for."""
    for name, value in {"CTN_LEASE": "1", "CTN_ATTEMPTS": str(ATTEMPTS), "CTN_GRACE": "1"}.items():
        monkeypatch.setenv(name, value)

    @asynccontextmanager
    async def start(*services: Service, **environment: str) -> AsyncIterator[Fleet]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=services)
        await fleet.start(strict=True)
        try:
            yield fleet
        finally:
            await fleet.stop(30.0)

    return start


def deadly(kind: str = "deadly") -> Service:
    return Service("deadly", str(KIT / "deadly.py"), (kind,))


@pytest.mark.parametrize("how", ["exit", "segfault", "memory"])
async def test_work_that_ends_its_worker_fails_and_the_task_goes_on_without_it(started: Start, how: str) -> None:
    poison = Subtask(id="s1", kind="deadly", objective="end", params={"how": how})
    plan = Plan(subtasks=(poison, Subtask(id="s2", kind="echo", objective="say it")), synthesize=False)
    async with started(ORCHESTRATOR, ECHO, deadly()) as fleet, Client(fleet.url) as client:
        before = fleet.pids["deadly"]
        seen = await client.wait(await client.submit("both", plan=plan, limits=Limits(deadline=90)), timeout=100)
        assert (seen.status, [s.status for s in seen.subtasks]) == ("partial", ["failed", "complete"])
        assert seen.subtasks[0].error is not None
        assert (f"begun {ATTEMPTS} times" in seen.subtasks[0].error, seen.subtasks[0].attempts) == (True, ATTEMPTS)
        # Who comes after it is of use.
        good = Plan(subtasks=(Subtask(id="s1", kind="deadly", objective="live"),), synthesize=False)
        seen = await client.wait(await client.submit("again", plan=good, limits=Limits(deadline=90)), timeout=100)
        assert seen.status == "answered"
        assert fleet.pids["deadly"] != before


@pytest.mark.parametrize(("kind", "status"), [("plan", "failed"), ("synthesize", "partial")])
async def test_so_do_planning_and_writing_up(started: Start, kind: str, status: str) -> None:
    async with started(ECHO, deadly(kind), DEADLY_KIND=kind, DEADLY_HOW="exit") as fleet, Client(fleet.url) as client:
        bus = await JetStream.connect(fleet.url, "coordinator", Subjects())
        await bus.provision(installation(Subjects()))
        coordinator = Coordinator(bus, Subjects(), time.time)
        coordinator.start()
        plan = Plan(subtasks=(Subtask(id="s1", kind="echo", objective="say it"),))
        task = await client.submit("both", plan=None if kind == "plan" else plan, limits=Limits(deadline=90))
        seen = await client.wait(task, timeout=100)
        await coordinator.stop()
        await bus.close()
    assert (seen.status, f"begun {ATTEMPTS} times" in seen.reason) == (status, True), seen.reason


async def test_a_thread_that_never_ends_keeps_neither_its_task_nor_its_process(started: Start) -> None:
    endless = Plan(subtasks=(Subtask(id="s1", kind="deadly", objective="wait", params={"how": "thread"}),), synthesize=False)
    async with started(ORCHESTRATOR, deadly()) as fleet, Client(fleet.url) as client:
        task = await client.submit("for ever", plan=endless, limits=Limits(deadline=90))

        async def begun() -> bool:
            return any(fact.name.type == "begun" for fact in await client.facts(task))

        await until(begun, "the thread runs")
        await client.cancel(task)
        assert (await client.wait(task, timeout=30)).status == "cancelled"
        before = fleet.pids["deadly"]
        os.kill(before, signal.SIGTERM)
        await until(lambda: fleet.pids.get("deadly", before) != before, "it left, and another one is there", seconds=60)
