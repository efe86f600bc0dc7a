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

import structlog

from concertino.bus import topology
from concertino.bus.announcements import announce, withdraw
from concertino.bus.port import Bus, Consumption, Delivery, Stored, Subscription
from concertino.bus.tasklog import TaskLog
from concertino.contracts.codec import encode
from concertino.contracts.errors import ConcertinoError, Invalid, Transient
from concertino.contracts.messages import (
    Announcement,
    Failure,
    Planned,
    Progress,
    Result,
    ResultStatus,
    Settled,
    Synthesized,
    Work,
)
from concertino.contracts.subjects import LANES
from concertino.model.port import Model
from concertino.runtime.clock import Clock
from concertino.runtime.settings import Settings
from concertino.worker import policy
from concertino.worker.context import Context
from concertino.worker.handlers import Handler, call
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next
from concertino.worker.middleware.deadline import deadline
from concertino.worker.middleware.lease import lease
from concertino.worker.middleware.measure import measure
from concertino.worker.middleware.slots import slots

QUEUED_LONG = 1.0
"""Seconds in a queue after which it is worth asking whether the work is still wanted."""
REMEMBERED_ABORTS = 10_000

_FACTS: dict[str, type[Settled]] = {"plan": Planned, "result": Result, "synthesis": Synthesized}

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
    ) -> None:
        self._announcement, self._handler = announcement, handler
        self._bus, self._model, self._settings, self._clock = bus, model, settings, clock
        self._subjects = settings.subjects
        self._log = TaskLog(bus, self._subjects)
        self._running: dict[asyncio.Task[Settled], Job] = {}
        self._aborted: OrderedDict[str, None] = OrderedDict()
        self._draining = False
        self._consumptions: list[Consumption] = []
        self._signals: Subscription | None = None
        self._renewal: asyncio.Task[None] | None = None
        chain = [lease(settings.lease), slots(announcement.slots), *middleware, measure(monotonic), deadline(clock)]
        handle: Next = self._handle
        self._call = functools.reduce(_wrap, reversed(chain), handle)

    async def start(self) -> None:
        """Take work from now on, and say so on the bus."""
        kind = self._announcement.kind
        await self._bus.provision(topology.queues(self._subjects, [kind], self._settings.lease))
        self._signals = await self._bus.subscribe(self._subjects.signal("*"), self._on_signal)
        for lane in LANES:
            consumer = topology.work(self._subjects, kind, lane, self._settings.lease)
            self._consumptions.append(self._bus.consume(consumer, self._on_delivery, self._announcement.slots))
        await announce(self._bus, self._subjects, self._announcement)
        self._renewal = asyncio.create_task(self._renew())

    @property
    def alive(self) -> bool:
        """Whether work can reach it."""
        return not self._draining and all(c.alive for c in self._consumptions)

    async def drain(self, grace: float) -> None:
        """Take nothing new, give what runs ``grace`` seconds, hand the rest back to the queue."""
        self._draining = True
        if self._renewal:
            self._renewal.cancel()
        for consumption in self._consumptions:
            await consumption.stop()
        try:
            await withdraw(self._bus, self._subjects, self._announcement)
        except ConcertinoError as e:
            log.warning("the announcement could not be withdrawn; it expires", error=str(e))
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=5)
        if self._signals:
            await self._signals.stop()

    # --- one delivery

    async def _on_delivery(self, delivery: Delivery) -> None:
        try:
            work = await self._log.work_in(delivery.message)
        except Invalid as e:
            # Nobody can say which task it belongs to, so there is no log to tell: only this one.
            log.error("work that cannot be read is thrown away", subject=delivery.message.subject, error=str(e))
            await delivery.ack()
            return
        except Transient as e:
            if delivery.attempt <= self._settings.attempts:
                raise
            log.error("work whose payload is gone is thrown away", subject=delivery.message.subject, error=str(e))
            await delivery.ack()
            return
        if not await self._wanted(work, delivery):
            await delivery.ack()
            return
        abandoned = policy.poisoned(delivery.attempt, self._settings.attempts)
        if abandoned:
            await self._settle(work, delivery, self._failed(work, delivery, abandoned))
            return
        await self._attempt(work, delivery)

    async def _attempt(self, work: Work, delivery: Delivery) -> None:
        replica = self._announcement.replica
        say = functools.partial(self._say, work, delivery.attempt)
        context = Context(work, bus=self._bus, model=self._model, settings=self._settings, say=say)
        job = Job(work, delivery, context, replica)
        running = asyncio.ensure_future(self._call(job))
        self._running[running] = job
        try:
            settled = await running
        except asyncio.CancelledError:
            if work.task in self._aborted:
                await delivery.ack()
            else:
                await delivery.nak()
            return
        except Exception as e:
            if not isinstance(e, ConcertinoError):
                log.exception("the handler failed", kind=work.brief.kind, task=work.task, work=work.id)
            match policy.after(e, delivery.attempt, self._settings.attempts, random.random):
                case policy.Retry(delay):
                    log.warning("trying again", task=work.task, work=work.id, error=str(e), delay=round(delay, 1))
                    await delivery.nak(delay)
                    return
                case policy.GiveUp(failure):
                    settled = self._failed(work, delivery, failure)
        finally:
            del self._running[running]
        await self._settle(work, delivery, settled)

    async def _handle(self, job: Job) -> Settled:
        return await call(self._handler, job.context)

    async def _settle(self, work: Work, delivery: Delivery, settled: Settled) -> None:
        if not await self._log.write(work.task, work.id, settled):
            log.info("another attempt was first", task=work.task, work=work.id)
        await delivery.ack(confirm=settled.usage.model_calls > 0)

    def _failed(self, work: Work, delivery: Delivery, failure: Failure) -> Settled:
        type_ = _FACTS[work.id.partition(".")[0]]
        return type_(status=ResultStatus.FAILED, error=failure, attempts=delivery.attempt, worker=self._announcement.replica)

    async def _wanted(self, work: Work, delivery: Delivery) -> bool:
        """Whether anybody still waits for this. Asked of the log only where there is a reason to doubt it."""
        if work.task in self._aborted:
            return False
        if delivery.attempt == 1 and self._clock() - delivery.message.time < QUEUED_LONG:
            return True
        for name in (work.id, "outcome"):
            if await self._log.read_one(work.task, name):
                return False
        return True

    # --- beside the work

    async def _say(self, work: Work, attempt: int, doing: str) -> None:
        progress = Progress(doing=doing, at=self._clock(), attempt=attempt, worker=self._announcement.replica)
        await self._bus.publish(self._subjects.progress(work.task, work.id), encode(progress))

    async def _on_signal(self, message: Stored) -> None:
        task = message.subject.rpartition(".")[2]
        self._aborted[task] = None
        if len(self._aborted) > REMEMBERED_ABORTS:
            self._aborted.popitem(last=False)
        for running, job in list(self._running.items()):
            if job.work.task == task:
                job.context.cancelled = True
                running.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(topology.ANNOUNCEMENT_LIFE / 3)
            try:
                await announce(self._bus, self._subjects, self._announcement)
            except ConcertinoError as e:
                log.warning("the announcement could not be renewed", error=str(e))


def _wrap(inner: Next, middleware: Middleware) -> Next:
    async def wrapped(job: Job) -> Settled:
        return await middleware(job, inner)

    return wrapped
