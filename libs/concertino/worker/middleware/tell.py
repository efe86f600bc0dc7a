"""Puts into the log that an attempt is under way: who looks at a running task, or at one whose worker died, sees it there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog

from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next

TOLD_AFTER = 1.0
"""Seconds after which an attempt is told of. Work that is quicker costs no message more: what ends it says how long it took."""

Write: TypeAlias = Callable[[Job, float], Awaitable[object]]
"""Writes down that the job has gone on for so many seconds."""

log = structlog.get_logger(__name__)


def tell(write: Write, monotonic: Clock, after: float = TOLD_AFTER) -> Middleware:
    """``write`` once ``after`` seconds of an attempt have passed and, where the bus is away, again after as many."""

    async def telling(job: Job, began: float) -> None:
        while True:
            try:
                await write(job, monotonic() - began)
            except ConcertinoError as e:
                log.debug("an attempt could not be told of yet", task=job.work.task, work=job.work.id, error=str(e))
                await asyncio.sleep(after)
            else:
                return

    async def middleware(job: Job, next_: Next) -> Settled:
        began, tasks = monotonic(), list[asyncio.Task[None]]()
        # A timer costs next to nothing where the work is over before it goes off; a task would not.
        timer = asyncio.get_running_loop().call_later(after, lambda: tasks.append(asyncio.create_task(telling(job, began))))
        try:
            return await next_(job)
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()

    return middleware
