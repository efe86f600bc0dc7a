"""Whatever is killed in mid-task and started again: one outcome, and every finding in it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from concertino.bus.jetstream import JetStream
from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS, own_workers
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.codec import decode
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Ledger, Progress
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import settings
from concertino.testing import Hang, MessagesApi
from kit import script
from kit.waiting import PATIENCE, until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

ECHO = Path(__file__).parent.parent / "kit" / "echo.py"


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """The real services as processes on a real server, with a lease short enough to wait for."""
    monkeypatch.setenv("CTN_LEASE", "1")
    monkeypatch.setenv("CTN_CACHE", str(tmp_path / "cache"))
    fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=(*ALWAYS, *own_workers([str(ECHO)])))
    await fleet.start(strict=True)
    yield fleet
    await fleet.stop(10.0)


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[Client]:
    async with Client(fleet.url) as client:

        async def there() -> bool:
            return "echo" in {worker.kind for worker in await client.workers()}

        await until(there, "the worker announces itself")
        yield client


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "retries.md").write_text("# Retries\n\nA failed request is retried five times; the pause doubles each time.\n")
    (folder / "client.py").write_text('def pause(attempt):\n    """How long to wait before retry number `attempt`."""\n')
    return folder


# Which service is held still until its work has reached it, and the fact or progress that shows that it is its turn.
@pytest.mark.parametrize(
    ("service", "turn"),
    [
        ("orchestrator", "submitted"),
        ("docs", "dispatched.2"),
        ("code", "dispatched.2"),
        ("synthesizer", "dispatched.3"),
    ],
)
async def test_a_killed_service_costs_time_and_nothing_else(
    fleet: Fleet, client: Client, handbook: Path, service: str, turn: str
) -> None:
    before = fleet.pids[service]
    os.kill(before, signal.SIGSTOP)  # it takes the work, as its request for it is open, and does not come to do it
    sources = [Source(kind="docs", location=str(handbook)), Source(kind="code", location=str(handbook))]
    task = await client.submit("How long is the pause before a retry?", sources=sources, limits=Limits(deadline=60))
    await reached(client, task, turn)
    os.kill(before, signal.SIGKILL)
    seen = await client.wait(task, timeout=60)
    assert seen.status == "answered", seen.reason
    assert seen.report is not None
    assert {c.source for c in seen.report.citations} == {"retries.md", "client.py"}
    assert fleet.pids[service] != before
    assert await outcomes(client, task) == 1


async def test_a_killed_worker_gives_up_its_lease(fleet: Fleet, client: Client) -> None:
    plan = Plan(subtasks=(Subtask(id="s1", kind="echo", objective="say it", params={"seconds": 1.5}),))
    task = await client.submit("echo", plan=plan, limits=Limits(deadline=60))
    await reached(client, task, "dispatched.1")
    os.kill(fleet.pids["echo"], signal.SIGKILL)
    seen = await client.wait(task, timeout=60)
    assert seen.status == "answered", seen.reason
    assert [(s.status, len(s.findings)) for s in seen.subtasks] == [("complete", 1)]


async def test_a_worker_killed_while_a_model_answers_leaves_what_it_may_have_spent_in_the_ledger(
    tmp_path: Path, handbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote = "the pause doubles each time"
    async with MessagesApi() as api:
        api.on("", Hang(after=3))
        api.on("", every=script.findings(script.claim("It doubles.", ("retries.md", quote))))
        for name, value in {**api.environment(), "CTN_LEASE": "1", "CTN_CACHE": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=ALWAYS)
        await fleet.start(strict=True)
        try:
            async with Client(fleet.url) as client:
                docs = Subtask(
                    id="s1", kind="docs", objective="How long?", sources=(Source(kind="docs", location=str(handbook)),)
                )
                plan = Plan(subtasks=(docs,), synthesize=False)
                task = await client.submit("How long?", plan=plan, limits=Limits(deadline=60, max_tokens=200_000))
                await until(lambda: len(api.asked) == 1, "the model is asked")
                os.kill(fleet.pids["docs"], signal.SIGKILL)
                seen = await client.wait(task, timeout=60)
            bus = await JetStream.connect(fleet.url, "test", Subjects())
            entry = await bus.get_key(Subjects().budget_bucket, task)
            await bus.close()
        finally:
            await fleet.stop(10.0)
    assert seen.subtasks[0].attempts == 2
    assert entry.value is not None
    ledger = decode(Ledger, entry.value)
    [hold] = ledger.holds
    assert (hold.work, hold.delivery, hold.over) == ("result.docs.s1", 1, True)
    assert hold.amount.tokens > 32_000  # all that it may have been
    assert ledger.spent.tokens == seen.usage.input_tokens + seen.usage.cache_write_tokens + seen.usage.cache_read_tokens + (
        seen.usage.output_tokens
    )


async def test_a_killed_server_comes_back_with_everything(fleet: Fleet, client: Client) -> None:
    seconds = {"seconds": 1.0}
    plan = Plan(subtasks=tuple(Subtask(id=f"s{i}", kind="echo", objective=f"say {i}", params=seconds) for i in range(8)))
    task = await client.submit("echo", plan=plan, limits=Limits(deadline=60))
    await reached(client, task, "dispatched.1")
    os.kill(fleet.pids["nats"], signal.SIGKILL)
    seen = await client.wait(task, timeout=60)
    assert seen.status == "answered", seen.reason
    assert {s.status for s in seen.subtasks} == {"complete"}
    assert await outcomes(client, task) == 1


async def reached(client: Client, task: str, name: str) -> None:
    """Return once the fact ``name`` is in the log."""
    async with asyncio.timeout(PATIENCE), client.follow(task) as events:
        async for event in events:
            if isinstance(event, Fact) and str(event.name) == name:
                return
            assert isinstance(event, Fact | Progress)


async def outcomes(client: Client, task: str) -> int:
    """How many outcomes the log holds."""
    return sum(fact.name.type == "outcome" for fact in await client.facts(task))
