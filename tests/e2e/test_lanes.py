"""Batch work fills every slot, and interactive work is done as if there were one unit of it at the most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import Service, own_workers
from concertino.client import Client, Limits, Plan, Subtask
from concertino.runtime.settings import settings
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

ECHO = Path(__file__).parent.parent / "kit" / "echo.py"
ORCHESTRATOR = Service("orchestrator", "concertino.orchestrator", ("plan",))
FLOOD, SLOTS = 300, 2
UNIT = 1.0
"""Seconds of one piece of batch work."""
MARGIN = 4.0
"""Seconds for everything else, on a machine that has much else to do."""


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """The real services as processes on a real server: one worker that does two things at once."""
    monkeypatch.setenv("CTN_SLOTS", str(SLOTS))
    services = (ORCHESTRATOR, *own_workers([str(ECHO)]))
    fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=services)
    await fleet.start(strict=True)
    async with Client(fleet.url) as client:

        async def there() -> bool:
            return "echo" in {worker.kind for worker in await client.workers()}

        await until(there, "the worker announces itself")
        yield client
    await fleet.stop(10.0)


def plan(count: int, seconds: float) -> Plan:
    subtasks = tuple(Subtask(id=f"s{i}", kind="echo", objective=f"say {i}", params={"seconds": seconds}) for i in range(count))
    return Plan(subtasks=subtasks, synthesize=False)


async def test_a_flood_of_batch_tasks_delays_an_interactive_one_by_one_unit_at_the_most(client: Client) -> None:
    limits = Limits(deadline=FLOOD * UNIT)
    batch = [await client.submit("sweep", plan=plan(1, UNIT), lane="batch", limits=limits) for _ in range(FLOOD)]
    await client.wait(batch[0], timeout=60)  # the flood is at work

    began = time.monotonic()
    # Twenty, two at a time: whoever takes batch work in between waits for a unit of it each time, ten of them in all.
    task = await client.submit("now", plan=plan(20, 0.1))
    seen = await client.wait(task, timeout=60)
    took = time.monotonic() - began
    assert seen.status == "answered", seen.reason
    assert took < UNIT + 20 * 0.1 / SLOTS + MARGIN

    facts = [await client.facts(task) for task in batch]
    done = sum(any(fact.name.type == "outcome" for fact in found) for found in facts)
    assert done < FLOOD / 2, "the flood was still there"
    await asyncio.gather(*(client.cancel(task) for task in batch))
