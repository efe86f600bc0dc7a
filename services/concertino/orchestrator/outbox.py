"""What is to be said to the same one in one turn of the event loop is said together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Outbox(Generic[T]):
    """Hands what was posted to ``send``, at most ``together(to)`` at once for who is to have it. ``send`` raises nothing."""

    def __init__(self, send: Callable[[str, tuple[T, ...]], Awaitable[None]], together: Callable[[str], int]) -> None:
        self._send, self._together = send, together
        self._posted: dict[str, list[T]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def post(self, to: str, message: T) -> None:
        """Send ``message`` to one, soon."""
        if not self._posted:
            sending = asyncio.create_task(self._send_all())
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        self._posted.setdefault(to, []).append(message)

    async def sent(self) -> None:
        """Done when all that was posted is sent."""
        if self._sending:
            await asyncio.wait(self._sending)

    async def _send_all(self) -> None:
        posted, self._posted = self._posted, {}
        for to, messages in posted.items():
            size = self._together(to)
            for first in range(0, len(messages), size):
                await self._send(to, tuple(messages[first : first + size]))
