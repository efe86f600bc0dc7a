"""Whether the queues that a task needs have room for it, orchestrators keep up, and the log has the time: asked before anything
of it is stored."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import structlog

from concertino.bus import topology
from concertino.bus.port import Bus, Queued
from concertino.contracts.budget import longest
from concertino.contracts.errors import BusUnavailable, InvalidMessage, InvalidPlan, QueueFull, Refused
from concertino.contracts.messages import Lane, Submitted
from concertino.contracts.subjects import PLAN, ROOM, SYNTHESIZE, Subjects
from concertino.runtime.clock import Clock

log = structlog.get_logger(__name__)

FRESH = 0.5
"""Seconds for which an answer of the server is good: who submits a thousand tasks a second does not ask a thousand times."""
PLENTY = 5.0
"""Seconds for which one is that is older, where there was room for twice as much: it is asked again meanwhile. Who submits now
and then does not wait for an answer that is nearly always the same."""
BLIND = 60.0
"""Seconds until who may not look tries again."""
UNANSWERED = 2.0
"""Seconds until who was not answered asks again: a bus is slow where it is asked too much, so there is to be a limit."""
AFTER = 2.0
"""Seconds after which who was refused may try again."""
BEHIND = 1_000
"""Facts that may wait for orchestrators however small the queues are: so many are there for a moment when a wide task's results
come in, and settled within a second."""


class Room:
    """What one client knows of the queues. ``clock`` never jumps."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock = time.monotonic) -> None:
        self._bus, self._subjects, self._clock = bus, subjects, clock
        self._limit: int | None = None
        self._keep: float | None = None
        self._messages: Counter[str] = Counter()
        self._behind = 0
        self._until = self._unseen_until = float("-inf")
        self._blind_until: dict[str, float] = {}
        self._looking = asyncio.Lock()
        self._meanwhile: asyncio.Task[None] | None = None

    async def take(self, submitted: Submitted) -> None:
        """Count the work that ``submitted`` brings for certain. What it is planned to be later, nobody knows yet.

        Raises :class:`QueueFull` where one of its queues has no room for that, or orchestrators have too much before them,
        :class:`InvalidPlan` where no queue ever has room, and :class:`InvalidMessage` where it might still go on when its log
        begins to be deleted.
        """
        wanted = {self._subjects.work(submitted.lane, kind): (kind, count) for kind, count in needs(submitted).items()}
        if self._clock() >= self._until:
            if self._is_plenty(submitted.lane, {queue: count for queue, (_, count) in wanted.items()}):
                if self._meanwhile is None or self._meanwhile.done():
                    self._meanwhile = asyncio.create_task(self._look())
            else:
                await self._look()
        if self._keep is not None and submitted.limits.deadline > longest(self._keep):
            raise InvalidMessage(
                f"the deadline is {submitted.limits.deadline:g} s, and may be {longest(self._keep):g} s at the most, as this "
                f"installation keeps the log of a task for {self._keep:g} s: set a shorter deadline, or have it kept longer "
                "(CTN_KEEP of whoever provisions and of the orchestrators)"
            )
        if self._limit is None:
            return
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
        most = may_wait(self._limit, submitted.lane)
        if self._behind >= most:
            raise QueueFull(
                f"the orchestrators are behind ({self._behind:,} facts of tasks wait for them, and {most:,} may), so the task "
                "was not submitted: try again later; where it stays so, see that one is running",
                after=AFTER,
            )
        self._messages.update({queue: count for queue, (_, count) in wanted.items()})
        self._behind += 1

    def _is_plenty(self, lane: Lane, wanted: Mapping[str, int]) -> bool:
        """Whether there was room for ``wanted`` in half of what there is, a few seconds ago."""
        if self._limit is None or self._clock() >= self._until + PLENTY:
            return False
        fits = all(2 * (self._messages[queue] + count) <= self._limit for queue, count in wanted.items())
        return fits and 2 * self._behind < may_wait(self._limit, lane)

    async def _look(self) -> None:
        """Of many at once one looks: another look would forget what was counted since."""
        async with self._looking:
            if self._clock() >= self._until:
                await self._look_at_all()

    async def _look_at_all(self) -> None:
        """At both lanes at once: one look serves whoever uses both."""
        found, self._behind = await asyncio.gather(self._queued(), self._undecided())
        if found is None:
            self._limit, self._keep, self._until = None, None, self._unseen_until
            return
        self._keep = found.keep
        self._limit, self._messages, self._until = found.limit, Counter(found.messages), self._clock() + FRESH

    async def _queued(self) -> Queued | None:
        """None where it cannot be seen: in an installation whose users were made by an earlier release nobody may look there,
        and its queues have no limit."""
        try:
            return await self._bus.queued(self._subjects.work_stream, self._subjects.work("*", "*"))
        except (BusUnavailable, Refused) as e:
            log.info("how full the queues are cannot be seen; submitting all the same", error=str(e))
            self._unseen_until = self._clock() + _blind(e)
            return None

    async def _undecided(self) -> int:
        """Facts that orchestrators are not done with: those of submitted tasks, until all their first work is in its queues.
        Where that waits for room, a timer stands for the task."""
        return sum(await asyncio.gather(self._seen("their facts", self._facts), self._seen("what waits", self._waiting)))

    async def _facts(self) -> int:
        return sum(await self._bus.depth(topology.coordinator(self._subjects)))

    async def _waiting(self) -> int:
        return await self._bus.count(self._subjects.timers_stream, self._subjects.timer("*", ROOM))

    async def _seen(self, what: str, look: Callable[[], Awaitable[int]]) -> int:
        """0 where it cannot be seen, as the users of earlier releases may not."""
        if self._clock() < self._blind_until.get(what, float("-inf")):
            return 0
        try:
            return await look()
        except (BusUnavailable, Refused) as e:
            log.info("how far orchestrators are behind cannot be seen; submitting all the same", what=what, error=str(e))
            self._blind_until[what] = self._clock() + _blind(e)
            return 0


def _blind(error: BusUnavailable | Refused) -> float:
    return BLIND if isinstance(error, Refused) else UNANSWERED


def may_wait(limit: int, lane: Lane) -> int:
    """Facts that may wait for orchestrators before a task of ``lane`` is refused, where a queue holds ``limit`` messages.

    There is one queue of facts for both lanes: a flood of batch tasks leaves half of it to the other."""
    most = max(limit, BEHIND)
    return most if lane == "batch" else 2 * most


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
        found.update([subtask.kind for subtask in submitted.plan.subtasks if not done or subtask.work_id not in done])
    if submitted.plan is None or submitted.plan.synthesize:
        found[SYNTHESIZE] += 1
    return found
