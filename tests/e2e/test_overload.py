"""The orchestrator stands still and tasks keep coming: what is stored is bounded, and all of that is answered later."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import Service, own_workers
from concertino.client import Client, Limits, Plan, Subtask, room
from concertino.contracts.errors import QueueFull
from concertino.runtime.settings import settings
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

ECHO = Path(__file__).parent.parent / "kit" / "echo.py"
ORCHESTRATOR = Service("orchestrator", "concertino.orchestrator", ("plan",))
PLAN = Plan(subtasks=(Subtask(id="a", kind="echo", objective="say a"),), synthesize=False)
CLIENTS, MOST = 3, 50


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """Fewer facts may wait than it really is: a thousand tasks take a while."""
    monkeypatch.setattr(room, "BEHIND", MOST)
    monkeypatch.setenv("CTN_MAX_QUEUED", str(MOST))
    fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=(ORCHESTRATOR, *own_workers([str(ECHO)])))
    await fleet.start(strict=True)
    yield fleet
    await fleet.stop(10.0)


async def submit(client: Client, wait: float = 0.0) -> str:
    return await client.submit("sweep", plan=PLAN, lane="batch", limits=Limits(deadline=300), wait=wait)


async def test_who_submits_is_refused_while_no_orchestrator_decides_and_what_was_taken_is_answered(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(fleet.url)) for _ in range(CLIENTS)]
        first = clients[0]

        async def there() -> bool:
            return "echo" in {worker.kind for worker in await first.workers()}

        await until(there, "the worker announces itself")
        orchestrator = fleet.pids["orchestrator"]
        os.kill(orchestrator, signal.SIGSTOP)
        taken: list[str] = []

        async def flood(client: Client) -> str:
            """Until this one is refused, and looks again, and is refused for good: why, as it was told last. Who is quick is
            told at first that the queue is full, by its own count of what it sent since it looked."""
            refused, reason = 0, ""
            while refused < 3:
                try:
                    taken.append(await submit(client))
                except QueueFull as e:
                    reason = str(e).partition(" (")[0]
                    refused += 1
                    await asyncio.sleep(2 * room.FRESH)
            return reason

        reasons = await asyncio.gather(*(flood(client) for client in clients))
        assert set(reasons) == {"the orchestrators are behind"}
        # What others submit is seen with the next look: each may have believed that it was alone.
        assert MOST <= len(taken) <= CLIENTS * MOST
        assert {summary.task for summary in await first.tasks()} == set(taken), "of what was refused nothing is stored"

        os.kill(orchestrator, signal.SIGCONT)
        seen = await asyncio.gather(*(first.wait(task, timeout=240) for task in taken))
        assert {one.status for one in seen} == {"answered"}
        assert (await first.wait(await submit(first, wait=60), timeout=60)).status == "answered"
