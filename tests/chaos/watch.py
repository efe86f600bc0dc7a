"""A follower of every log: it sees each fact when it comes, and can say later whether that fact is still what it was."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import defaultdict

from msgspec import Struct

from concertino.bus.port import Bus, Stored
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.subjects import Subjects

EVERY = 0.3
"""Seconds between looks."""
AGAIN = ("timer", "due")
"""Facts that may be written again under their name. All others are once-only."""


class Seen(Struct, frozen=True):
    """A fact as somebody saw it: where it stood, and a digest of all that stood there."""

    sequence: int
    digest: str


def seen(stored: Stored) -> Seen:
    return Seen(stored.sequence, hashlib.sha256(stored.data).hexdigest())


class Watch:
    """Reads the log of all tasks on ``bus``, from its beginning on."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus, self._subjects = bus, subjects
        self._sequence = 0
        self.facts: dict[tuple[str, str], set[Seen]] = defaultdict(set)
        """By task and name, every version that was seen."""
        self.outcomes: dict[str, float] = {}
        """By task, when its outcome was stored."""
        self.kept: dict[str, Stored] = {}
        """What was kept of conversations with models, by subject. It is not kept for long once a task is over."""
        self._journal = 0
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
            [ended] = await asyncio.gather(self._watching, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended

    async def look(self) -> None:
        """Read what is new. Raises :class:`BusUnavailable`."""
        for stored in await self._bus.read(self._subjects.tasks_stream, self._subjects.task("*"), self._sequence):
            self._sequence = max(self._sequence, stored.sequence)
            task, name = self._subjects.parse_fact(stored.subject)
            if name.type not in AGAIN:
                self.facts[task, str(name)].add(seen(stored))
            if name.type == "outcome":
                self.outcomes.setdefault(task, stored.time)
        every = f"{self._subjects.prefix}.checkpoint.>"
        for stored in await self._bus.read(self._subjects.checkpoints_stream, every, self._journal):
            self._journal = stored.sequence
            self.kept[stored.subject] = stored

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(ConcertinoError):  # a bus that is away is what this is about
                await self.look()
            await asyncio.sleep(EVERY)
