"""Attempts: begun with all that a handler is given, made inside the middleware, and ended in one of the ways that there are."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from concertino.bus.port import Delivery
from concertino.contracts.codec import encode
from concertino.contracts.errors import ConcertinoError, Transient
from concertino.contracts.facts import storable
from concertino.contracts.messages import Begun, Failure, Progress, ResultStatus, Settled, Signal, Work
from concertino.masking import masked
from concertino.telemetry import metrics, tracing
from concertino.telemetry.names import Attribute, Event
from concertino.worker import policy
from concertino.worker.context import Context
from concertino.worker.endings import Endings
from concertino.worker.handlers import Handler, call
from concertino.worker.intake import Run
from concertino.worker.job import Job
from concertino.worker.journal import Checkpoints, Journal
from concertino.worker.lease import Hold
from concertino.worker.middleware import Middleware, Next
from concertino.worker.middleware.alone import alone
from concertino.worker.middleware.deadline import deadline
from concertino.worker.middleware.measure import measure
from concertino.worker.middleware.observe import observe
from concertino.worker.middleware.slots import slots
from concertino.worker.middleware.trace import trace
from concertino.worker.replica import Replica
from concertino.worker.roster import Roster
from concertino.worker.stuck import Stuck
from concertino.worker.telling import Telling

log = structlog.get_logger(__name__)


class Attempts:
    """The attempts of ``replica``, by ``handler`` inside ``middleware``. Who is at work stands on ``roster``."""

    def __init__(
        self,
        replica: Replica,
        handler: Handler,
        roster: Roster,
        endings: Endings,
        telling: Telling,
        stuck: Stuck,
        middleware: Sequence[Middleware],
    ) -> None:
        self._replica, self._handler, self._roster, self._endings = replica, handler, roster, endings
        self._telling, self._stuck = telling, stuck
        # Some may never end: as many are left for what can be done, until the replica has to be started again.
        self._threads = ThreadPoolExecutor(2 * replica.slots, replica.kind)
        chain = [
            alone(replica.clock),
            slots(replica.slots, replica.monotonic),
            observe(replica.kind, replica.clock, replica.monotonic),
            trace,
            *middleware,
            measure(replica.monotonic),
            deadline(replica.clock),
        ]
        self._create_task = asyncio.get_running_loop().create_task  # to ask for the loop each time costs a call of the system
        handle: Next = self._handle
        self._call = functools.reduce(_wrap, reversed(chain), handle)

    def close(self) -> None:
        """Let go of the threads, whatever they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def make(self, found: Run, delivery: Delivery, span: tracing.Span) -> None:
        """Make the attempt at ``delivery`` that ``found`` says, and settle it; ``span`` is about all that."""
        hold = Hold(delivery)
        self._roster.hold(found.work, hold)
        try:
            job = await self._begin(found, hold)
            settled = await self._end(job, hold, found, span)
            if settled is None:
                return
            if settled.status == ResultStatus.FAILED:
                span.failed(settled.error.code if settled.error else settled.status.value)
                if job.hedge:
                    await self._endings.let_go(job, settled.error.message if settled.error else "it failed")
                    await hold.ack()
                    return
            await self._endings.settle(job, settled, span)
            await hold.ack(confirm=bool(job.context.spent))
        finally:
            self._roster.let_go(found.work, hold)

    # --- it begins

    async def _begin(self, found: Run, hold: Hold) -> Job:
        work, replica = found.work, self._replica
        hedge = work.attempt > 1
        journal = await self._journal(found, hold)
        context = Context(
            work,
            bus=replica.bus,
            model=replica.model,
            settings=replica.settings,
            say=functools.partial(self._say, work, found.attempt),
            delivery=journal.delivery,
            last_attempt=found.stands.counted >= replica.settings.attempts and not hedge,
            servers=replica.servers,
            clock=replica.clock,
            limits=replica.limits,
            journal=journal,
        )
        message = hold.message
        lane = replica.subjects.lane_of(message.subject)
        job = Job(work, found.attempt, context, replica.name, lane, message.time, journal.delivery)
        job.trace, job.told, job.hold, job.alone = tracing.here(), hedge, hold, found.stands.alone
        if found.before and found.before.became == "lost" and not job.alone:
            await self._take_over(job)
        if work.brief.max_seconds is not None and (hedge or hold.attempt > 1):
            job.since = await replica.intake.since(work, hold)
        return job

    async def _journal(self, found: Run, hold: Hold) -> Journal:
        """A hedge begins with what the slow attempt has kept. Nobody goes on from what it began itself."""
        replica, work = self._replica, found.work
        kept = Checkpoints(replica.bus, replica.subjects, work.task, work.id, 1, work.deadline)
        journal = Journal(kept, replica.kind, replica.name, hold.attempt, replica.clock)
        if work.attempt > 1:
            await journal.copy()
        elif hold.attempt > 1:
            await journal.open()
        return journal

    async def _is_no_first(self, job: Job, span: tracing.Span) -> None:
        """It was delivered as the first, and is none: the queue's consumer was made anew, or its server had not written down
        how far it had counted."""
        job.delivery = job.journal.delivery
        job.context.resume()
        try:
            before = await self._replica.log.read_one(
                job.work.task, self._replica.subjects.begun(job.work.id, job.delivery - 1)
            )
        except ConcertinoError as e:
            log.warning("who began the work before is not known", error=str(e))
            before = None
        span.set({Attribute.BEFORE: "lost"})
        if before:
            span.link(before.trace)
        await self._take_over(job)

    async def _take_over(self, job: Job) -> None:
        """Whoever held the work before may live, and has lost its lease: it hears now that it is of no use any more, or reads
        it in the log."""
        replica, task, work = self._replica, job.work.task, job.work.id
        begun = Begun(worker=job.replica, attempt=job.attempt, hedge=replica.may_be_hedged())
        signal = Signal(reason=Event.TAKEN_OVER, delivery=job.delivery)
        try:
            await replica.log.write(task, replica.subjects.begun(work, job.nth), begun)
            job.told = True
            await replica.bus.publish(replica.subjects.signal(task, work), encode(signal))
        except ConcertinoError as e:
            log.warning("whoever held the work before cannot be told", error=str(e))

    # --- it runs

    async def _run(self, job: Job, span: tracing.Span) -> Settled:
        """What it brings. Who is told to go is interrupted, and not what is done about it here."""
        job.running = running = self._create_task(self._call(job))
        job.journal.on_end(job.interrupt)
        job.journal.on_no_first(functools.partial(self._is_no_first, job, span))
        self._roster.enter(job)
        try:
            return await running
        finally:
            self._roster.leave(job)
            self._stuck.left(job)
            # Nothing points in a circle then: all of it is freed as it ends, and no collector has to look for it.
            job.running = None
            job.journal.on_end(None)
            job.journal.on_no_first(None)

    async def _handle(self, job: Job) -> Settled:
        if job.alone:
            await self._take_over(job)  # not before: what waits for its turn, and is lost with another, does not count
        elif job.work.limits.max_queued is not None:
            await self._telling.tell(job)  # it may end its worker at once, and is not to be taken for waiting then
        return await call(self._handler, job.context, self._threads, job.running)

    async def _say(self, work: Work, attempt: int, doing: str, text: str) -> None:
        replica = self._replica
        doing, text = masked(storable(doing)), masked(storable(text))
        told = Progress(doing=doing, at=replica.clock(), work=work.id, attempt=attempt, worker=replica.name, text=text)
        try:
            await replica.bus.publish(replica.subjects.progress(work.task, work.id), encode(told))
        except ConcertinoError as e:
            log.debug("progress could not be told", task=work.task, work=work.id, error=str(e))

    # --- it ends

    async def _end(self, job: Job, hold: Hold, found: Run, span: tracing.Span) -> Settled | None:
        """The result of ``job``; None where it has none, and all is said and done about that."""
        try:
            return await self._run(job, span)
        except asyncio.CancelledError:
            if await self._interrupted(job, hold, span):
                return None
            if _being_ended():
                raise  # it is we who are being ended, with the whole process
            bug = "the handler raised CancelledError though nobody cancelled it: catch it where it comes from"
            return await self._endings.given_up(job, Failure(code="bug", message=bug))
        except Exception as e:  # noqa: BLE001  (what became of it is decided there)
            return await self._raised(job, hold, found, span, e)

    async def _interrupted(self, job: Job, hold: Hold, span: tracing.Span) -> bool:
        """Whether somebody told it to go; then that is settled."""
        work, roster = job.work, self._roster
        if job.journal.taken_over:
            span.event(Event.TAKEN_OVER)
            await self._endings.book(job, Event.TAKEN_OVER)  # who has it settles it
        elif roster.is_over(work.task):
            span.event(Event.OVER)
            await self._endings.book(job, "the task ended")
            await hold.ack()
        elif roster.is_superseded(work.task, work.id):
            await self._endings.superseded(job, span)
            await hold.ack()
        elif roster.is_finishing(work.task) and job.began is None:
            span.event(Event.DROPPED)
            await hold.ack()
        elif self._replica.draining and job.hedge:
            span.event(Event.HANDED_BACK)
            await self._endings.book(job, "its worker left")
            await hold.ack()
        elif self._replica.draining:
            span.event(Event.HANDED_BACK)
            metrics.HANDED_BACK.labels(self._replica.kind).inc()
            if await self._endings.leave(job, "handed back", "handed_back"):
                await self._replica.intake.hand_back(work, hold, self._replica.name)
        else:
            return False
        return True

    async def _raised(self, job: Job, hold: Hold, found: Run, span: tracing.Span, error: Exception) -> Settled | None:
        """What follows from an ``error``: another attempt, or a failed result."""
        replica, why = self._replica, str(error)
        if not isinstance(error, ConcertinoError):
            log.exception("the handler failed", kind=job.work.brief.kind)
        if job.hedge:
            span.failed(tracing.code_of(error))
            await self._endings.let_go(job, why, error)
            await hold.ack()
            return None
        left = job.work.deadline - replica.clock()
        match policy.after(error, found.stands.counted, replica.settings.attempts, random.random, left):
            case policy.Retry(delay, code, _):
                metrics.RETRIES.labels(replica.kind, code).inc()
                log.warning("trying again", error=why, delay=round(delay, 1))
                span.failed(tracing.code_of(error))
                span.event(Event.TRIED_AGAIN, {Attribute.ERROR: code, Attribute.DELAY: round(delay, 1)})
                doubted = not isinstance(error, Transient)
                if await self._endings.leave(job, why, "tried_again", error, doubted=doubted):
                    await hold.nak(delay)
                return None
            case policy.Later(delay, code):
                metrics.RETRIES.labels(replica.kind, code).inc()
                log.info("handed back for now", error=why, delay=round(delay, 1))
                span.event(Event.HANDED_BACK, {Attribute.ERROR: code, Attribute.DELAY: round(delay, 1)})
                if await self._endings.leave(job, why, "handed_back", error):
                    await replica.intake.hand_back(job.work, hold, replica.name, delay)
                return None
            case policy.GiveUp(failure):
                return await self._endings.given_up(job, failure)


def _being_ended() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _wrap(inner: Next, middleware: Middleware) -> Next:
    return lambda job: middleware(job, inner)
