"""The one runtime that all workers share: takes work, runs its handler inside the middleware, writes the result once, settles.

The life of a delivery: it is judged by what the log says of its work (:mod:`~concertino.worker.intake`). What is to be done is
an attempt (:mod:`~concertino.worker.attempts`), which signals may reach (:mod:`~concertino.worker.signals`). How that ended is
written down (:mod:`~concertino.worker.endings`), and then the delivery is settled. That order is what makes it safe: the fact
first, then the acknowledgement. Who crashes between is delivered the work again, finds its result in the log, and acknowledges.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from concertino.bus import topology
from concertino.bus.port import Bus, Consumption, Delivery
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import LANES
from concertino.masking import remembering
from concertino.model.port import Model
from concertino.runtime.clock import Clock
from concertino.runtime.settings import Settings
from concertino.telemetry import logs, metrics, tracing
from concertino.telemetry.names import Event
from concertino.worker import policy, receipt
from concertino.worker.attempts import Attempts
from concertino.worker.endings import Endings
from concertino.worker.handlers import Handler
from concertino.worker.intake import Drop, Fail, Leave, Run
from concertino.worker.lease import Leases
from concertino.worker.mcp import Servers
from concertino.worker.middleware import Middleware
from concertino.worker.presence import RENEWED_EVERY, Presence
from concertino.worker.replica import Replica
from concertino.worker.roster import Roster
from concertino.worker.signals import Signals
from concertino.worker.stuck import LET_GO_WITHIN, Stuck
from concertino.worker.telling import TOLD_AFTER, Telling

LAST_WORDS = 5.0
"""Seconds for handlers that were interrupted, after the grace: to let go, and for their work to be handed back."""

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
        let_go_within: float = LET_GO_WITHIN,
        servers: Servers | None = None,
        owns_model: bool = False,
    ) -> None:
        replica = self._replica = Replica(
            announcement,
            bus=bus,
            model=model,
            settings=settings,
            clock=clock,
            monotonic=monotonic,
            servers=servers or Servers(),
        )
        self._owns_model = owns_model
        self._roster = Roster()
        self._presence = Presence(bus, replica.subjects, replica.announced, renewed_every)
        self._telling = Telling(replica.log, replica.subjects, self._roster.jobs, monotonic, told_after, replica.may_be_hedged)
        self._stuck = Stuck(replica.kind, replica.slots, self._roster.jobs, monotonic, let_go_within)
        self._signals = Signals(replica, self._roster, self._telling)
        self._endings = Endings(replica)
        self._attempts = Attempts(replica, handler, self._roster, self._endings, self._telling, self._stuck, middleware)
        self._leases = Leases(settings.lease, monotonic)
        self._loop = asyncio.get_running_loop()  # to ask for it each time costs a call of the system
        self._deliveries: set[asyncio.Task[None]] = set()
        self._consumptions: list[Consumption] = []

    async def start(self) -> None:
        """Take work from now on, and say so on the bus."""
        replica = self._replica
        bus, kind, seconds = replica.bus, replica.kind, replica.settings.lease
        await bus.provision(topology.queues(replica.subjects, [kind], seconds))
        await self._signals.begin()
        self._leases.begin()
        before: Consumption | None = None
        for lane in LANES:  # interactive work is taken as it comes, batch work as far as slots are free
            consumer = topology.work(replica.subjects, kind, lane, seconds)
            before = bus.consume(consumer, self._on_delivery, replica.slots, before)
            self._consumptions.append(before)
        metrics.SLOTS.labels(kind).set(replica.slots)
        metrics.seen(kind, replica.model.name)
        await self._presence.begin()
        self._telling.begin()
        self._stuck.begin()

    @property
    def alive(self) -> bool:
        """Whether work can reach it."""
        return not self._replica.draining and all(c.alive for c in self._consumptions)

    @property
    def stuck(self) -> bool:
        """Whether all that it could do is held by what was told to end, and does not."""
        return self._stuck.all

    async def drain(self, grace: float) -> None:
        """Begin nothing new, and hand back what asks a model at its next turn. Give what else runs ``grace`` seconds to end and
        be written down, and hand the rest back to the queue."""
        self._replica.draining = True
        for consumption in self._consumptions:
            await consumption.stop()
        await self._presence.end()
        self._roster.leave_off()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=grace)
        self._roster.interrupt()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=LAST_WORDS)
        self._leases.end()
        self._telling.end()
        self._stuck.end()
        await self._signals.end()
        self._attempts.close()
        await self._replica.limits.close()
        await self._replica.servers.close()
        if self._owns_model:
            await self._replica.model.close()

    # --- the life of a delivery

    async def _on_delivery(self, delivery: Delivery) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._deliveries.add(task)
        self._leases.keep(delivery)
        try:
            about = logs.about()
            with remembering(), receipt.receiving(delivery, self._replica.subjects, self._replica.kind) as span:
                await self._take(delivery, about, span)
        finally:
            self._leases.drop(delivery)
            self._deliveries.discard(task)

    async def _take(self, delivery: Delivery, about: logs.About, span: tracing.Span) -> None:
        replica = self._replica
        if delivery.attempt > 1:
            metrics.REDELIVERIES.labels(replica.kind).inc()
        found = await replica.intake.judge(delivery)
        receipt.told(found, about, span)
        match found:
            case Run():
                await self._do(found, delivery, span)
            case Drop():
                if found.why:
                    log.error(found.why, subject=delivery.message.subject)
                await delivery.ack()
            case Leave():
                pass  # whoever has it settles it
            case Fail():
                if hold := self._roster.held(found.task, found.work):
                    await hold.renew(delivery)  # what never came back is still here
                    return
                await self._endings.abandon(found, delivery)
                await delivery.ack()

    async def _do(self, found: Run, delivery: Delivery, span: tracing.Span) -> None:
        """Make the attempt, if here and now is where to."""
        replica, roster, work = self._replica, self._roster, found.work
        needless = roster.needless(work)
        if not needless and work.attempt > 1:
            if replica.draining or roster.held(work.task, work.id, work.attempt):
                # Here it would be as slow again. Where nobody else takes it, it waits until the first has ended.
                span.event(Event.HANDED_BACK)
                await delivery.nak(policy.elsewhere(delivery.attempt))
                return
            if not await replica.intake.begin_hedge(work, delivery, replica.name):
                needless = Event.DROPPED
        elif not needless and (hold := roster.held(work.task, work.id)):
            # The bus was away for longer than its lease, and nobody else has taken it: whoever is at it goes on.
            await hold.renew(delivery)
            return
        if needless:
            span.event(needless)
            await delivery.ack()
        elif replica.draining and work.attempt == 1:  # a hedge that says it is begun is offered to nobody
            span.event(Event.HANDED_BACK)
            metrics.HANDED_BACK.labels(replica.kind).inc()
            await replica.intake.hand_back(work, delivery, replica.name)
        else:
            await self._attempts.make(found, delivery, span)
