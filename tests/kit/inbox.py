"""Handlers and listeners that keep what they got."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from concertino.bus.port import Delivery, Stored
from kit.waiting import PATIENCE


class Deliveries:
    """A handler that notes each delivery and settles it as ``settle`` says; by default it does not."""

    def __init__(self, settle: Callable[[Delivery], Awaitable[object]] | None = None) -> None:
        self._settle = settle
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self.seen: list[tuple[bytes, int]] = []

    async def __call__(self, delivery: Delivery) -> None:
        self.seen.append((delivery.message.data, delivery.attempt))
        self._queue.put_nowait(delivery)
        if self._settle:
            await self._settle(delivery)

    async def next(self) -> Delivery:
        async with asyncio.timeout(PATIENCE):
            return await self._queue.get()


class Heard:
    """A listener that notes what it heard."""

    def __init__(self) -> None:
        self.messages: list[Stored] = []

    async def __call__(self, message: Stored) -> None:
        self.messages.append(message)

    @property
    def data(self) -> list[bytes]:
        return [m.data for m in self.messages]


async def ack(delivery: Delivery) -> None:
    await delivery.ack()
