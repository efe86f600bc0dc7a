"""What an orchestrator looks at again and again beside its work. A look that fails is not the last: nobody else looks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from concertino.contracts.errors import ConcertinoError

EVERY = 5.0
"""Seconds between looks."""

log = structlog.get_logger(__name__)


class Watch:
    """``look`` is called, and called again after the seconds that it returns; after ``pause`` seconds where it fails. What is
    looked ``at`` is for the log."""

    def __init__(self, at: str, look: Callable[[], Awaitable[float]], pause: float = EVERY) -> None:
        self._at, self._look, self._pause = at, look, pause
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            pause = self._pause
            try:
                pause = await self._look()
            except ConcertinoError as e:
                log.warning("a look failed, trying again", at=self._at, error=str(e))
            except Exception:
                log.exception("a look failed, trying again: a bug, or what nobody foresaw", at=self._at)
            await asyncio.sleep(pause)
