"""Whose turn it is with the coordinator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

from concertino.bus.port import Delivery
from concertino.orchestrator.turns import Turns
from kit.waiting import until


class Desk:
    """Tasks that come, and are handled until they are told to end."""

    def __init__(self, at_once: int, lease: float = 60.0) -> None:
        self.turns = Turns(at_once, self._deliveries, lease)
        self.handled: list[str] = []
        self.renewed = 0
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str, patient: bool = True) -> None:
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._handle(name, patient))
            await self._turn()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await self._turn()

    async def leave(self, name: str) -> None:
        self._tasks[name].cancel()
        await self._turn()

    async def in_progress(self) -> None:
        self.renewed += 1

    def _deliveries(self) -> Iterator[Delivery]:
        return iter([cast(Delivery, self)])

    async def _handle(self, name: str, patient: bool) -> None:
        async with self.turns.turn(name, patient=patient):
            self.handled.append(name)
            await self._ends[name].wait()

    async def _turn(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)


async def test_what_is_urgent_passes_what_waits() -> None:
    desk = Desk(2)
    await desk.come("b1", "b2", "b3", "b4")
    await desk.come("i1", "i2", patient=False)
    assert desk.handled == ["b1", "b2", "i1", "i2"]
    await desk.end("i1", "i2")
    assert desk.handled == ["b1", "b2", "i1", "i2"], "whose turn was never counted gives none back"
    await desk.end("b2", "b1")
    assert desk.handled[4:] == ["b3", "b4"]


async def test_what_became_urgent_waits_no_more_and_counts_as_handled() -> None:
    desk = Desk(1)
    await desk.come("b1", "b2", "b3")
    desk.turns.hurry("b3")
    desk.turns.hurry("nobody")
    await desk.end()
    await desk.come()
    await asyncio.sleep(0)
    assert desk.handled == ["b1", "b3"]
    await desk.end("b1")
    assert desk.handled == ["b1", "b3"], "there is one turn, and it is taken"
    await desk.end("b3")
    assert desk.handled == ["b1", "b3", "b2"]


async def test_who_leaves_while_waiting_takes_no_turn_along() -> None:
    desk = Desk(1)
    await desk.come("b1", "b2", "b3")
    await desk.leave("b2")
    await desk.end("b1")
    assert desk.handled == ["b1", "b3"]
    await desk.come("b4")
    desk.turns.hurry("b4")
    await desk.leave("b4")
    await desk.end("b3")
    await desk.come("b5")
    assert desk.handled[-1] == "b5"


async def test_the_lease_of_what_waits_is_kept_and_only_then() -> None:
    desk = Desk(1, lease=0.03)
    await desk.come("b1")
    await asyncio.sleep(0.05)
    assert desk.renewed == 0
    await desk.come("b2")
    await until(lambda: desk.renewed >= 3)
    await desk.end("b1", "b2")
    await until(lambda: len(asyncio.all_tasks()) == 1, "nothing goes on when nobody waits")
