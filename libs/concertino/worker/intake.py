"""What came off a queue, judged before anything is run: readable, still wanted, and not the death of those who take it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from concertino.bus.port import Bus, Delivery, Stored
from concertino.bus.tasklog import TaskLog
from concertino.contracts.errors import Invalid, InvalidId
from concertino.contracts.facts import failure
from concertino.contracts.messages import (
    Begun,
    Checkpoint,
    Failure,
    Planned,
    Result,
    Returned,
    Settled,
    Spent,
    Synthesized,
    Work,
)
from concertino.contracts.subjects import FINISH, HALTED, Header, Subjects, check_id, check_work_id, nth, parse_nth
from concertino.contracts.trace import NO_TRACE, Trace, trace_of
from concertino.runtime.clock import Clock
from concertino.worker import policy
from concertino.worker.journal import Checkpoints
from concertino.worker.suspicion import Standing, Told, standing

QUEUED_LONG = 1.0
"""Seconds in a queue after which it is worth asking whether the work is still wanted."""

_IN_A_ROW = 8

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
    """Begin it: this is attempt number ``attempt``. ``before``, where it was delivered before; ``stands``, what counts."""

    work: Work
    attempt: int
    before: Before | None = None
    stands: Standing = Standing(1)


class Fail(Struct, frozen=True):
    """Write a failed result without running anything. ``work`` is its id."""

    task: str
    work: str
    failure: Failure
    attempt: int


class Drop(Struct, frozen=True):
    """Acknowledge it: nobody waits for it, or nobody can say who does. ``why``, if any, is worth a line in the log."""

    why: str = ""


class Leave(Struct, frozen=True):
    """Let it be, unsettled: it came so late that its lease is over, and a later delivery has begun."""


class Intake:
    """Judges deliveries. ``attempts`` is how often a piece of work may be begun."""

    def __init__(self, bus: Bus, subjects: Subjects, attempts: int, clock: Clock) -> None:
        self._bus, self._subjects, self._attempts, self._clock = bus, subjects, attempts, clock
        self._log = TaskLog(bus, subjects)

    async def judge(self, delivery: Delivery) -> Run | Fail | Drop | Leave:
        """What to do about ``delivery``. Raises :class:`BusUnavailable` where the bus cannot say yet."""
        try:
            work = await self._log.work_in(delivery.message)
            check_id(work.task)
            check_work_id(work.id)
        except Invalid as e:
            return self._unreadable(delivery, e)
        if work.attempt > 1:
            return await self._judge_hedge(work, delivery.attempt)
        if delivery.attempt == 1 and self._clock() - delivery.message.time < QUEUED_LONG:
            return Run(work, 1)
        # Whoever was frozen, or heard nothing, finds in its socket what another has long been given.
        no_use, later = await asyncio.gather(self._of_no_use(work), self._begun_later(work, delivery))
        if no_use:
            return Drop()
        if later:
            return Leave()
        before: Before | None = None
        attempt, stands = delivery.attempt, Standing(delivery.attempt)
        if delivery.attempt > 1:
            names = (self._subjects.returned(work.id, number) for number in range(1, delivery.attempt))
            returned = await self._those_of(work.task, names)
            before = await self._before(work, delivery.attempt - 1, returned)
            attempt -= len(returned)
            stands = Standing(attempt)
            if attempt >= self._attempts:  # else it does not matter yet
                stands = standing(delivery.attempt, self._attempts, await self._told(work, delivery.attempt, returned))
        abandoned = policy.poisoned(stands.counted, self._attempts, attempt)
        if abandoned:
            return Fail(work.task, work.id, abandoned, self._attempts)
        return Run(work, attempt, before, stands)

    async def _judge_hedge(self, work: Work, delivery: int) -> Run | Drop:
        """It is begun once. One that dies with its worker is no loss: the attempt beside it goes on, and is tried again."""
        names = (self._subjects.begun(work.id, nth(work.attempt, number)) for number in range(1, delivery + 1))
        if await self._of_no_use(work) or await self._those_of(work.task, names):
            return Drop()
        return Run(work, 1, Before("slow", await self._slow(work)))

    async def _slow(self, work: Work) -> Trace:
        """The span of the attempt that is slow: of the last delivery that told that it had begun."""
        last = await self._last_begun(work.task, work.id)
        return trace_of(last.headers) if last else NO_TRACE

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

    async def newest_begun(self, task: str, work: str, after: int) -> int:
        """The newest delivery of ``work``, of those that came ``after`` that one, that says it has begun; 0: none does."""
        last = await self._last_begun(task, work, after)
        return parse_nth(last.subject.rpartition(".")[2])[1] if last else 0

    async def _last_begun(self, task: str, work: str, after: int = 0) -> Stored | None:
        """How many deliveries there were is not known: so many in a row that tell nothing are those that there were not."""
        last = None
        for first in itertools.count(after + 1, _IN_A_ROW):
            names = (self._subjects.begun(work, number) for number in range(first, first + _IN_A_ROW))
            begun = await self._those_of(task, names)
            if not begun:
                break
            last = begun[-1]
        return last

    async def _before(self, work: Work, number: int, returned: list[Stored]) -> Before:
        """Of one that told nothing at its end, what it told when it had gone on for a while may still be there."""
        last = self._subjects.fact(work.task, self._subjects.returned(work.id, number))
        if found := [stored for stored in returned if stored.subject == last]:
            return Before("handed_back", trace_of(found[0].headers))
        spent, begun = await asyncio.gather(
            self._there(work.task, self._subjects.spent(work.id, number)),
            self._there(work.task, self._subjects.begun(work.id, number)),
        )
        if spent:
            return Before("tried_again", trace_of(spent.headers))
        return Before("lost", trace_of(begun.headers) if begun else NO_TRACE)

    async def _told(self, work: Work, before: int, returned: list[Stored]) -> Told:
        """Of the deliveries that came ``before`` this."""
        numbers = range(1, before)
        begun, spent, checkpoints = await asyncio.gather(
            self._those_of(work.task, (self._subjects.begun(work.id, number) for number in numbers)),
            asyncio.gather(*(self._log.read_one(work.task, self._subjects.spent(work.id, number)) for number in numbers)),
            self._kept(work),
        )
        ended = {number: fact.message for number, fact in zip(numbers, spent, strict=True) if fact}
        return Told(
            returned=_numbers(returned),
            begun=_numbers(begun),
            ended=ended.keys(),
            failed={number for number, message in ended.items() if isinstance(message, Spent) and message.category},
            kept={c.delivery for c in checkpoints if any(record.answer and not record.part for record in c.records)},
        )

    async def _kept(self, work: Work) -> list[Checkpoint]:
        try:
            return await Checkpoints(self._bus, self._subjects, work.task, work.id, work.attempt).all()
        except Invalid:
            return []  # nobody goes on from what cannot be read

    async def in_vain(self, task: str, work: str, before: int) -> list[Spent]:
        """What the log says of attempts that ended without a result, in order: of the deliveries that came ``before`` this."""
        names = (self._subjects.spent(work, number) for number in range(1, before))
        facts = await asyncio.gather(*(self._log.read_one(task, name) for name in names))
        return [fact.message for fact in facts if fact and isinstance(fact.message, Spent)]

    async def hand_back(self, work: Work, delivery: Delivery, worker: str, delay: float = 0.0) -> None:
        """Have any replica do it, after ``delay`` seconds. That this one does not is not its fault, so the log says not to
        count it."""
        await self._log.write(work.task, self._subjects.returned(work.id, delivery.attempt), Returned(worker=worker))
        await delivery.nak(delay)

    def _unreadable(self, delivery: Delivery, error: Invalid) -> Fail | Drop:
        """The message id says whose work it was, even where the payload says nothing."""
        try:
            task, work, sent = self._subjects.parse_message_id(delivery.message.headers.get(Header.MESSAGE_ID, ""))
        except InvalidId:
            return Drop(f"work that cannot be read, and names no task, is thrown away: {error}")
        if sent > 1:
            return Drop(f"a hedge that cannot be read is thrown away; the attempt beside it goes on: {error}")
        return Fail(task, work, failure(error), delivery.attempt)

    async def _of_no_use(self, work: Work) -> bool:
        """Whether it has its result, or the task its end, or its caller wants no more results."""
        names = (work.id, HALTED, *([FINISH] if work.id.startswith("result.") else []))
        return bool(await self._those_of(work.task, names))

    async def _begun_later(self, work: Work, delivery: Delivery) -> bool:
        """Whether the delivery after this one says that it has begun: it does so at once."""
        return await self._there(work.task, self._subjects.begun(work.id, delivery.attempt + 1)) is not None

    async def _those_of(self, task: str, names: Iterable[str]) -> list[Stored]:
        """The facts of these names that there are, in this order. Each is asked for by name: a worker may read no others."""
        found = await asyncio.gather(*(self._there(task, name) for name in names))
        return [stored for stored in found if stored is not None]

    async def _there(self, task: str, name: str) -> Stored | None:
        return await self._bus.newest(self._subjects.tasks_stream, self._subjects.fact(task, name))


def _numbers(about: Iterable[Stored]) -> set[int]:
    """Of the deliveries that these facts are about."""
    return {parse_nth(stored.subject.rpartition(".")[2])[1] for stored in about}
