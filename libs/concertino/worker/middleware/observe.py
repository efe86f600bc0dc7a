"""Counts and times each attempt, for Prometheus."""

from __future__ import annotations

from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


def observe(kind: str, clock: Clock, monotonic: Clock) -> Middleware:
    """Inside the slots: what waits there still queues. ``clock`` gives Unix seconds, ``monotonic`` seconds that never jump."""

    async def middleware(job: Job, next_: Next) -> Settled:
        metrics.ATTEMPTS.labels(kind).inc()
        if job.delivery == 1:  # what comes again was with a worker for a part of the time, and told to wait for another
            metrics.QUEUE_SECONDS.labels(kind, job.lane).observe(max(clock() - job.queued_at, 0.0))
        began, status = monotonic(), "interrupted"
        metrics.IN_FLIGHT.labels(kind).inc()
        try:
            settled = await next_(job)
            status = settled.status.value
        except Exception:
            status = "raised"
            raise
        else:
            return settled
        finally:
            metrics.IN_FLIGHT.labels(kind).dec()
            metrics.WORK_SECONDS.labels(kind, status).observe(max(monotonic() - began - job.context.waits.seconds, 0.0))

    return middleware
