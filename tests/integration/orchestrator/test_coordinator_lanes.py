"""A flood of batch tasks, and those that must not wait for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs
from orchestra import Orchestra, brought, subtask

from concertino.bus.memory import MemoryBus
from concertino.contracts.messages import Cancel, OutcomeStatus, Submitted
from concertino.orchestrator.intake import BATCH_AT_ONCE
from kit.waiting import until

BATCH: Submitted = structs.replace(brought(subtask("a")), lane="batch")


class Slow:
    """A bus on which the logs of tasks whose names begin with `b` are not read until the gate opens."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self.gate = asyncio.Event()
        self.reading: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def read(self, stream: str, subjects: str, *args: Any, **kwargs: Any) -> Any:
        if ".task.b" in subjects:
            self.reading.append(subjects)
            await self.gate.wait()
        return await self._bus.read(stream, subjects, *args, **kwargs)


async def flood(orchestra: Orchestra, count: int, batch: Submitted = BATCH) -> Slow:
    slow: list[Slow] = []

    def wrap(bus: MemoryBus) -> Slow:
        slow.append(Slow(bus))
        return slow[0]

    await orchestra.conduct(wrap)
    await orchestra.play()
    for i in range(count):
        await orchestra.submit(f"b{i}", batch)
    await until(lambda: len(slow[0].reading) >= BATCH_AT_ONCE)
    return slow[0]


WIDE: Submitted = structs.replace(
    brought(*(structs.replace(subtask(f"s{i}"), objective="look " * 3_600) for i in range(2))), lane="batch"
)


@pytest.mark.parametrize("batch", [BATCH, WIDE], ids=["small", "of 36 KB each"])
async def test_an_interactive_task_passes_a_flood_of_batch_tasks(orchestra: Orchestra, batch: Submitted) -> None:
    slow = await flood(orchestra, BATCH_AT_ONCE + 30, batch)
    await orchestra.submit("i1", brought(subtask("a")))
    assert (await orchestra.outcome("i1")).status == OutcomeStatus.ANSWERED
    assert len(slow.reading) == BATCH_AT_ONCE, "of the flood no more were begun than are handled at once"
    slow.gate.set()
    for i in range(BATCH_AT_ONCE + 30):
        assert (await orchestra.outcome(f"b{i}")).status == OutcomeStatus.ANSWERED


async def test_a_batch_task_that_waits_is_cancelled_at_once(orchestra: Orchestra) -> None:
    slow = await flood(orchestra, BATCH_AT_ONCE + 2)
    last = f"b{BATCH_AT_ONCE + 1}"
    await orchestra.write(last, "cancel", Cancel(reason="enough"))
    await until(lambda: len(slow.reading) == BATCH_AT_ONCE + 1)
    assert slow.reading[-1] == orchestra.subjects.task(last)
    slow.gate.set()
    assert (await orchestra.outcome(last)).status == OutcomeStatus.CANCELLED


async def test_what_waits_when_a_coordinator_leaves_goes_to_another_at_once(orchestra: Orchestra) -> None:
    """Time stands still here: nothing comes back by a lease that ends."""
    blocked: list[Slow] = []

    def wrap(bus: MemoryBus) -> Slow:
        blocked.append(Slow(bus))
        return blocked[0]

    leaving = await orchestra.conduct(wrap)
    await orchestra.play()
    for i in range(BATCH_AT_ONCE + 20):
        await orchestra.submit(f"b{i}", BATCH)
    await until(lambda: len(blocked[0].reading) == BATCH_AT_ONCE)
    await orchestra.conduct()
    stopping = asyncio.create_task(leaving.stop())
    for i in range(BATCH_AT_ONCE, BATCH_AT_ONCE + 20):
        await orchestra.outcome(f"b{i}")
    assert not stopping.done()
    blocked[0].gate.set()
    await stopping
    for i in range(BATCH_AT_ONCE):
        await orchestra.outcome(f"b{i}")
