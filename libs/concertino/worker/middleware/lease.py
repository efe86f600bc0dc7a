"""Keeps the lease while the handler runs, from a task that an awaiting handler cannot hold up."""

from __future__ import annotations

import asyncio

import structlog

from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Settled
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next

log = structlog.get_logger(__name__)


def lease(seconds: float) -> Middleware:
    """Renew a lease of ``seconds`` at a third of it."""

    async def keep(job: Job) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            try:
                await job.delivery.in_progress()
            except ConcertinoError as e:
                log.warning("the lease could not be renewed", task=job.work.task, work=job.work.id, error=str(e))

    async def middleware(job: Job, next_: Next) -> Settled:
        heartbeat = asyncio.create_task(keep(job))
        try:
            return await next_(job)
        finally:
            heartbeat.cancel()

    return middleware
