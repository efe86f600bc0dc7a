"""Waiting for the end of a task: until there is something to be seen, the server is asked for next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from concertino.bus.port import Bus, Stored
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.subjects import Subjects

T = TypeVar("T")

LOOK_AGAIN = 2.0
"""Seconds between looks at the log where nothing is heard: what passes by while the connection is down does so unheard."""
SOON = 0.1
"""Seconds until the first look at a task that has just begun. Should its outcome have passed by before anybody listened, it is
found then."""
_FIRST_PAUSE = 0.001
"""Seconds between looks, at first, once an outcome has passed by."""

log = structlog.get_logger(__name__)


class Ending:
    """Hears of the outcome of one task."""

    def __init__(self, task: str) -> None:
        self._task, self._passed = task, asyncio.Event()

    async def hear(self, _: Stored) -> None:
        """An outcome passes by while the server stores it, or refuses it: what counts is what the log says."""
        self._passed.set()

    async def seen(self, look: Callable[[], Awaitable[T | None]], *, first: float = 0.0) -> T:
        """What ``look`` finds in the log; it is asked when there may be something, and where nothing is heard, after ``first``
        seconds. A bus that is away is waited for: bound it where you must not wait for ever."""
        pause = _FIRST_PAUSE
        if first:
            await self._heard(first)
        while True:
            try:
                if (found := await look()) is not None:
                    return found
            except BusUnavailable as e:
                log.warning("the log cannot be read, trying again", task=self._task, error=str(e))
                pause = LOOK_AGAIN
            if self._passed.is_set():
                await asyncio.sleep(pause)
                pause *= 2
                if pause > LOOK_AGAIN:  # refused, or it would be there by now
                    self._passed.clear()
                    pause = _FIRST_PAUSE
            else:
                await self._heard(LOOK_AGAIN)

    async def _heard(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._passed.wait()
        except TimeoutError:
            return


@asynccontextmanager
async def ending(bus: Bus, subjects: Subjects, task: str) -> AsyncIterator[Ending]:
    """Listen for the outcome of ``task``, before anything that is asked of the server inside of this: nothing falls between."""
    found = Ending(task)
    subscription = await bus.subscribe(subjects.fact(task, "outcome"), found.hear, confirm=False)
    try:
        yield found
    finally:
        await subscription.stop()
