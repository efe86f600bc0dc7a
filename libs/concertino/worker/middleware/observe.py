"""Counts and times each attempt, for Prometheus."""

from __future__ import annotations

from collections import Counter

from concertino.contracts.messages import Settled
from concertino.contracts.subjects import LANES
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next

_in_flight: Counter[str] = Counter()
"""By kind, in this process: counted here, and read when somebody asks for the metric."""


def observe(kind: str, clock: Clock, monotonic: Clock) -> Middleware:
    """Inside the slots: what waits there still queues. ``clock`` gives Unix seconds, ``monotonic`` seconds that never jump."""

    attempts = metrics.ATTEMPTS.labels(kind)
    metrics.IN_FLIGHT.labels(kind).set_function(lambda: _in_flight[kind])
    queued: dict[str, metrics.Histogram] = {lane: metrics.QUEUE_SECONDS.labels(kind, lane) for lane in LANES}

    async def middleware(job: Job, next_: Next) -> Settled:
        attempts.inc()
        if job.delivery == 1:  # what comes again was with a worker for a part of the time, and told to wait for another
            queued[job.lane].observe(max(clock() - job.queued_at, 0.0))
        began, status = monotonic(), "interrupted"
        _in_flight[kind] += 1
        try:
            settled = await next_(job)
            status = settled.status.value
        except Exception:
            status = "raised"
            raise
        else:
            return settled
        finally:
            _in_flight[kind] -= 1
            metrics.WORK_SECONDS.labels(kind, status).observe(max(monotonic() - began - job.context.waits.seconds, 0.0))

    return middleware
