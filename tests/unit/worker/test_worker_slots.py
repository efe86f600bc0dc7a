"""Who gets the slot that comes free."""

from __future__ import annotations

import asyncio

import pytest

from concertino.worker.middleware.slots import Slots


class Queue:
    """Those who want a slot, and the order in which they got one."""

    def __init__(self, count: int) -> None:
        self.slots, self.got = Slots(count), list[str]()

    async def ask(self, name: str, lane: str) -> asyncio.Task[None]:
        async def take() -> None:
            await self.slots.take(lane)
            self.got.append(name)

        task = asyncio.create_task(take())
        await turn()
        return task

    async def free(self, times: int = 1) -> None:
        for _ in range(times):
            self.slots.give_back()
        await turn()


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_interactive_work_goes_before_batch_work_that_waits_longer() -> None:
    queue = Queue(2)
    for name, lane in [("b1", "batch"), ("b2", "batch"), ("b3", "batch"), ("i1", "interactive"), ("b4", "batch")]:
        await queue.ask(name, lane)
    assert queue.got == ["b1", "b2"]
    await queue.free(3)
    assert queue.got == ["b1", "b2", "i1", "b3", "b4"]


async def test_a_slot_that_nobody_waits_for_is_there_for_the_next() -> None:
    queue = Queue(1)
    await queue.ask("i1", "interactive")
    await queue.free()
    await queue.ask("b1", "batch")
    await queue.ask("b2", "batch")
    assert queue.got == ["i1", "b1"]


@pytest.mark.parametrize("freed_first", [True, False])
async def test_who_is_told_to_go_while_waiting_takes_no_slot_along(freed_first: bool) -> None:
    queue = Queue(1)
    await queue.ask("i1", "interactive")
    leaving = await queue.ask("i2", "interactive")
    await queue.ask("b1", "batch")
    if freed_first:
        queue.slots.give_back()
        leaving.cancel()
    else:
        leaving.cancel()
        queue.slots.give_back()
    await turn()
    assert leaving.cancelled()
    assert queue.got == ["i1", "b1"]
    await queue.free()
    await queue.ask("i3", "interactive")
    assert queue.got == ["i1", "b1", "i3"]
