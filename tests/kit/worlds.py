"""The two worlds in which the contract of the bus holds, so that a test need not know which one it is in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from concertino.bus.jetstream import JetStream
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Bus
from concertino.bus.topology import Topology, installation
from concertino.contracts.subjects import Subjects
from kit.waiting import until


class World(Protocol):
    subjects: Subjects

    async def connect(self) -> Bus:
        """Another client, closed when the test ends."""

    async def elapse(self, seconds: float) -> None:
        """Let the server's time pass."""

    async def within(self, seconds: float, condition: Callable[[], Awaitable[bool]]) -> None:
        """Let the server's time pass until ``condition`` holds, which it has to after ``seconds`` of a server that has nothing
        else to do."""

    def now(self) -> float:
        """The server's time."""


class MemoryWorld:
    """The twin: its time stands still unless a test lets it pass."""

    def __init__(self, subjects: Subjects) -> None:
        self.subjects, self._server = subjects, MemoryServer(clock=lambda: 1e9)
        self.clients: list[Bus] = []

    async def connect(self) -> Bus:
        bus = MemoryBus(self.subjects, server=self._server)
        self.clients.append(bus)
        return bus

    async def elapse(self, seconds: float) -> None:
        await self._server.advance(seconds)

    async def within(self, seconds: float, condition: Callable[[], Awaitable[bool]]) -> None:
        await self.elapse(seconds)
        assert await condition()

    def now(self) -> float:
        return self._server.now()


class NatsWorld:
    """The real server, on which time passes as it does."""

    def __init__(self, subjects: Subjects, url: str) -> None:
        self.subjects, self._url = subjects, url
        self.clients: list[Bus] = []

    async def connect(self) -> Bus:
        bus = await JetStream.connect(self._url, "test", self.subjects, patience=1.0)
        self.clients.append(bus)
        return bus

    async def elapse(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def within(self, seconds: float, condition: Callable[[], Awaitable[bool]]) -> None:
        await until(condition)

    def now(self) -> float:
        return time.time()


async def provisioned(world: World, topology: Topology | None = None) -> Bus:
    """A client of ``world`` after the installation was provisioned there."""
    bus = await world.connect()
    await bus.provision(topology or installation(world.subjects))
    return bus
