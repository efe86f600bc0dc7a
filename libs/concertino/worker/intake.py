"""What came off a queue, judged before anything is run: readable, still wanted, and not the death of those who take it."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from concertino.bus.port import Bus, Delivery
from concertino.bus.tasklog import TaskLog
from concertino.contracts.errors import Invalid, InvalidId
from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure, Planned, Result, Returned, Settled, Synthesized, Work
from concertino.contracts.subjects import Header, Subjects, check_id, check_work_id
from concertino.runtime.clock import Clock
from concertino.worker import policy

QUEUED_LONG = 1.0
"""Seconds in a queue after which it is worth asking whether the work is still wanted."""

_FACTS: dict[str, type[Settled]] = {"plan": Planned, "result": Result, "synthesis": Synthesized}


def settled_type(work: str) -> type[Settled]:
    """What the log takes as the end of the work of this id."""
    return _FACTS[work.partition(".")[0]]


class Run(Struct, frozen=True):
    """Begin it: this is attempt number ``attempt``."""

    work: Work
    attempt: int


class Fail(Struct, frozen=True):
    """Write a failed result without running anything. ``work`` is its id."""

    task: str
    work: str
    failure: Failure
    attempt: int


class Drop(Struct, frozen=True):
    """Acknowledge it: nobody waits for it, or nobody can say who does. ``why``, if any, is worth a line in the log."""

    why: str = ""


class Intake:
    """Judges deliveries. ``attempts`` is how often a piece of work may be begun."""

    def __init__(self, bus: Bus, subjects: Subjects, attempts: int, clock: Clock) -> None:
        self._bus, self._subjects, self._attempts, self._clock = bus, subjects, attempts, clock
        self._log = TaskLog(bus, subjects)

    async def judge(self, delivery: Delivery) -> Run | Fail | Drop:
        """What to do about ``delivery``. Raises :class:`BusUnavailable` where the bus cannot say yet."""
        try:
            work = await self._log.work_in(delivery.message)
            check_id(work.task)
            check_work_id(work.id)
        except Invalid as e:
            return self._unreadable(delivery, e)
        returned = 0
        if delivery.attempt > 1 or self._clock() - delivery.message.time >= QUEUED_LONG:
            done, over, returned = await asyncio.gather(
                self._count(work.task, work.id),
                self._count(work.task, "outcome"),
                self._count(work.task, self._subjects.returned(work.id, "*")),
            )
            if done or over:
                return Drop()
        attempt = delivery.attempt - returned
        abandoned = policy.poisoned(attempt, self._attempts)
        if abandoned:
            return Fail(work.task, work.id, abandoned, self._attempts)
        return Run(work, attempt)

    async def hand_back(self, work: Work, delivery: Delivery, worker: str) -> None:
        """Have another replica do it, now. That this one leaves is not the work's fault, so the log says not to count it."""
        await self._log.write(work.task, self._subjects.returned(work.id, delivery.attempt), Returned(worker=worker))
        await delivery.nak()

    def _unreadable(self, delivery: Delivery, error: Invalid) -> Fail | Drop:
        """The message id says whose work it was, even where the payload says nothing."""
        try:
            task, work = self._subjects.parse_message_id(delivery.message.headers.get(Header.MESSAGE_ID, ""))
        except InvalidId:
            return Drop(f"work that cannot be read, and names no task, is thrown away: {error}")
        return Fail(task, work, failure(error), delivery.attempt)

    async def _count(self, task: str, name: str) -> int:
        return len(await self._bus.last(self._subjects.tasks_stream, self._subjects.fact(task, name)))
