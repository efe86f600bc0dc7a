"""What is said to work under way: that it is of no use any more, that another has it, that it is to finish.

Signals are not stored. What was said and not heard is in the log, which is looked at where the connection was lost, and for
what has been at work for as long as its lease is renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from concertino.bus.port import Stored, Subscription
from concertino.contracts.codec import decode
from concertino.contracts.errors import ConcertinoError, Invalid
from concertino.contracts.messages import WRITING_UP, Signal
from concertino.contracts.subjects import FINISH, HALTED, Header
from concertino.worker.job import Job
from concertino.worker.replica import Replica
from concertino.worker.roster import Roster
from concertino.worker.telling import Telling

_LAST_WORD = 1.0
"""Seconds from the end of what is to be finished until its result is in the log."""

log = structlog.get_logger(__name__)


class Signals:
    """Passes on to those on ``roster`` what is said to them."""

    def __init__(self, replica: Replica, roster: Roster, telling: Telling) -> None:
        self._replica, self._roster, self._telling = replica, roster, telling
        self._subscriptions: list[Subscription] = []
        self._heard_garbage = False
        self._looking: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Listen, from now on."""
        bus, subjects = self._replica.bus, self._replica.subjects
        for subject in (subjects.signal("*"), subjects.signal("*", subjects.work_of(self._replica.kind))):
            self._subscriptions.append(await bus.subscribe(subject, self._on_signal))
        if not self._replica.internal:
            self._subscriptions.append(await bus.subscribe(subjects.finish_signal("*"), self._on_finish))
        bus.on_reconnect(self._on_reconnect)
        self._looking = asyncio.create_task(self._look())

    async def end(self) -> None:
        if self._looking:
            self._looking.cancel()
        for subscription in self._subscriptions:
            await subscription.stop()

    async def _on_signal(self, message: Stored) -> None:
        task, work = self._replica.subjects.parse_signal(message.subject)
        if (signal := self._read(message)) is None:
            return
        if signal.delivery:
            self._roster.taken_over(task, work, signal.delivery)
        else:
            self._roster.abort(task, work)

    async def _on_finish(self, message: Stored) -> None:
        task, _ = self._replica.subjects.parse_signal(message.subject)
        if self._read(message) is not None:
            await self._finish(task, WRITING_UP)

    def _read(self, message: Stored) -> Signal | None:
        """None for what is no signal of ours: no work ends because of it. What it may have stood for is in the log."""
        try:
            return decode(Signal, message.data, message.headers.get(Header.SCHEMA))
        except Invalid as e:
            if not self._heard_garbage:
                self._heard_garbage = True  # once: whoever sends one may send a thousand
                log.warning(
                    "what is no signal is ignored, and so is what comes after it", subject=message.subject, error=str(e)
                )
            return None

    async def _finish(self, task: str, seconds: float) -> None:
        jobs = self._roster.finish(task, seconds - _LAST_WORD)
        await asyncio.gather(*(self._telling.tell(job) for job in jobs))

    # --- what was not heard

    def _on_reconnect(self) -> None:
        self._catching_up = asyncio.create_task(self._catch_up(self._roster.jobs(), cut_off=True))

    async def _look(self) -> None:
        """A signal may also be lost where no connection is. What is done sooner pays nothing for it."""
        before: set[Job] = set()
        while True:
            await asyncio.sleep(self._replica.settings.lease / 3)
            await self._catch_up([job for job in self._roster.jobs() if job in before], cut_off=False)
            before = set(self._roster.jobs())

    async def _catch_up(self, jobs: Sequence[Job], *, cut_off: bool) -> None:
        """What was said is in the log, as the task's end, a result, the wish to finish, or a later delivery that has begun;
        that one, who was not ``cut_off`` finds when it keeps its next turn."""
        jobs = [job for job in jobs if not job.context.cancelled]
        for (task, work), number in {(job.work.task, job.work.id): job.delivery for job in jobs}.items():
            try:
                if await self._replica.log.read_one(task, HALTED):
                    self._roster.abort(task)
                elif await self._replica.log.read_one(task, work):
                    self._roster.abort(task, work)
                elif cut_off and (newest := await self._replica.intake.newest_begun(task, work, number)):
                    self._roster.taken_over(task, work, newest)
                if self._replica.internal or self._roster.is_finishing(task):
                    continue
                if wish := await self._replica.log.read_one(task, FINISH):
                    await self._finish(task, WRITING_UP - max(self._replica.clock() - wish.time, 0.0))
            except ConcertinoError as e:
                log.warning("whether a task is over cannot be seen", task=task, error=str(e))
