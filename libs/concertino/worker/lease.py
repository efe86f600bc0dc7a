"""Keeps the lease of a delivery while anything is done about it, from a task that an awaiting handler cannot hold up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from concertino.bus.port import Delivery, Stored
from concertino.contracts.errors import ConcertinoError

log = structlog.get_logger(__name__)


class Hold:
    """A delivery that may come again while its work is being done: to the same process, as its lease was lost for a while and
    nobody else took it. The newest one counts then."""

    def __init__(self, delivery: Delivery) -> None:
        self._newest = delivery
        self._ended = asyncio.Event()

    @property
    def message(self) -> Stored:
        return self._newest.message

    @property
    def attempt(self) -> int:
        return self._newest.attempt

    async def ack(self, *, confirm: bool = False) -> None:
        await self._newest.ack(confirm=confirm)

    async def nak(self, delay: float = 0) -> None:
        await self._newest.nak(delay)

    async def in_progress(self) -> None:
        await self._newest.in_progress()

    async def renew(self, delivery: Delivery) -> None:
        """Hold it by ``delivery`` from now on. Returns when the work is settled: its lease is kept until then."""
        self._newest = delivery
        await self._ended.wait()

    def end(self) -> None:
        """Nothing is to be done about the work any more."""
        self._ended.set()


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
