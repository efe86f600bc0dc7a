"""Signs what was done: who did it, in how long, at which attempt."""

from __future__ import annotations

from msgspec import structs

from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


def measure(monotonic: Clock) -> Middleware:
    """``monotonic`` gives seconds that never jump."""

    async def middleware(job: Job, next_: Next) -> Settled:
        began = monotonic()
        settled = await next_(job)
        return structs.replace(settled, worker=job.replica, attempts=job.attempt, seconds=round(monotonic() - began, 4))

    return middleware
