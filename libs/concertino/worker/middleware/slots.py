"""The lanes of a replica share its slots: work that had to be taken early waits here, with its lease kept."""

from __future__ import annotations

import asyncio

from concertino.contracts.messages import Settled
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


def slots(count: int) -> Middleware:
    """At most ``count`` handlers at once."""
    free = asyncio.Semaphore(count)

    async def middleware(job: Job, next_: Next) -> Settled:
        async with free:
            job.begun = True
            return await next_(job)

    return middleware
