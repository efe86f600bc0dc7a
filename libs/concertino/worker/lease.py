"""Keeps the lease of a delivery while anything is done about it, from a task that an awaiting handler cannot hold up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from concertino.bus.port import Delivery
from concertino.contracts.errors import ConcertinoError

log = structlog.get_logger(__name__)


@asynccontextmanager
async def kept(delivery: Delivery, seconds: float) -> AsyncIterator[None]:
    """Renew the lease of ``seconds`` at a third of it. One that is lost costs a second attempt beside the first, no result."""
    heartbeat = asyncio.create_task(_keep(delivery, seconds))
    try:
        yield
    finally:
        heartbeat.cancel()


async def _keep(delivery: Delivery, seconds: float) -> None:
    now = asyncio.get_running_loop().time
    renewed = now()
    while True:
        await asyncio.sleep(seconds / 3)
        if (silent := now() - renewed) > seconds:
            log.warning(
                "the lease was lost, so the work may be done twice: something kept the event loop busy, or the bus was away; "
                "a handler that computes for long belongs into a plain function, which gets a thread",
                subject=delivery.message.subject,
                silent=round(silent, 1),
            )
        try:
            await delivery.in_progress()
        except ConcertinoError as e:
            log.warning("the lease could not be renewed", subject=delivery.message.subject, error=str(e))
        else:
            renewed = now()
