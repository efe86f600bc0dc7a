"""The services of an installation in this process: on the bus in memory, or as clients of a real server."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any

from concertino.bus import topology
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Bus, Consumption, Delivery, Handler
from concertino.bus.topology import Consumer
from concertino.client import Client
from concertino.contracts.budget import Bounds
from concertino.model.anthropic import Anthropic
from concertino.model.choice import model_for
from concertino.model.port import Model
from concertino.orchestrator.coordinator import Coordinator
from concertino.orchestrator.planner import worker as planner
from concertino.runtime import config
from concertino.runtime.settings import Settings
from concertino.synthesizer.handler import worker as synthesizer
from concertino.worker import Worker
from concertino.worker.runtime import Runtime


class Team:
    """A coordinator, planner and synthesizer, and the ``workers`` that are given. ``connect`` makes a client of the bus,
    ``model`` what a kind thinks with, where that is not for the settings to say."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Bus]],
        settings: Settings,
        workers: Sequence[Worker] = (),
        model: Callable[[str], Model] | None = None,
    ) -> None:
        self._connect, self._settings, self._workers = connect, settings, (planner, synthesizer, *workers)
        self._model = model or (lambda kind: model_for(kind, settings, config.load(settings.config)))
        self._models: list[Model] = []
        self._runtimes: list[Runtime] = []
        self._buses: list[Bus] = []

    async def __aenter__(self) -> Client:
        """A client, once everybody is at work."""
        first = await self._bus()
        await first.provision(topology.installation(self._settings.subjects))
        bounds = Bounds(self._settings.max_cost or None)
        self._triggers: Consumption = Coordinator(first, self._settings.subjects, time.time, bounds).start()
        for worker in self._workers:
            self._models.append(self._model(worker.kind))
            self._runtimes.append(await worker.start(await self._bus(), self._settings, self._models[-1]))
        return Client(config=self._settings, bus=await self._bus())

    async def __aexit__(
        self, type_: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._triggers.stop()
        for runtime in self._runtimes:
            await runtime.drain(0)
        for bus in self._buses:
            await bus.close()
        for model in self._models:
            if isinstance(model, Anthropic):
                await model.close()

    async def _bus(self) -> Bus:
        self._buses.append(await self._connect())
        return self._buses[-1]


class Haste:
    """A clock for models, which no pause takes time by: it is ahead by all of them."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.ahead += seconds
        await asyncio.sleep(0)


def in_memory(settings: Settings, hurry: float = 0.02, haste: Haste | None = None) -> Callable[[], Awaitable[Bus]]:
    """Clients of one server in memory, where what is handed back waits for that share of its time only; by ``haste``, if given,
    it waited for all of it."""
    server = MemoryServer()

    async def connect() -> Bus:
        return _Hurried(settings, server, hurry, haste)

    return connect


class _Hurried(MemoryBus):
    def __init__(self, settings: Settings, server: MemoryServer, hurry: float, haste: Haste | None) -> None:
        super().__init__(settings.subjects, server=server)
        self._hurry, self._haste = hurry, haste

    def consume(self, consumer: Consumer, handler: Handler, slots: int, after: Consumption | None = None) -> Consumption:
        return super().consume(consumer, functools.partial(self._handle, handler), slots, after)

    async def _handle(self, handler: Handler, delivery: Delivery) -> None:
        if (handling := handler(_Soon(delivery, self._hurry, self._haste))) is not None:
            await handling


class _Soon:
    def __init__(self, delivery: Delivery, hurry: float, haste: Haste | None) -> None:
        self._delivery, self._hurry, self._haste = delivery, hurry, haste

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delivery, name)

    async def nak(self, delay: float = 0) -> None:
        if self._haste:
            self._haste.ahead += delay * (1 - self._hurry)
        await self._delivery.nak(delay * self._hurry)
