"""Messages on their way to handlers and listeners: the tasks of the twin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from concertino.bus.port import Consumption, Handler, Listener, Stored
from concertino.bus.puller import FAILED_PAUSE
from concertino.bus.topology import Consumer

if TYPE_CHECKING:
    from concertino.bus.memory.server import MemoryServer

log = structlog.get_logger(__name__)


class MemoryDelivery:
    """The :class:`~concertino.bus.port.Delivery` of one message."""

    def __init__(self, server: MemoryServer, consumer: Consumer, message: Stored, attempt: int) -> None:
        self._server, self._consumer = server, consumer
        self.message, self.attempt = message, attempt

    async def ack(self, *, confirm: bool = False) -> None:
        await asyncio.sleep(0)
        if consumer := self._server.consumer(self._consumer):
            consumer.acknowledge(self.message.sequence)
            self._server.deliver()

    async def nak(self, delay: float = 0) -> None:
        await self._until(max(0.0, delay))

    async def in_progress(self) -> None:
        await self._until(self._consumer.ack_wait)

    async def _until(self, seconds: float) -> None:
        await asyncio.sleep(0)
        if consumer := self._server.consumer(self._consumer):
            moment = self._server.now() + seconds
            consumer.extend(self.message.sequence, moment)
            self._server.at(moment)
            self._server.deliver()


class MemoryConsumption:
    """The :class:`~concertino.bus.port.Consumption` of one client."""

    def __init__(
        self, server: MemoryServer, consumer: Consumer, handler: Handler, slots: int, after: Consumption | None
    ) -> None:
        self._server, self.consumer, self._handler, self._slots = server, consumer, handler, slots
        self._after = after
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def alive(self) -> bool:
        return not self._stopped

    @property
    def free(self) -> int:
        """Handlers that may start now."""
        return self._slots - len(self._running) - (self._after.running if self._after else 0)

    @property
    def running(self) -> int:
        return len(self._running)

    def start(self, message: Stored, attempt: int) -> None:
        task = asyncio.create_task(self._guard(MemoryDelivery(self._server, self.consumer, message, attempt)))
        self._running.add(task)
        task.add_done_callback(self._done)

    async def stop(self) -> None:
        self._stopped = True
        self._server.stop_consuming(self)

    async def _guard(self, delivery: MemoryDelivery) -> None:
        try:
            if (handling := self._handler(delivery)) is not None:
                await handling
        except Exception:
            log.exception("a message handler failed; its message goes back", consumer=self.consumer.name)
            await delivery.nak(FAILED_PAUSE)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._server.deliver()


class MemorySubscription:
    """The :class:`~concertino.bus.port.Subscription` of one listener: one message at a time."""

    def __init__(self, subject: str, listener: Listener, leave: Callable[[MemorySubscription], None]) -> None:
        self.subject, self._listener, self._leave = subject, listener, leave
        self.queue: asyncio.Queue[Stored] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task:
            self._leave(self)
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            message = await self.queue.get()
            try:
                await self._listener(message)
            except Exception:
                log.exception("a listener failed", subject=self.subject)
