"""Knowing when the services are there: each announces its kind in the bucket, and that is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from concertino.bus.port import Bus, Stored, Subscription
from concertino.contracts.codec import decode
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import Subjects


class Readiness:
    """Hears announcements from :meth:`start` on. What stands in the bucket from an earlier run counts for nothing."""

    def __init__(self, bus: Bus, subjects: Subjects, kinds: Collection[str]) -> None:
        self._bus, self._subject = bus, f"$KV.{subjects.workers_bucket}.>"
        self.missing = set(kinds)
        self._all = asyncio.Event()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Listen."""
        self._subscription = await self._bus.subscribe(self._subject, self._heard)

    async def wait(self) -> None:
        """Return once every kind was announced."""
        if self.missing:
            await self._all.wait()

    async def stop(self) -> None:
        """Stop listening."""
        if self._subscription:
            await self._subscription.stop()

    async def _heard(self, message: Stored) -> None:
        if not message.data:  # a withdrawal
            return
        try:
            self.missing.discard(decode(Announcement, message.data).kind)
        except Invalid:
            return  # of a release that says more than this one knows: not one of the kinds that are waited for
        if not self.missing:
            self._all.set()
