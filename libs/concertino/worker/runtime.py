"""The one runtime that all workers share: takes work, runs its handler inside the middleware, writes the result once, settles.

The order is what makes it safe: the fact first, then the acknowledgement. Who crashes between is delivered the work again,
finds its result in the log, and acknowledges.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from concertino.bus import topology
from concertino.bus.port import Bus, Consumption, Delivery, Stored, Subscription
from concertino.bus.tasklog import TaskLog
from concertino.contracts.codec import encode
from concertino.contracts.errors import ConcertinoError, Transient
from concertino.contracts.messages import Announcement, Failure, Progress, ResultStatus, Settled, Work
from concertino.contracts.subjects import LANES
from concertino.model.port import Model
from concertino.runtime.clock import Clock
from concertino.runtime.settings import Settings
from concertino.worker import lease, policy
from concertino.worker.context import Context
from concertino.worker.handlers import Handler, call
from concertino.worker.intake import Drop, Fail, Intake, Run, settled_type
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next
from concertino.worker.middleware.deadline import deadline
from concertino.worker.middleware.measure import measure
from concertino.worker.middleware.slots import slots
from concertino.worker.presence import RENEWED_EVERY, Presence

REMEMBERED_ABORTS = 10_000
LAST_WORDS = 5.0
"""Seconds for handlers that were interrupted, after the grace: to let go, and for their work to be handed back."""
WRITE_PAUSE = 1.0
"""Seconds between attempts to write a result while the bus is away."""

log = structlog.get_logger(__name__)


class Runtime:
    """One replica of one kind. ``announcement`` says what it does and how many pieces of work it takes at once."""

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
    ) -> None:
        self._announcement, self._handler = announcement, handler
        self._bus, self._model, self._settings, self._clock = bus, model, settings, clock
        self._subjects = settings.subjects
        self._log = TaskLog(bus, self._subjects)
        self._intake = Intake(bus, self._subjects, settings.attempts, clock)
        self._presence = Presence(bus, self._subjects, announcement, renewed_every)
        self._threads = ThreadPoolExecutor(announcement.slots, announcement.kind)
        self._deliveries: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[Settled], Job] = {}
        self._aborted: OrderedDict[str, None] = OrderedDict()
        self._draining = False
        self._consumptions: list[Consumption] = []
        self._signals: Subscription | None = None
        self._catching_up: asyncio.Task[None] | None = None
        chain = [slots(announcement.slots), *middleware, measure(monotonic), deadline(clock)]
        handle: Next = self._handle
        self._call = functools.reduce(_wrap, reversed(chain), handle)

    async def start(self) -> None:
        """Take work from now on, and say so on the bus."""
        kind = self._announcement.kind
        await self._bus.provision(topology.queues(self._subjects, [kind], self._settings.lease))
        self._signals = await self._bus.subscribe(self._subjects.signal("*"), self._on_signal)
        self._bus.on_reconnect(self._on_reconnect)
        for lane in LANES:
            consumer = topology.work(self._subjects, kind, lane, self._settings.lease)
            self._consumptions.append(self._bus.consume(consumer, self._on_delivery, self._announcement.slots))
        await self._presence.begin()

    @property
    def alive(self) -> bool:
        """Whether work can reach it."""
        return not self._draining and all(c.alive for c in self._consumptions)

    async def drain(self, grace: float) -> None:
        """Begin nothing new, give what runs ``grace`` seconds to end and be written down, hand the rest back to the queue."""
        self._draining = True
        for consumption in self._consumptions:
            await consumption.stop()
        await self._presence.end()
        self._interrupt([running for running, job in self._running.items() if not job.begun])
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=grace)
        self._interrupt(self._running)
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=LAST_WORDS)
        if self._signals:
            await self._signals.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- one delivery

    async def _on_delivery(self, delivery: Delivery) -> None:
        task = _current_task()
        self._deliveries.add(task)
        try:
            async with lease.kept(delivery, self._settings.lease):
                await self._take(delivery)
        finally:
            self._deliveries.discard(task)

    async def _take(self, delivery: Delivery) -> None:
        match await self._intake.judge(delivery):
            case Drop(why):
                if why:
                    log.error(why, subject=delivery.message.subject)
                await delivery.ack()
            case Fail(task, work, failure, attempt):
                log.error("given up", task=task, work=work, error=failure.message)
                await self._log.write(task, work, self._failed(work, failure, attempt))
                await delivery.ack()
            case Run(work, _) if work.task in self._aborted:
                await delivery.ack()
            case Run(work, _) if self._draining:
                await self._intake.hand_back(work, delivery, self._announcement.replica)
            case Run(work, attempt):
                await self._attempt(work, attempt, delivery)

    async def _attempt(self, work: Work, attempt: int, delivery: Delivery) -> None:
        say = functools.partial(self._say, work, attempt)
        context = Context(work, bus=self._bus, model=self._model, settings=self._settings, say=say)
        job = Job(work, attempt, context, self._announcement.replica)
        running = asyncio.ensure_future(self._call(job))
        self._running[running] = job
        try:
            settled = await running
        except asyncio.CancelledError:
            if work.task in self._aborted:
                await delivery.ack()
                return
            if self._draining:
                await self._intake.hand_back(work, delivery, self._announcement.replica)
                return
            if _current_task().cancelling():
                raise  # it is we who are being ended, with the whole process
            bug = "the handler raised CancelledError though nobody cancelled it: catch it where it comes from"
            settled = self._failed(work.id, Failure(code="bug", message=bug), attempt)
        except Exception as e:
            if not isinstance(e, ConcertinoError):
                log.exception("the handler failed", kind=work.brief.kind, task=work.task, work=work.id)
            match policy.after(e, attempt, self._settings.attempts, random.random):
                case policy.Retry(delay):
                    log.warning("trying again", task=work.task, work=work.id, error=str(e), delay=round(delay, 1))
                    await delivery.nak(delay)
                    return
                case policy.GiveUp(failure):
                    settled = self._failed(work.id, failure, attempt)
        finally:
            del self._running[running]
        await self._settle(work, delivery, settled)

    async def _handle(self, job: Job) -> Settled:
        return await call(self._handler, job.context, self._threads)

    async def _settle(self, work: Work, delivery: Delivery, settled: Settled) -> None:
        """Write the result, however long the bus is away: nobody throws away what is done. Then acknowledge."""
        while True:
            try:
                first = await self._log.write(work.task, work.id, settled)
                break
            except Transient as e:
                if self._draining or self._clock() > work.deadline:
                    raise
                log.warning("a result cannot be written yet", task=work.task, work=work.id, error=str(e))
                await asyncio.sleep(WRITE_PAUSE)
        if not first:
            log.info("another attempt was first", task=work.task, work=work.id)
        await delivery.ack(confirm=settled.usage.model_calls > 0)

    def _failed(self, work: str, failure: Failure, attempt: int) -> Settled:
        replica = self._announcement.replica
        return settled_type(work)(status=ResultStatus.FAILED, error=failure, attempts=attempt, worker=replica)

    # --- beside the work

    async def _say(self, work: Work, attempt: int, doing: str) -> None:
        progress = Progress(doing=doing, at=self._clock(), work=work.id, attempt=attempt, worker=self._announcement.replica)
        try:
            await self._bus.publish(self._subjects.progress(work.task, work.id), encode(progress))
        except ConcertinoError as e:
            log.debug("progress could not be told", task=work.task, work=work.id, error=str(e))

    async def _on_signal(self, message: Stored) -> None:
        self._abort(message.subject.rpartition(".")[2])

    def _abort(self, task: str) -> None:
        self._aborted[task] = None
        if len(self._aborted) > REMEMBERED_ABORTS:
            self._aborted.popitem(last=False)
        self._interrupt([running for running, job in self._running.items() if job.work.task == task])

    def _interrupt(self, running: Sequence[asyncio.Task[Settled]] | dict[asyncio.Task[Settled], Job]) -> None:
        for task in list(running):
            self._running[task].context.cancelled = True
            task.cancel()

    def _on_reconnect(self) -> None:
        self._catching_up = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Signals are not stored: what was said while the connection was down is in the log, as an outcome."""
        for task in {job.work.task for job in self._running.values()}:
            try:
                if await self._log.read_one(task, "outcome"):
                    self._abort(task)
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
