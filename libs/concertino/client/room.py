"""Whether the queues that a task needs have room for it: asked before anything of it is stored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import structlog

from concertino.bus.port import Bus
from concertino.contracts.errors import BusUnavailable, InvalidPlan, QueueFull, Refused
from concertino.contracts.messages import Submitted
from concertino.contracts.subjects import PLAN, SYNTHESIZE, Subjects
from concertino.runtime.clock import Clock

log = structlog.get_logger(__name__)

FRESH = 0.5
"""Seconds for which an answer of the server is good: who submits a thousand tasks a second does not ask a thousand times."""
BLIND = 60.0
"""Seconds until who could not see is asked again."""
AFTER = 2.0
"""Seconds after which who was refused may try again."""


class Room:
    """What one client knows of the queues. ``clock`` never jumps."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock = time.monotonic) -> None:
        self._bus, self._subjects, self._clock = bus, subjects, clock
        self._limit: int | None = None
        self._messages: Counter[str] = Counter()
        self._until = float("-inf")

    async def take(self, submitted: Submitted) -> None:
        """Count the work that ``submitted`` brings for certain. What it is planned to be later, nobody knows yet.

        Raises :class:`QueueFull` where one of its queues has no room for that, and :class:`InvalidPlan` where none ever has.
        """
        if self._clock() >= self._until:
            await self._look()
        if self._limit is None:
            return
        wanted = {self._subjects.work(submitted.lane, kind): (kind, count) for kind, count in needs(submitted).items()}
        for queue, (kind, count) in wanted.items():
            if count > self._limit:
                raise InvalidPlan(
                    f"the plan has {count:,} subtasks for {kind!r}, and its queue holds {self._limit:,} at the most: make "
                    "several tasks of it, or have the limit raised (CTN_MAX_QUEUED of whoever provisions)"
                )
            if self._messages[queue] + count > self._limit:
                raise QueueFull(
                    f"the queue of {kind!r}, lane {submitted.lane!r}, is full ({self._messages[queue]:,} of {self._limit:,}), "
                    "so the task was not submitted: try again later; more workers of that kind make room sooner",
                    after=AFTER,
                )
        self._messages.update({queue: count for queue, (_, count) in wanted.items()})

    async def _look(self) -> None:
        """At both lanes at once: one request serves whoever uses both."""
        try:
            found = await self._bus.queued(self._subjects.work_stream, self._subjects.work("*", "*"))
        except (BusUnavailable, Refused) as e:
            # An installation whose users were made by an earlier release: nobody may look there, and its queues have no limit.
            log.info("how full the queues are cannot be seen; submitting all the same", error=str(e))
            self._limit, self._until = None, self._clock() + BLIND
            return
        self._limit, self._messages, self._until = found.limit, Counter(found.messages), self._clock() + FRESH


def needs(submitted: Submitted) -> Mapping[str, int]:
    """By kind, how many pieces of work a task is sure to bring; of its sources' kinds, at least one."""
    found: Counter[str] = Counter()
    if submitted.plan is None:
        found[PLAN] += 1
    if submitted.until == "plan":
        return found
    if submitted.plan is None:
        found.update({source.kind for source in submitted.sources})
    else:
        done = {one.work for one in submitted.done}
        found.update(subtask.kind for subtask in submitted.plan.subtasks if subtask.work_id not in done)
    if submitted.plan is None or submitted.plan.synthesize:
        found[SYNTHESIZE] += 1
    return found
