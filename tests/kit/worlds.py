"""The two worlds in which the contract of the bus holds, so that a test need not know which one it is in."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from concertino.bus.jetstream import JetStream
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Bus
from concertino.bus.topology import Topology, installation
from concertino.contracts.subjects import Subjects


class World(Protocol):
    subjects: Subjects

    async def connect(self) -> Bus:
        """Another client, closed when the test ends."""

    async def elapse(self, seconds: float) -> None:
        """Let the server's time pass."""

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

    def now(self) -> float:
        return self._server.now()


class NatsWorld:
    """The real server, on which time passes as it does."""

    def __init__(self, subjects: Subjects, url: str) -> None:
        self.subjects, self._url = subjects, url
        self.clients: list[Bus] = []

    async def connect(self) -> Bus:
        bus = await JetStream.connect(self._url, "test", self.subjects, patience=2.0)
        self.clients.append(bus)
        return bus

    async def elapse(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def now(self) -> float:
        return time.time()


async def provisioned(world: World, topology: Topology | None = None) -> Bus:
    """A client of ``world`` after the installation was provisioned there."""
    bus = await world.connect()
    await bus.provision(topology or installation(world.subjects))
    return bus
