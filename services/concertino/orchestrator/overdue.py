"""Timers that the server does not let go off: what is overdue is said by an orchestrator in its place.

Seen with nats-server 2.15.1: when two leaders of the stream of timers had been killed within seconds, the third took schedules
and let none of them go off for 40 s, until the next election.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import structlog

from concertino.bus.port import Bus, Stored
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.subjects import Header, Subjects
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics

EVERY = 10.0
"""Seconds between looks, or twenty times as many as a look takes: whatever lies there is read each time."""
LATE = 3.0
"""Seconds after which a timer is overdue: a server that is well takes a third of one, a change of leaders may take two."""

log = structlog.get_logger(__name__)


class Overdue:
    """Each orchestrator looks: what two of them say is stored once, and what the server says later decides nothing any more."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock = time.time, every: float = EVERY) -> None:
        self._bus, self._subjects, self._clock, self._every = bus, subjects, clock, every
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self.look()
            except ConcertinoError as e:
                log.warning("whether timers are overdue cannot be seen", error=str(e))
            await asyncio.sleep(max(self._every, 20 * (time.monotonic() - began)))

    async def look(self) -> None:
        """Say what is overdue, and forget its schedule: in this order, so that nothing is lost between the two."""
        before = self._clock() - LATE
        for stored in await self._bus.read(self._subjects.timers_stream, self._subjects.timer("*", "*")):
            at = _at(stored)
            if at is None or at > before:
                continue
            task, name = self._subjects.parse_fact(stored.subject)
            log.error(
                "a timer did not go off: its server is to be looked at",
                task=task,
                timer=name.about,
                late=round(self._clock() - at, 1),
            )
            # The same message of each orchestrator that looks: stored once.
            await self._bus.enqueue(self._subjects.due(task, name.about), b"", f"{stored.subject} {stored.sequence}")
            await self._bus.unschedule(stored.subject)
            metrics.OVERDUE.inc()


def _at(stored: Stored) -> float | None:
    """Unix seconds; None: somebody wrote something else there."""
    try:
        return datetime.fromisoformat(stored.headers.get(Header.SCHEDULE, "").removeprefix("@at ")).timestamp()
    except (ValueError, OverflowError):
        return None
