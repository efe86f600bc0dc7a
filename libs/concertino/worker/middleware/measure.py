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
    """``monotonic`` gives seconds that never jump."""

    async def middleware(job: Job, next_: Next) -> Settled:
        began = monotonic()
        settled = await next_(job)
        seconds = round(monotonic() - began, 4)
        signed = structs.replace(settled, worker=job.replica, attempts=job.attempt, seconds=seconds, hedge=job.hedge)
        return metered(signed, job.context.spent)

    return middleware
