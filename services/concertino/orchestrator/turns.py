"""Who is handled next: interactive tasks as they come, of batch tasks so many at once, the others wait.

A flood of batch tasks is taken from the server as fast as it comes, since what stands behind it there may be urgent, and only
the server knows its order. What waits here keeps its lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import structlog

from concertino.bus.port import Delivery
from concertino.contracts.errors import ConcertinoError

log = structlog.get_logger(__name__)


class Turns:
    """Lets ``at_once`` patient tasks be handled at a time. ``waiting`` are the deliveries whose lease of ``lease`` seconds is
    kept while any of them waits."""

    def __init__(self, at_once: int, waiting: Callable[[], Iterable[Delivery]], lease: float) -> None:
        self._free, self._waiting, self._lease = at_once, waiting, lease
        self._patient: dict[str, asyncio.Future[None]] = {}
        self._keeping: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, task: str, *, patient: bool) -> AsyncIterator[None]:
        """It is the turn of ``task`` inside of this: at once, unless it is ``patient``."""
        if not patient:
            yield
            return
        await self._wait(task)
        try:
            yield
        finally:
            self._give_back()

    def hurry(self, task: str) -> None:
        """Let ``task`` wait no more, however many are handled: its caller wants it to end, say."""
        if waits := self._patient.pop(task, None):
            self._free -= 1
            waits.set_result(None)

    def end(self) -> None:
        """Nobody's turn comes any more: whoever waits is told to go."""
        for waits in self._patient.values():
            waits.cancel()
        self._patient.clear()

    async def _wait(self, task: str) -> None:
        if self._free > 0:
            self._free -= 1
            return
        waits = self._patient[task] = asyncio.get_running_loop().create_future()
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep())
        try:
            await waits
        except asyncio.CancelledError:
            if self._patient.pop(task, None) is None and not waits.cancelled():
                self._give_back()  # its turn came in the moment it was told to go
            raise

    def _give_back(self) -> None:
        self._free += 1
        while self._free > 0 and self._patient:
            self.hurry(next(iter(self._patient)))

    async def _keep(self) -> None:
        while self._patient:
            await asyncio.sleep(self._lease / 3)
            for delivery in list(self._waiting()):
                try:
                    await delivery.in_progress()
                except ConcertinoError as e:
                    log.warning("triggers that wait may come again: their lease could not be renewed", error=str(e))
                    break
