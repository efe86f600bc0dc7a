"""Batch work fills every slot, and interactive work is done as if there were one unit of it at the most."""

from __future__ import annotations

import asyncio
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
FLOOD, SLOTS = 300, 1
UNIT = 1.0
"""Seconds of one piece of batch work."""


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """The real services as processes on a real server: one worker that does one thing at a time."""
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

    # Twenty, one after the other: where batch work gets in between, it may be a unit of it each time.
    task = await client.submit("now", plan=plan(20, 0.1))
    seen = await client.wait(task, timeout=60)
    assert seen.status == "answered", seen.reason

    mine = await client.facts(task)
    results = [fact.time for fact in mine if fact.name.type == "result"]
    facts = [await client.facts(task) for task in batch]
    between = [f.time for found in facts for f in found if f.name.type == "result" and min(results) < f.time < max(results)]
    # Those that ran when the first came to its slot, and no others: told by the order of things, not by how long they take.
    assert len(between) <= SLOTS, f"{len(between)} units of batch work came between"
    done = sum(any(fact.name.type == "outcome" for fact in found) for found in facts)
    assert done < FLOOD / 2, "the flood was still there"
    await asyncio.gather(*(client.cancel(task) for task in batch))
