"""How deep the queues are, for Prometheus: also those that nobody serves at the moment, which a worker could not tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from concertino.bus import topology
from concertino.bus.port import Bus
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.subjects import Subjects
from concertino.telemetry import metrics

EVERY = 5.0
"""Seconds between looks."""
_GAUGES = (metrics.PENDING, metrics.ACK_PENDING, metrics.TRIGGERS)

log = structlog.get_logger(__name__)


async def _nothing(made: float) -> None:
    """Nobody asks when the queues were made."""


class QueueWatch:
    """Looks every ``every`` seconds. Each orchestrator does: a dashboard takes the highest of what they say. ``on_made``
    is told the Unix time at which the queues were made, at first and whenever they were made anew; again, where it fails."""

    def __init__(
        self, bus: Bus, subjects: Subjects, every: float = EVERY, on_made: Callable[[float], Awaitable[None]] = _nothing
    ) -> None:
        self._bus, self._subjects, self._every, self._on_made = bus, subjects, every, on_made
        self._made = 0.0
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except ConcertinoError as e:
                log.warning("the queues cannot be seen", error=str(e))
                _forget()  # rather nothing than what was true once
            except Exception:  # the next look may see them: nobody else looks
                log.exception("the queues cannot be seen")
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Set the gauges. A queue that is gone is no longer told of."""
        depths = await self._bus.depths(self._subjects.work_stream)
        queued = await self._bus.queued(self._subjects.work_stream, self._subjects.work("*", "*"))
        waiting, taken = await self._bus.depth(topology.coordinator(self._subjects))
        _forget()
        metrics.QUEUE_LIMIT.set(queued.limit or 0)
        metrics.TRIGGERS.labels("waiting").set(waiting)
        metrics.TRIGGERS.labels("taken").set(taken)
        for name, (waiting, running) in depths.items():
            lane, kind = self._subjects.parse_work_consumer(name)
            metrics.PENDING.labels(kind, lane).inc(waiting)  # of kinds that are one to us, the sum
            metrics.ACK_PENDING.labels(kind, lane).inc(running)
            metrics.QUEUE_FULL.labels(kind, lane)  # seen as 0 before the first
        if queued.made != self._made:
            await self._on_made(queued.made)
            self._made = queued.made


def _forget() -> None:
    for gauge in _GAUGES:
        gauge.clear()
