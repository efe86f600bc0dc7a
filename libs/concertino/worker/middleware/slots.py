"""The lanes of a replica share its slots: work that had to be taken early waits here, with its lease kept."""

from __future__ import annotations

import asyncio

from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


def slots(count: int, monotonic: Clock) -> Middleware:
    """At most ``count`` handlers at once. ``monotonic`` gives seconds that never jump."""
    free = asyncio.Semaphore(count)

    async def middleware(job: Job, next_: Next) -> Settled:
        async with free:
            job.began = monotonic()
            return await next_(job)

    return middleware
