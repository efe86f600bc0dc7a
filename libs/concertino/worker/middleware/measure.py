"""Signs what was done: who did it, in how long, at which attempt, and what models took for it."""

from __future__ import annotations

import functools
import operator

from msgspec import structs

from concertino.contracts.checkpoints import Bill
from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


def metered(settled: Settled, spent: Bill) -> Settled:
    """``settled`` with what was ``spent`` on it, by model."""
    if not spent:
        return settled
    total = functools.reduce(operator.add, spent.values())
    return structs.replace(settled, usage=total, spent=dict(spent), model=settled.model or "+".join(spent))


def measure(monotonic: Clock) -> Middleware:
    """Of one process. ``monotonic`` gives seconds that never jump."""
    warm = False

    async def middleware(job: Job, next_: Next) -> Settled:
        nonlocal warm
        began, cold = monotonic(), not warm
        settled = await next_(job)
        warm = True
        # What it waited for the provider is no sign of how long such work takes.
        seconds = round(max(monotonic() - began - job.context.waits.seconds, 0.0), 4)
        signed = structs.replace(settled, worker=job.replica, attempts=job.attempt, seconds=seconds, hedge=job.hedge, cold=cold)
        return metered(signed, job.context.spent)

    return middleware
