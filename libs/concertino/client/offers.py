"""What workers offer, as it was a moment ago: who submits a thousand plans a second does not ask a thousand times."""

from __future__ import annotations

import time
from collections.abc import Sequence

from concertino.bus.announcements import kinds
from concertino.bus.port import Bus
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import Subjects
from concertino.runtime.clock import Clock

FRESH = 5.0
"""Seconds for which what was found is good, where it is enough for a plan. A worker that crashed is held for alive much longer
than that anyway."""


class Offers:
    """What one client knows of workers whom a plan may ask. ``clock`` never jumps."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock = time.monotonic) -> None:
        self._bus, self._subjects, self._clock = bus, subjects, clock
        self._found: Sequence[Announcement] = ()
        self._until = float("-inf")

    @property
    def known(self) -> Sequence[Announcement]:
        """What is known without asking; nothing, where that is too old."""
        return self._found if self._clock() < self._until else ()

    async def look(self) -> Sequence[Announcement]:
        """What is on the bus now."""
        self._found = [a for a in await kinds(self._bus, self._subjects) if not a.internal]
        self._until = self._clock() + FRESH
        return self._found
