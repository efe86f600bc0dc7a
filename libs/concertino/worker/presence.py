"""That a replica is there: announced on the bus, renewed while it lives, withdrawn when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from concertino.bus import topology
from concertino.bus.announcements import announce, withdraw
from concertino.bus.port import Bus
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import Subjects

log = structlog.get_logger(__name__)

RENEWED_EVERY = topology.ANNOUNCEMENT_LIFE / 3


class Presence:
    """The announcement of one replica, as it is at the time. ``every`` is in seconds."""

    def __init__(
        self, bus: Bus, subjects: Subjects, announcement: Callable[[], Announcement], every: float = RENEWED_EVERY
    ) -> None:
        self._bus, self._subjects, self._announcement, self._every = bus, subjects, announcement, every
        self._renewal: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await announce(self._bus, self._subjects, self._announcement())
        self._renewal = asyncio.create_task(self._renew())

    async def end(self) -> None:
        """Withdraw it. Where the bus is away it expires by itself."""
        if self._renewal:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])  # a renewal under way would announce what was withdrawn
        try:
            await withdraw(self._bus, self._subjects, self._announcement())
        except ConcertinoError as e:
            log.warning("the announcement could not be withdrawn; it expires", error=str(e))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await announce(self._bus, self._subjects, self._announcement())
            except ConcertinoError as e:
                log.warning("the announcement could not be renewed", error=str(e))
