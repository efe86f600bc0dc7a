"""Timers whose word does not reach the log: an orchestrator says so in the server's place.

A timer goes off in a stream of its own, and the stream of the log takes from there what is due. Both are the server's work, and
both may stand still for a while after elections: see docs/decisions/0061.
"""

from __future__ import annotations

import time
from datetime import datetime

import structlog

from concertino.bus.port import Bus, Stored
from concertino.contracts.subjects import ROOM, Header, Subjects
from concertino.orchestrator.watch import EVERY
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics

READ_EACH_SECOND = 2_500
"""Timers that a look read, for each second until the next: so a look takes a twentieth of the time. How long it took does not
say when to look again: it takes longest where servers choose who leads, and then it is needed most."""
LATE = 3.0
"""Seconds after which a timer is overdue: a server that is well takes a third of one, a change of leaders may take two."""
LOOK_BACK = 300.0
"""Seconds that the first look of a process covers."""

log = structlog.get_logger(__name__)


class Overdue:
    """Each orchestrator looks: what two of them say is one fact, and what the server says later decides nothing any more."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock = time.time) -> None:
        self._bus, self._subjects, self._clock = bus, subjects, clock
        self._since = clock() - LOOK_BACK

    async def look(self) -> float:
        """Write down what should have been in the log for :data:`LATE` seconds. Returns in how many seconds to look again."""
        before, stream = self._clock() - LATE, self._subjects.timers_stream
        timers = await self._bus.read(stream, self._subjects.timer("*", "*"))
        for stored in timers:
            if (at := _at(stored)) and at < before:
                await self._say(stored, at)
        gone_off = await self._bus.read(stream, self._subjects.due("*", "*"), since=self._since)
        for stored in gone_off:
            if stored.time < before and not await self._arrived(stored):
                await self._say(stored, stored.time)
        self._since = before - LATE  # where somebody's clock is a little apart
        return max(EVERY, (len(timers) + len(gone_off)) / READ_EACH_SECOND)

    async def _arrived(self, due: Stored) -> bool:
        """Whether the log has it. The timer for room goes off again and again, and each time is a message of its own there."""
        there = await self._bus.newest(self._subjects.tasks_stream, due.subject)
        return there is not None and (there.time >= due.time or not self._is_for_room(due))

    async def _say(self, stored: Stored, at: float) -> None:
        """``stored`` is the timer that was to go off at Unix time ``at``, or what came of it."""
        task, (_, timer) = self._subjects.parse_fact(stored.subject)
        once = f"{timer}-{stored.sequence}" if self._is_for_room(stored) else timer
        if await self._bus.write_once(self._subjects.overdue(task, once), b""):
            metrics.OVERDUE.inc()
            log.error("a timer did not reach the log", task=task, timer=timer, late=round(self._clock() - at, 1))

    def _is_for_room(self, stored: Stored) -> bool:
        return self._subjects.parse_fact(stored.subject)[1].about == ROOM


def _at(stored: Stored) -> float | None:
    """Unix seconds; None: somebody wrote something else there."""
    try:
        return datetime.fromisoformat(stored.headers.get(Header.SCHEDULE, "").removeprefix("@at ")).timestamp()
    except (ValueError, OverflowError):
        return None
