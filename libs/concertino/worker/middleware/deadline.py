"""Ends a handler when its result comes too late to be of use."""

from __future__ import annotations

import asyncio

from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


class TooLate(ConcertinoError):
    """The time of this piece of work is up. Give the task a later deadline, or ask for less."""

    code = "deadline"


def deadline(clock: Clock) -> Middleware:
    """Raise :class:`TooLate` at ``work.deadline``. Not retryable: it would be as late again."""

    async def middleware(job: Job, next_: Next) -> Settled:
        left = job.work.deadline - clock()
        if left <= 0:
            raise TooLate("it waited in its queue until its time was up")
        try:
            async with asyncio.timeout(left) as scope:
                return await next_(job)
        except TimeoutError as e:
            if not scope.expired():
                raise
            job.context.cancelled = True
            doing = f", while this went on: {job.context.doing}" if job.context.doing else ""
            setback = f"; before that, {job.context.setback}" if job.context.setback else ""
            raise TooLate(f"its time was up before it was done{doing}{setback}") from e

    return middleware
