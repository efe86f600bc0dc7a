"""Conversations that are kept on a bus in memory, and attempts that die in the middle of them."""

from __future__ import annotations

from concertino.bus import topology
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Bus
from concertino.contracts.messages import Checkpoint, Record
from concertino.contracts.subjects import Subjects
from concertino.worker.journal import Checkpoints, Journal

NOW = 1e9


class Died(BaseException):
    """The worker was killed: nothing that is said after this is said."""


class Mortal(Journal):
    """Of an attempt that dies once it has kept ``lives`` records."""

    bus: Bus
    number: int
    """Of the delivery."""
    lives: int | None = None
    kept = 0

    async def keep(self, record: Record) -> None:
        await super().keep(record)
        self.kept += 1
        if self.kept == self.lives:
            raise Died


class Keeping:
    """One piece of work, and the deliveries of it, each of which goes on where the one before it ended."""

    def __init__(self) -> None:
        self.subjects = Subjects()
        self.bus = MemoryBus(self.subjects, server=MemoryServer(clock=lambda: NOW))
        self.deliveries = 0

    async def delivery(self, lives: int | None = None, *, counted_anew: bool = False) -> Mortal:
        """The journal of the next delivery. ``counted_anew``: it says that it is the first."""
        if not self.deliveries:
            await self.bus.provision(topology.installation(self.subjects))
        self.deliveries += 1
        number = 1 if counted_anew else self.deliveries
        journal = Mortal(self.checkpoints(), "docs", f"r{self.deliveries}", number, lambda: NOW)
        journal.bus, journal.number, journal.lives = self.bus, number, lives
        if number > 1:
            await journal.open()
        return journal

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.bus, self.subjects, "t1", "result.docs.s1", 1, NOW + 600)

    async def kept(self) -> list[Checkpoint]:
        return await self.checkpoints().all()
