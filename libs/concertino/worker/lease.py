"""Keeps the leases of deliveries while anything is done about them, from a task that an awaiting handler cannot hold up."""

from __future__ import annotations

import asyncio

import structlog

from concertino.bus.port import Delivery, Stored
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.subjects import Header
from concertino.runtime.clock import Clock

_LOOKS = 4
"""So often is it looked, in the third of a lease after which it is renewed, whose time has come."""

log = structlog.get_logger(__name__)


class Hold:
    """A delivery that may come again while its work is being done: to the same process, as its lease was lost for a while and
    nobody else took it. The newest one counts then."""

    def __init__(self, delivery: Delivery) -> None:
        self._newest = delivery
        self._ended: asyncio.Event | None = None
        self.lost = False
        """Whether another has the work. Who holds it was told to end, and may not."""

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
        self._ended = self._ended or asyncio.Event()
        await self._ended.wait()

    def end(self) -> None:
        """Nothing is to be done about the work any more."""
        if self._ended:
            self._ended.set()


class Leases:
    """Of ``seconds`` each, by ``monotonic``, which never jumps. One task renews those of a replica at a third of that: a task
    for each would cost quick work more than its handler does. One that is lost costs a second attempt beside the first, no
    result."""

    def __init__(self, seconds: float, monotonic: Clock) -> None:
        self._seconds, self._monotonic = seconds, monotonic
        self._renewed: dict[Delivery, float] = {}
        self._keeping: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._keeping = asyncio.create_task(self._keep())

    def end(self) -> None:
        if self._keeping:
            self._keeping.cancel()

    def keep(self, delivery: Delivery) -> None:
        """Renew its lease, from now on."""
        self._renewed[delivery] = self._monotonic()

    def drop(self, delivery: Delivery) -> None:
        """Nothing is done about it any more."""
        del self._renewed[delivery]

    async def _keep(self) -> None:
        now = self._monotonic
        pause = self._seconds / 3 / _LOOKS
        while True:
            await asyncio.sleep(pause)
            due = now() - self._seconds / 3 + pause  # what is younger has the time until the next look
            for delivery, renewed in list(self._renewed.items()):
                if renewed <= due and delivery in self._renewed:
                    await self._renew(delivery, now() - renewed)

    async def _renew(self, delivery: Delivery, silent: float) -> None:
        if silent > self._seconds:
            log.warning(
                "the lease was lost, so the work may be done twice: something kept the event loop busy, or the bus was away; "
                "a handler that computes for long belongs into a plain function, which gets a thread",
                message=_named(delivery),
                silent=round(silent, 1),
            )
        try:
            await delivery.in_progress()
        except ConcertinoError as e:
            log.warning("the lease could not be renewed", message=_named(delivery), error=str(e))
        except Exception:  # all the others are to be renewed
            log.exception("the lease could not be renewed", message=_named(delivery))
        else:
            if delivery in self._renewed:
                self._renewed[delivery] = self._monotonic()


def _named(delivery: Delivery) -> str:
    """Whose work it is."""
    return delivery.message.headers.get(Header.MESSAGE_ID, delivery.message.subject)
