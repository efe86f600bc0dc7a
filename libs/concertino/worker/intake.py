"""What came off a queue, judged before anything is run: readable, still wanted, and not the death of those who take it."""

from __future__ import annotations

import asyncio
from typing import Literal

from msgspec import Struct

from concertino.bus.port import Bus, Delivery, Stored
from concertino.bus.tasklog import TaskLog
from concertino.contracts.errors import Invalid, InvalidId
from concertino.contracts.facts import failure
from concertino.contracts.messages import Begun, Failure, Planned, Result, Returned, Settled, Spent, Synthesized, Work
from concertino.contracts.subjects import FINISH, Header, Subjects, check_id, check_work_id, nth, parse_nth
from concertino.contracts.trace import NO_TRACE, Trace, trace_of
from concertino.runtime.clock import Clock
from concertino.worker import policy

QUEUED_LONG = 1.0
"""Seconds in a queue after which it is worth asking whether the work is still wanted."""

_FACTS: dict[str, type[Settled]] = {"plan": Planned, "result": Result, "synthesis": Synthesized}


def settled_type(work: str) -> type[Settled]:
    """What the log takes as the end of the work of this id."""
    return _FACTS[work.partition(".")[0]]


class Before(Struct, frozen=True):
    """What the log says of the delivery before: what became of it, and its span, where it left one. For a hedge it is the
    attempt that is slow, beside which it is made."""

    became: Literal["tried_again", "handed_back", "lost", "slow"]
    trace: Trace


class Run(Struct, frozen=True):
    """Begin it: this is attempt number ``attempt``. ``before``, where it was delivered before."""

    work: Work
    attempt: int
    before: Before | None = None


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
        if work.attempt > 1:
            return await self._judge_hedge(work)
        returned: list[Stored] = []
        before: Before | None = None
        if delivery.attempt > 1 or self._clock() - delivery.message.time >= QUEUED_LONG:
            done, over, finish, handed_back = await asyncio.gather(
                self._there(work.task, work.id),
                self._there(work.task, "outcome"),
                self._there(work.task, FINISH),
                self._there(work.task, self._subjects.returned(work.id, "*")),
            )
            if done or over or (finish and work.id.startswith("result.")):
                return Drop()
            returned = [stored for stored in handed_back if _delivery(stored)[0] == work.attempt]
        if delivery.attempt > 1:
            before = await self._before(work, delivery.attempt - 1, returned)
        attempt = delivery.attempt - len(returned)
        abandoned = policy.poisoned(attempt, self._attempts)
        if abandoned:
            return Fail(work.task, work.id, abandoned, self._attempts)
        return Run(work, attempt, before)

    async def _judge_hedge(self, work: Work) -> Run | Drop:
        """It is begun once. One that dies with its worker is no loss: the attempt beside it goes on, and is tried again."""
        done, over, begun = await asyncio.gather(
            self._there(work.task, work.id),
            self._there(work.task, "outcome"),
            self._there(work.task, self._subjects.begun(work.id, "*")),
        )
        slow = [stored for stored in begun if _delivery(stored)[0] == 1]
        if done or over or len(begun) > len(slow):
            return Drop()
        last = max(slow, key=_delivery, default=None)
        return Run(work, 1, Before("slow", trace_of(last.headers) if last else NO_TRACE))

    async def since(self, work: Work, delivery: Delivery) -> float | None:
        """Unix time at which ``work`` was first begun by what the log says; None: it is begun now."""
        earlier = max(delivery.attempt - 1, 1 if work.attempt > 1 else 0)
        names = (self._subjects.begun(work.id, number) for number in range(1, earlier + 1))
        facts = await asyncio.gather(*(self._log.read_one(work.task, name) for name in names))
        return min((f.time - f.message.seconds for f in facts if f and isinstance(f.message, Begun)), default=None)

    async def begin_hedge(self, work: Work, delivery: Delivery, worker: str) -> bool:
        """Say at once that it is begun. False: that was said before, so somebody else has it, or had."""
        name = self._subjects.begun(work.id, nth(work.attempt, delivery.attempt))
        return await self._log.write(work.task, name, Begun(worker=worker))

    async def _before(self, work: Work, number: int, returned: list[Stored]) -> Before:
        """Of one that told nothing at its end, what it told when it had gone on for a while may still be there."""
        last = self._subjects.fact(work.task, self._subjects.returned(work.id, number))
        spent, begun = await asyncio.gather(
            self._there(work.task, self._subjects.spent(work.id, number)),
            self._there(work.task, self._subjects.begun(work.id, number)),
        )
        if found := [stored for stored in returned if stored.subject == last]:
            return Before("handed_back", trace_of(found[0].headers))
        if spent:
            return Before("tried_again", trace_of(spent[0].headers))
        return Before("lost", trace_of(begun[0].headers) if begun else NO_TRACE)

    async def in_vain(self, task: str, work: str) -> list[Spent]:
        """What the log says of attempts that ended without a result, in order."""
        names = [str(self._subjects.parse_fact(s.subject)[1]) for s in await self._there(task, self._subjects.spent(work, "*"))]
        facts = [await self._log.read_one(task, name) for name in names]
        found = [fact.message for fact in facts if fact and isinstance(fact.message, Spent)]
        return sorted(found, key=lambda spent: spent.attempt)

    async def hand_back(self, work: Work, delivery: Delivery, worker: str) -> None:
        """Have another replica do it, now. That this one leaves is not the work's fault, so the log says not to count it."""
        await self._log.write(work.task, self._subjects.returned(work.id, delivery.attempt), Returned(worker=worker))
        await delivery.nak()

    def _unreadable(self, delivery: Delivery, error: Invalid) -> Fail | Drop:
        """The message id says whose work it was, even where the payload says nothing."""
        try:
            task, work, sent = self._subjects.parse_message_id(delivery.message.headers.get(Header.MESSAGE_ID, ""))
        except InvalidId:
            return Drop(f"work that cannot be read, and names no task, is thrown away: {error}")
        if sent > 1:
            return Drop(f"a hedge that cannot be read is thrown away; the attempt beside it goes on: {error}")
        return Fail(task, work, failure(error), delivery.attempt)

    async def _there(self, task: str, name: str) -> list[Stored]:
        return await self._bus.last(self._subjects.tasks_stream, self._subjects.fact(task, name))


def _delivery(stored: Stored) -> tuple[int, int]:
    """Attempt and delivery that a fact is about."""
    return parse_nth(stored.subject.rpartition(".")[2])
