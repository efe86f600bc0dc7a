"""The one runtime that all workers share: takes work, runs its handler inside the middleware, writes the result once, settles.

The order is what makes it safe: the fact first, then the acknowledgement. Who crashes between is delivered the work again,
finds its result in the log, and acknowledges.
"""

from __future__ import annotations

import asyncio
import functools
import operator
import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import structlog
from msgspec import structs

from concertino.bus import topology
from concertino.bus.port import Bus, Consumption, Delivery, Stored, Subscription
from concertino.bus.tasklog import TaskLog
from concertino.contracts.checkpoints import Bill, beyond
from concertino.contracts.codec import decode, encode
from concertino.contracts.errors import ConcertinoError, Invalid, Transient, category
from concertino.contracts.facts import failure
from concertino.contracts.messages import (
    WRITING_UP,
    Announcement,
    Begun,
    Failure,
    Progress,
    ResultStatus,
    Settled,
    Signal,
    Spent,
    Usage,
    Work,
)
from concertino.contracts.subjects import FINISH, HALTED, LANES, Header
from concertino.masking import masked
from concertino.model.port import Model
from concertino.runtime.clock import Clock
from concertino.runtime.settings import Settings
from concertino.telemetry import logs, metrics, tracing
from concertino.telemetry.labels import OTHER
from concertino.telemetry.names import Attribute, Event
from concertino.worker import lease, policy, receipt
from concertino.worker.context import Context
from concertino.worker.handlers import Handler, call
from concertino.worker.intake import Drop, Fail, Intake, Run, settled_type
from concertino.worker.job import Job
from concertino.worker.journal import Checkpoints, Journal
from concertino.worker.mcp import Servers
from concertino.worker.middleware import Middleware, Next
from concertino.worker.middleware.deadline import deadline
from concertino.worker.middleware.measure import measure, metered
from concertino.worker.middleware.observe import observe
from concertino.worker.middleware.slots import slots
from concertino.worker.middleware.trace import trace
from concertino.worker.presence import RENEWED_EVERY, Presence
from concertino.worker.telling import TOLD_AFTER, Telling

REMEMBERED_ABORTS = 10_000
LAST_WORDS = 5.0
"""Seconds for handlers that were interrupted, after the grace: to let go, and for their work to be handed back."""
WRITE_PAUSE = 1.0
"""Seconds between attempts to write a result while the bus is away."""

_SUPERSEDED = "another attempt was first"
_LAST_WORD = 1.0
"""Seconds from the end of what is to be finished until its result is in the log."""

log = structlog.get_logger(__name__)


class Runtime:
    """One replica of one kind. ``announcement`` says what it does and how many pieces of work it takes at once.

    ``servers`` are MCP servers that it may use: they are closed when it is drained, and their tools are announced as they come
    and go. A ``model`` that it owns is closed then, too.
    """

    def __init__(
        self,
        announcement: Announcement,
        handler: Handler,
        *,
        bus: Bus,
        model: Model,
        settings: Settings,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
        middleware: Sequence[Middleware] = (),
        renewed_every: float = RENEWED_EVERY,
        told_after: float = TOLD_AFTER,
        servers: Servers | None = None,
        owns_model: bool = False,
    ) -> None:
        self._announcement, self._handler = announcement, handler
        self._bus, self._model, self._settings, self._clock = bus, model, settings, clock
        self._subjects = settings.subjects
        self._log = TaskLog(bus, self._subjects)
        self._intake = Intake(bus, self._subjects, settings.attempts, clock)
        self._servers = servers or Servers()
        self._owns_model = owns_model
        self._presence = Presence(bus, self._subjects, self._announced, renewed_every)
        self._threads = ThreadPoolExecutor(announcement.slots, announcement.kind)
        self._deliveries: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[Settled], Job] = {}
        self._aborted: OrderedDict[str | tuple[str, str], None] = OrderedDict()
        self._finishing: OrderedDict[str, None] = OrderedDict()
        self._draining = False
        self._consumptions: list[Consumption] = []
        self._signals: list[Subscription] = []
        self._catching_up: asyncio.Task[None] | None = None
        self._monotonic = monotonic
        self._telling = Telling(self._log, self._subjects, self._running.values, monotonic, told_after, self._may_be_hedged)
        chain = [
            slots(announcement.slots, monotonic),
            observe(announcement.kind, clock, monotonic),
            trace,
            *middleware,
            measure(monotonic),
            deadline(clock),
        ]
        handle: Next = self._handle
        self._call = functools.reduce(_wrap, reversed(chain), handle)

    async def start(self) -> None:
        """Take work from now on, and say so on the bus."""
        kind = self._announcement.kind
        await self._bus.provision(topology.queues(self._subjects, [kind], self._settings.lease))
        signals = [self._subjects.signal("*"), self._subjects.signal("*", self._subjects.work_of(kind))]
        self._signals = [await self._bus.subscribe(subject, self._on_signal) for subject in signals]
        if not self._announcement.internal:
            self._signals.append(await self._bus.subscribe(self._subjects.finish_signal("*"), self._on_finish))
        self._bus.on_reconnect(self._on_reconnect)
        before: Consumption | None = None
        for lane in LANES:  # interactive work is taken as it comes, batch work as far as slots are free
            consumer = topology.work(self._subjects, kind, lane, self._settings.lease)
            before = self._bus.consume(consumer, self._on_delivery, self._announcement.slots, before)
            self._consumptions.append(before)
        metrics.SLOTS.labels(kind).set(self._announcement.slots)
        metrics.seen(kind, self._model.name)
        await self._presence.begin()
        self._telling.begin()

    @property
    def alive(self) -> bool:
        """Whether work can reach it."""
        return not self._draining and all(c.alive for c in self._consumptions)

    async def drain(self, grace: float) -> None:
        """Begin nothing new, and hand back what asks a model at its next turn. Give what else runs ``grace`` seconds to end and
        be written down, and hand the rest back to the queue."""
        self._draining = True
        for consumption in self._consumptions:
            await consumption.stop()
        await self._presence.end()
        self._interrupt([running for running, job in self._running.items() if job.began is None])
        for job in list(self._running.values()):
            job.journal.leave()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=grace)
        self._interrupt(self._running)
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=LAST_WORDS)
        self._telling.end()
        for subscription in self._signals:
            await subscription.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._servers.close()
        if self._owns_model:
            await self._model.close()

    def _announced(self) -> Announcement:
        abilities = self._servers.abilities
        own = self._announcement
        return structs.replace(
            own,
            tools=tuple(dict.fromkeys((*own.tools, *abilities))),
            abilities={**abilities, **own.abilities},
            public=tuple(dict.fromkeys((*own.public, *(tool for tool in self._servers.public if tool not in own.tools)))),
        )

    def _may_be_hedged(self) -> bool:
        """Whoever uses servers of others may change something there: that is not done twice at a time."""
        return self._announcement.hedge and not self._announcement.internal and not self._servers.abilities

    # --- one delivery

    async def _on_delivery(self, delivery: Delivery) -> None:
        task = _current_task()
        self._deliveries.add(task)
        try:
            about = logs.about()
            with receipt.receiving(delivery, self._subjects, self._announcement.kind) as span:
                async with lease.kept(delivery, self._settings.lease):
                    await self._take(delivery, about, span)
        finally:
            self._deliveries.discard(task)

    async def _take(self, delivery: Delivery, about: logs.About, span: tracing.Span) -> None:
        if delivery.attempt > 1:
            metrics.REDELIVERIES.labels(self._announcement.kind).inc()
        found = await self._intake.judge(delivery)
        receipt.told(found, about, span)
        match found:
            case Drop(why):
                if why:
                    log.error(why, subject=delivery.message.subject)
                await delivery.ack()
            case Fail(task, work, why, attempt):
                why = policy.with_history(why, await self._intake.in_vain(task, work, delivery.attempt))
                failed = metered(self._failed(work, why, attempt), await self._unbooked(task, work))
                if await self._log.write(task, work, masked(failed)):
                    self._count(failed)
                await delivery.ack()
            case Run(work, _) if work.task in self._aborted:
                span.event(Event.OVER)
                await delivery.ack()
            case Run(work, _) if work.task in self._finishing:
                span.event(Event.DROPPED)
                await delivery.ack()
            case Run(work, _) if (work.task, work.id) in self._aborted:
                span.event(Event.LATE)
                await delivery.ack()
            case Run(work, _) if work.attempt == 1 and (job := self._job_of(work)) and job.hold:
                # The bus was away for longer than its lease, and nobody else has taken it: whoever is at it goes on.
                await job.hold.renew(delivery)
            case Run(work, _) if work.attempt > 1 and (self._draining or self._job_of(work)):
                # Here it would be as slow again. Where nobody else takes it, it waits until the first has ended.
                span.event(Event.HANDED_BACK)
                await delivery.nak(policy.elsewhere(delivery.attempt))
            case Run(work, _) if work.attempt > 1 and not await self._begin_hedge(work, delivery):
                span.event(Event.DROPPED)
                await delivery.ack()
            case Run(work, _) if self._draining:
                span.event(Event.HANDED_BACK)
                metrics.HANDED_BACK.labels(self._announcement.kind).inc()
                await self._intake.hand_back(work, delivery, self._announcement.replica)
            case Run():
                await self._attempt(found, delivery, span)

    def _job_of(self, work: Work) -> Job | None:
        """What is being done here about the same piece of work."""
        found = (job for job in self._running.values() if (job.work.task, job.work.id) == (work.task, work.id))
        return next(found, None)

    async def _begin_hedge(self, work: Work, delivery: Delivery) -> bool:
        return await self._intake.begin_hedge(work, delivery, self._announcement.replica)

    async def _journal(self, work: Work, delivery: Delivery) -> Journal:
        """Nobody goes on from what a hedge began, so nothing is kept of it."""
        kept = self._checkpoints(work.task, work.id, work.deadline) if work.attempt == 1 else None
        journal = Journal(kept, self._announcement.kind, self._announcement.replica, delivery.attempt, self._clock)
        if delivery.attempt > 1:
            await journal.open()
        return journal

    def _checkpoints(self, task: str, work: str, deadline: float = 0.0) -> Checkpoints:
        return Checkpoints(self._bus, self._subjects, task, work, 1, deadline)

    async def _unbooked(self, task: str, work: str) -> Bill:
        """What attempts that ended with their workers paid for, so far as it was kept."""
        checkpoints = self._checkpoints(task, work)
        return (await checkpoints.resumed(await checkpoints.all())).unbooked

    async def _take_over(self, job: Job) -> None:
        """Whoever held the work before may live, and has lost its lease: it hears now that it is of no use any more, or reads
        it in the log."""
        task, work, number = job.work.task, job.work.id, job.delivery
        begun = Begun(worker=job.replica, attempt=job.attempt, hedge=self._may_be_hedged())
        signal = Signal(reason=Event.TAKEN_OVER, delivery=number)
        try:
            await self._log.write(task, self._subjects.begun(work, job.nth), begun)
            job.told = True
            await self._bus.publish(self._subjects.signal(task, work), encode(signal))
        except ConcertinoError as e:
            log.warning("whoever held the work before cannot be told", error=str(e))

    async def _attempt(self, found: Run, delivery: Delivery, span: tracing.Span) -> None:
        hold = lease.Hold(delivery)
        try:
            await self._attempt_by(hold, found, span)
        finally:
            hold.end()

    async def _attempt_by(self, delivery: lease.Hold, found: Run, span: tracing.Span) -> None:
        work, attempt = found.work, found.attempt
        say = functools.partial(self._say, work, attempt)
        hedge = work.attempt > 1
        journal = await self._journal(work, delivery)
        last = attempt >= self._settings.attempts and not hedge
        context = Context(
            work,
            bus=self._bus,
            model=self._model,
            settings=self._settings,
            say=say,
            delivery=delivery.attempt,
            last_attempt=last,
            servers=self._servers,
            clock=self._clock,
            journal=journal,
        )
        lane = self._subjects.lane_of(delivery.message.subject)
        job = Job(work, attempt, context, self._announcement.replica, lane, delivery.message.time, delivery.attempt)
        job.trace, job.told, job.hold = tracing.here(), hedge, delivery
        if found.before and found.before.became == "lost":
            await self._take_over(job)
        if work.brief.max_seconds is not None and (hedge or delivery.attempt > 1):
            job.since = await self._intake.since(work, delivery)
        running = asyncio.ensure_future(self._call(job))
        journal.on_end(functools.partial(self._interrupt, [running]))
        self._running[running] = job
        try:
            settled = await running
        except asyncio.CancelledError:
            if journal.taken_over:
                span.event(Event.TAKEN_OVER)
                await self._book(job, Event.TAKEN_OVER)
                return
            if work.task in self._aborted:
                span.event(Event.OVER)
                await self._book(job, "the task ended")
                await delivery.ack()
                return
            if (work.task, work.id) in self._aborted:
                await self._superseded(job, span)
                await delivery.ack()
                return
            if work.task in self._finishing and job.began is None:
                span.event(Event.DROPPED)
                await delivery.ack()
                return
            if self._draining and hedge:
                span.event(Event.HANDED_BACK)
                await self._book(job, "its worker left")
                await delivery.ack()
                return
            if self._draining:
                span.event(Event.HANDED_BACK)
                metrics.HANDED_BACK.labels(self._announcement.kind).inc()
                if await self._leave(job, "handed back", "handed_back"):
                    await self._intake.hand_back(work, delivery, self._announcement.replica)
                return
            if _current_task().cancelling():
                raise  # it is we who are being ended, with the whole process
            bug = "the handler raised CancelledError though nobody cancelled it: catch it where it comes from"
            settled = self._given_up(job, Failure(code="bug", message=bug))
        except Exception as e:
            if not isinstance(e, ConcertinoError):
                log.exception("the handler failed", kind=work.brief.kind)
            if hedge:
                span.failed(tracing.code_of(e))
                await self._let_go(job, delivery, str(e), e)
                return
            left = job.work.deadline - self._clock()
            match policy.after(e, attempt, self._settings.attempts, random.random, left):
                case policy.Retry(delay, code, _):
                    metrics.RETRIES.labels(self._announcement.kind, code).inc()
                    log.warning("trying again", error=str(e), delay=round(delay, 1))
                    span.failed(tracing.code_of(e))
                    span.event(Event.TRIED_AGAIN, {Attribute.ERROR: code, Attribute.DELAY: round(delay, 1)})
                    doubted = not isinstance(e, Transient)
                    if await self._leave(job, str(e), "tried_again", e, doubted=doubted):
                        await delivery.nak(delay)
                    return
                case policy.GiveUp(why):
                    if attempt > 1:
                        why = policy.with_history(why, await self._earlier(work, delivery))
                    settled = self._given_up(job, why)
        finally:
            del self._running[running]
        if settled.status == ResultStatus.FAILED:
            span.failed(settled.error.code if settled.error else settled.status.value)
            if hedge:
                await self._let_go(job, delivery, settled.error.message if settled.error else "it failed")
                return
        if await self._settle(work, delivery, settled):
            self._count(settled)
        else:
            metrics.LATE.labels(self._announcement.kind).inc()
            await self._superseded(job, span)
        await delivery.ack(confirm=bool(context.spent))

    async def _superseded(self, job: Job, span: tracing.Span) -> None:
        log.info(_SUPERSEDED)
        span.event(Event.LATE)
        if first := await self._log.read_one(job.work.task, job.work.id):
            span.link(first.trace)
        await self._book(job, _SUPERSEDED)

    async def _let_go(self, job: Job, delivery: Delivery, why: str, error: Exception | None = None) -> None:
        """A hedge that brings nothing is not tried again, and is no result: the attempt beside it goes on."""
        log.warning("a second attempt brought nothing; the first goes on", error=why)
        await self._book(job, why, error)
        await delivery.ack()

    def _count(self, settled: Settled) -> None:
        """Only whoever wrote the result does, so each piece of work counts once."""
        kind = self._announcement.kind
        metrics.RESULTS.labels(kind, settled.status).inc()
        if settled.status == ResultStatus.FAILED:
            code = settled.error.code if settled.error else OTHER
            metrics.FAILURES.labels(kind, code).inc()
            log.warning("failed for good", code=code)  # its text is in the task's log, and may quote what was read

    async def _handle(self, job: Job) -> Settled:
        return await call(self._handler, job.context, self._threads)

    async def _settle(self, work: Work, delivery: Delivery, settled: Settled) -> bool:
        """Write the result, however long the bus is away: nobody throws away what is done. False: there is one already."""
        settled = masked(settled)
        while True:
            try:
                return await self._log.write(work.task, work.id, settled)
            except Transient as e:
                if self._draining or self._clock() > work.deadline:
                    raise
                log.warning("a result cannot be written yet", error=str(e))
                await asyncio.sleep(WRITE_PAUSE)

    async def _leave(
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
        await self._book(job, why, error)
        return not job.journal.taken_over

    async def _earlier(self, work: Work, delivery: Delivery) -> list[Spent]:
        """What the log says of attempts in vain, in order; nothing where it cannot be read, as it is told for people alone."""
        try:
            return await self._intake.in_vain(work.task, work.id, delivery.attempt)
        except ConcertinoError as e:
            log.warning("earlier attempts cannot be read", error=str(e))
            return []

    async def _book(self, job: Job, why: str, error: Exception | None = None) -> None:
        """Put what an attempt without a result took into the log, so that no call of a model and no second goes uncounted.
        Where it was taken over, that is what was not kept: the rest is counted by who took it over. ``error`` is what it ended
        in, if anything."""
        if job.began is None:
            return
        used = beyond(job.context.spent, job.journal.accounted) if job.journal.taken_over else job.context.spent
        spent = Spent(
            worker=job.replica,
            why=masked(why),
            code=failure(error).code if error else "",
            category=category(error) if error else "",
            attempt=job.attempt,
            seconds=self._took(job),
            usage=functools.reduce(operator.add, used.values(), Usage()),
            spent=dict(used),
        )
        await self._log.write(job.work.task, self._subjects.spent(job.work.id, job.nth), spent)

    def _took(self, job: Job) -> float:
        return 0.0 if job.began is None else round(self._monotonic() - job.began, 4)

    def _given_up(self, job: Job, failure: Failure) -> Settled:
        """The failed result of an attempt, with what it took."""
        failed = structs.replace(self._failed(job.work.id, failure, job.attempt), seconds=self._took(job))
        return metered(failed, job.context.spent)

    def _failed(self, work: str, failure: Failure, attempt: int) -> Settled:
        replica = self._announcement.replica
        return settled_type(work)(status=ResultStatus.FAILED, error=failure, attempts=attempt, worker=replica)

    # --- beside the work

    async def _say(self, work: Work, attempt: int, doing: str, text: str) -> None:
        replica = self._announcement.replica
        told = Progress(doing=masked(doing), at=self._clock(), work=work.id, attempt=attempt, worker=replica, text=masked(text))
        try:
            await self._bus.publish(self._subjects.progress(work.task, work.id), encode(told))
        except ConcertinoError as e:
            log.debug("progress could not be told", task=work.task, work=work.id, error=str(e))

    async def _on_signal(self, message: Stored) -> None:
        task, work = self._subjects.parse_signal(message.subject)
        try:
            newer = decode(Signal, message.data, message.headers.get(Header.SCHEMA)).delivery
        except Invalid:
            newer = 0  # whoever says it, and however: it costs an attempt, and no result
        if newer:
            self._taken_over(task, work, newer)
        else:
            self._abort(task, work)

    def _taken_over(self, task: str, work: str, delivery: int) -> None:
        """Attempts of deliveries before this one do not go on."""
        for running, job in list(self._running.items()):
            if (job.work.task, job.work.id, job.hedge) == (task, work, False) and job.hold and job.hold.attempt < delivery:
                job.journal.taken_over = True
                self._interrupt([running])

    def _abort(self, task: str, work: str = "") -> None:
        """Nobody waits any more for ``task`` or, where it is named, for this ``work`` of it."""
        self._aborted[(task, work) if work else task] = None
        if len(self._aborted) > REMEMBERED_ABORTS:
            self._aborted.popitem(last=False)
        about = [(running, job.work) for running, job in self._running.items()]
        self._interrupt([running for running, of in about if of.task == task and work in ("", of.id)])

    async def _on_finish(self, message: Stored) -> None:
        task, _ = self._subjects.parse_signal(message.subject)
        await self._finish(task, WRITING_UP)

    async def _finish(self, task: str, seconds: float) -> None:
        """The caller of ``task`` wants what there is: what is at work says so and has ``seconds``, all else is not begun."""
        self._finishing[task] = None
        if len(self._finishing) > REMEMBERED_ABORTS:
            self._finishing.popitem(last=False)
        jobs = {running: job for running, job in self._running.items() if job.work.task == task}
        self._interrupt([running for running, job in jobs.items() if job.began is None])
        for job in jobs.values():
            job.finish(seconds - _LAST_WORD)
        await asyncio.gather(*(self._telling.tell(job) for job in jobs.values()))

    def _interrupt(self, running: Sequence[asyncio.Task[Settled]] | dict[asyncio.Task[Settled], Job]) -> None:
        for task in list(running):
            self._running[task].context.cancelled = True
            task.cancel()

    def _on_reconnect(self) -> None:
        self._catching_up = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Signals are not stored: what was said while the connection was down is in the log, as the task's end, a result, a
        later delivery that has begun, or the wish to finish."""
        for (task, work), number in {(job.work.task, job.work.id): job.delivery for job in self._running.values()}.items():
            try:
                if await self._log.read_one(task, HALTED):
                    self._abort(task)
                elif await self._log.read_one(task, work):
                    self._abort(task, work)
                elif newest := await self._intake.newest_begun(task, work, number):
                    self._taken_over(task, work, newest)
                if not self._announcement.internal and (wish := await self._log.read_one(task, FINISH)):
                    await self._finish(task, WRITING_UP - max(self._clock() - wish.time, 0.0))
            except ConcertinoError as e:
                log.warning("whether a task is over cannot be seen", task=task, error=str(e))


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _wrap(inner: Next, middleware: Middleware) -> Next:
    async def wrapped(job: Job) -> Settled:
        return await middleware(job, inner)

    return wrapped
