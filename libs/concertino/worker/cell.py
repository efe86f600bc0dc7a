"""One value in a bucket, changed by compare-and-set by whoever comes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from concertino.bus.port import Bus
from concertino.contracts.codec import encode
from concertino.contracts.messages import Message

S = TypeVar("S", bound=Message)
T = TypeVar("T")

_LOST_RACES = 3
"""After so many in a row there are pauses between them."""


class Cell(Generic[S]):
    """What stands under ``key`` in ``bucket``; ``read`` makes of its bytes, or of None where there are none, what they mean.

    What was read or written last is remembered: while nobody else writes, a change is one word to the bus and its answer.
    """

    def __init__(
        self,
        bus: Bus,
        bucket: str,
        key: str,
        read: Callable[[bytes | None], S],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bus, self._bucket, self._key, self._decoded, self._sleep = bus, bucket, key, read, sleep
        self._known: tuple[S, int] | None = None
        self._turn = asyncio.Lock()

    async def change(self, decide: Callable[[S], tuple[S, T]]) -> T:
        """What ``decide`` finds in the value as it is, and what it makes of that is written down: anew where another was first.

        No two values that it makes may be equal, except for the one that it was given: then nothing is written. Raises
        :class:`~concertino.contracts.errors.ConcertinoError` where the bus cannot read or write it.
        """
        lost = 0
        async with self._turn:
            while True:
                value, revision = self._known or await self._read()
                made, found = decide(value)
                if made == value:
                    if self._known is None:
                        return found
                    self._known = None  # nothing is refused because of what was true a while ago
                    continue
                self._known = None
                if (written := await self._bus.swap_key(self._bucket, self._key, encode(made), revision)) is not None:
                    self._known = made, written
                    return found
                lost += 1
                if lost > _LOST_RACES:
                    await self._sleep(secrets.randbelow(20 * lost) / 1000)

    async def _read(self) -> tuple[S, int]:
        entry = await self._bus.get_key(self._bucket, self._key)
        return self._decoded(entry.value), entry.revision
