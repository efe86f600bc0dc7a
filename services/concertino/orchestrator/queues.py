"""How deep the queues are, for Prometheus: also those that nobody serves at the moment, which a worker could not tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from concertino.bus import topology
from concertino.bus.port import Bus
from concertino.contracts.subjects import Subjects
from concertino.orchestrator.watch import EVERY
from concertino.telemetry import metrics

_GAUGES = (metrics.PENDING, metrics.ACK_PENDING, metrics.TRIGGERS)


async def _nothing(made: float) -> None:
    """Nobody asks when the queues were made."""


class Queues:
    """Each orchestrator looks: a dashboard takes the highest of what they say. ``on_made`` is told the Unix time at which the
    queues were made, at first and whenever they were made anew; again, where it fails."""

    def __init__(self, bus: Bus, subjects: Subjects, on_made: Callable[[float], Awaitable[None]] = _nothing) -> None:
        self._bus, self._subjects, self._on_made = bus, subjects, on_made
        self._made = 0.0

    async def look(self) -> float:
        """Set the gauges. A queue that is gone is no longer told of. Returns in how many seconds to look again."""
        try:
            depths = await self._bus.depths(self._subjects.work_stream)
            queued = await self._bus.queued(self._subjects.work_stream, self._subjects.work("*", "*"))
            waiting, taken = await self._bus.depth(topology.coordinator(self._subjects))
        finally:
            _forget()  # rather nothing than what was true once
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
        return EVERY


def _forget() -> None:
    for gauge in _GAUGES:
        gauge.clear()
