"""How attempts end, as the log has it: with the one result, or with what was spent in vain."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import Literal

import structlog
from msgspec import structs

from concertino.bus.port import Delivery
from concertino.contracts.checkpoints import beyond
from concertino.contracts.errors import ConcertinoError, Transient, category
from concertino.contracts.facts import failure, storable
from concertino.contracts.messages import Failure, ResultStatus, Settled, Spent, Usage, Work
from concertino.masking import masked
from concertino.telemetry import metrics, tracing
from concertino.telemetry.labels import OTHER
from concertino.telemetry.names import Event
from concertino.worker import policy
from concertino.worker.intake import Fail, settled_type
from concertino.worker.job import Job
from concertino.worker.journal import Checkpoints
from concertino.worker.middleware.measure import metered
from concertino.worker.replica import Replica

WRITE_PAUSE = 1.0
"""Seconds between attempts to write a result while the bus is away."""

_SUPERSEDED = "another attempt was first"

log = structlog.get_logger(__name__)


class Endings:
    """Writes down how attempts of ``replica`` end."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    # --- with a result

    async def settle(self, job: Job, settled: Settled, span: tracing.Span) -> None:
        """``settled`` is the result, unless there is one already."""
        if await self._write(job.work, masked(settled)):
            self._count(settled)
        else:
            metrics.LATE.labels(self._replica.kind).inc()
            await self.superseded(job, span)

    async def abandon(self, found: Fail, delivery: Delivery) -> None:
        """It is given up without being begun."""
        why = policy.with_history(found.failure, await self._replica.intake.in_vain(found.task, found.work, delivery.attempt))
        checkpoints = Checkpoints(self._replica.bus, self._replica.subjects, found.task, found.work, 1)
        # What attempts that ended with their workers paid for, so far as it was kept.
        unbooked = (await checkpoints.resumed(await checkpoints.all())).unbooked
        failed = metered(self._failed(found.work, why, found.attempt), unbooked)
        if await self._replica.log.write(found.task, found.work, masked(failed)):
            self._count(failed)

    async def given_up(self, job: Job, why: Failure) -> Settled:
        """The failed result of an attempt, with what it took, and what the ones before it ended in."""
        if job.attempt > 1:
            why = policy.with_history(why, await self._earlier(job))
        failed = structs.replace(self._failed(job.work.id, why, job.attempt), seconds=self._took(job))
        return metered(failed, job.context.spent)

    # --- without one

    async def leave(
        self,
        job: Job,
        why: str,
        how: Literal["handed_back", "tried_again"],
        error: Exception | None = None,
        *,
        doubted: bool = False,
    ) -> bool:
        """An attempt ends, and the work goes on: book what it took. False: another worker has the work already, and nothing is
        to be said about it any more."""
        if job.began is not None:
            await job.journal.close(how, doubted=doubted)
        await self.book(job, why, error)
        return not job.journal.taken_over

    async def superseded(self, job: Job, span: tracing.Span) -> None:
        """Its work has a result, of another attempt."""
        log.info(_SUPERSEDED)
        span.event(Event.LATE)
        if first := await self._replica.log.read_one(job.work.task, job.work.id):
            span.link(first.trace)
        await self.book(job, _SUPERSEDED)

    async def let_go(self, job: Job, why: str, error: Exception | None = None) -> None:
        """A hedge that brings nothing is not tried again, and is no result: the attempt beside it goes on."""
        log.warning("a second attempt brought nothing; the first goes on", error=why)
        await self.book(job, why, error)

    async def book(self, job: Job, why: str, error: Exception | None = None) -> None:
        """Put what an attempt without a result took into the log, so that no call of a model and no second goes uncounted.
        Where it was taken over, that is what was not kept: the rest is counted by who took it over. ``error`` is what it ended
        in, if anything."""
        if job.began is None:
            return
        used = beyond(job.context.spent, job.journal.accounted) if job.journal.taken_over else job.context.spent
        spent = Spent(
            worker=job.replica,
            why=masked(storable(why)),
            code=failure(error).code if error else "",
            category=category(error) if error else "",
            attempt=job.attempt,
            seconds=self._took(job),
            usage=functools.reduce(operator.add, used.values(), Usage()),
            spent=dict(used),
        )
        await self._replica.log.write(job.work.task, self._replica.subjects.spent(job.work.id, job.nth), spent)

    # --- inside

    async def _write(self, work: Work, settled: Settled) -> bool:
        """Write the result, however long the bus is away: nobody throws away what is done. False: there is one already."""
        while True:
            try:
                return await self._replica.log.store(work.task, work.id, settled) is not None
            except Transient as e:
                if self._replica.draining or self._replica.clock() > work.deadline:
                    raise
                log.warning("a result cannot be written yet", error=str(e))
                await asyncio.sleep(WRITE_PAUSE)

    def _count(self, settled: Settled) -> None:
        """Only whoever wrote the result does, so each piece of work counts once."""
        kind = self._replica.kind
        metrics.RESULTS.labels(kind, settled.status).inc()
        if settled.status == ResultStatus.FAILED:
            code = settled.error.code if settled.error else OTHER
            metrics.FAILURES.labels(kind, code).inc()
            log.warning("failed for good", code=code)  # its text is in the task's log, and may quote what was read

    async def _earlier(self, job: Job) -> list[Spent]:
        """What the log says of attempts in vain, in order; nothing where it cannot be read, as it is told for people alone."""
        try:
            return await self._replica.intake.in_vain(job.work.task, job.work.id, job.delivery)
        except ConcertinoError as e:
            log.warning("earlier attempts cannot be read", error=str(e))
            return []

    def _took(self, job: Job) -> float:
        if job.began is None:
            return 0.0
        return round(max(self._replica.monotonic() - job.began - job.context.waits.seconds, 0.0), 4)

    def _failed(self, work: str, why: Failure, attempt: int) -> Settled:
        return settled_type(work)(status=ResultStatus.FAILED, error=why, attempts=attempt, worker=self._replica.name)
