"""The least that pulls messages as fast as they come: for the skeleton, where nothing fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from nats.aio.client import Client as Connection
from nats.aio.msg import Msg

EXPIRES = 30.0


class Pull:
    """Messages of a consumer to ``handle``, at most ``slots`` at once. More is asked for when a quarter of them is free."""

    def __init__(
        self, connection: Connection, stream: str, consumer: str, handle: Callable[[Msg], Awaitable[None]], slots: int
    ) -> None:
        self._connection, self._handle, self._slots = connection, handle, slots
        self._subject, self._inbox = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", connection.new_inbox()
        self._asked = self._handling = 0
        self._running: set[asyncio.Task[None]] = set()

    async def forever(self) -> None:
        await self._connection.subscribe(self._inbox, cb=self._on_message)
        await self._ask()
        await asyncio.Event().wait()

    async def _ask(self) -> None:
        free = self._slots - self._handling - self._asked
        if free > self._slots // 4:
            self._asked += free
            request = {"batch": free, "expires": int(EXPIRES * 1e9)}
            await self._connection.publish(self._subject, json.dumps(request).encode(), reply=self._inbox)

    async def _on_message(self, message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            self._asked -= int(message.headers.get("Nats-Pending-Messages", 0))
        else:
            self._asked -= 1
            self._handling += 1
            running = asyncio.ensure_future(self._one(message))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        await self._ask()

    async def _one(self, message: Msg) -> None:
        await self._handle(message)
        self._handling -= 1
        await self._ask()
