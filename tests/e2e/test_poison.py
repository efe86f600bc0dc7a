"""Work that ends its worker, each time, ends as a failed result; and nothing that does not let go keeps a process."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
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


HOSTILE = {
    "deep": ("submitted", b'{"request": "x", "plan": ' + b'{"a":' * 100_000),
    "brackets": ("submitted", b"[" * 500_000),
    "number": ("submitted", b'{"request": "x", "limits": {"deadline": ' + b"9" * 100_000 + b"}}"),
    "unicode": ("submitted", b'{"request": "\\ud800\\u0000\\u202e"}'),
    "plan": (
        "submitted",
        b'{"request": "x", "plan": {"subtasks": ['
        + b",".join(
            b'{"id": "s%d", "kind": "nobody", "objective": "x", "depends_on": ["s%d"]}' % (n, n - 1) for n in range(1, 6_000)
        )
        + b"]}}",
    ),
}


async def test_no_log_ends_an_orchestrator_or_keeps_it_from_others(started: Start) -> None:
    async with started(ORCHESTRATOR, ECHO) as fleet, Client(fleet.url) as client:
        before = fleet.pids["orchestrator"]
        bus = await JetStream.connect(fleet.url, "stranger", Subjects())
        for task, (name, data) in HOSTILE.items():
            await bus.write_once(Subjects().fact(task, name), data)
        for n in range(2_000):
            await bus.write_once(Subjects().fact("facts", f"result.echo.s{n}"), b"{")
        good = Plan(subtasks=(Subtask(id="s1", kind="echo", objective="say it"),), synthesize=False)
        task = await client.submit("good", plan=good, limits=Limits(deadline=90))
        assert (await client.wait(task, timeout=100)).status == "answered"
        for task in HOSTILE:
            ended = functools.partial(bus.newest, Subjects().tasks_stream, Subjects().fact(task, "outcome"))

            async def there(read: Callable[[], Awaitable[object]] = ended) -> bool:
                return await read() is not None

            await until(there, f"{task} has ended", seconds=60)
        assert fleet.pids["orchestrator"] == before
        await bus.close()


async def asked(port: int, path: str) -> bytes:
    """The status line of a probe's answer; nothing where nobody answers."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    return status


async def test_a_replica_whose_slots_are_all_held_for_ever_says_so_and_is_replaced(
    started: Start, unused_tcp_port: int
) -> None:
    hold = Plan(subtasks=(Subtask(id="s1", kind="deadly", objective="hold", params={"how": "swallow"}),), synthesize=False)
    async with started(deadly(), CTN_PORT=str(unused_tcp_port)) as fleet, Client(fleet.url) as client:
        bus = await JetStream.connect(fleet.url, "coordinator", Subjects())
        await bus.provision(installation(Subjects()))
        coordinator = Coordinator(bus, Subjects(), time.time)
        coordinator.start()
        tasks = [await client.submit("hold", plan=hold, limits=Limits(deadline=90)) for _ in range(2)]

        async def begun(task: str) -> bool:
            return any(fact.name.type == "begun" for fact in await client.facts(task))

        for task in tasks:
            await until(functools.partial(begun, task), "it holds a slot")
            await client.cancel(task)
            assert (await client.wait(task, timeout=30)).status == "cancelled"

        async def lives(status: bytes) -> bool:
            return status in await asked(unused_tcp_port, "/livez")

        assert await lives(b" 200 "), "it may still let go"
        await until(functools.partial(lives, b" 503 "), "every slot is held", seconds=60)
        os.kill(fleet.pids["deadly"], signal.SIGTERM)  # as Kubernetes does then
        await until(functools.partial(lives, b" 200 "), "another one is there", seconds=60)
        good = Plan(subtasks=(Subtask(id="s1", kind="deadly", objective="live"),), synthesize=False)
        task = await client.submit("again", plan=good, limits=Limits(deadline=90))
        assert (await client.wait(task, timeout=100)).status == "answered"
        await coordinator.stop()
        await bus.close()


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
