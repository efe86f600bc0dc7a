"""Somebody who has taken over a role of a strict server, and the names of what is on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nats.aio.client import Client

from concertino.bus.connection import dial
from concertino.contracts.subjects import Subjects
from kit.secured import Secured

SUBJECTS, KINDS = Subjects("sec"), ("web", "code")
WEB, CODE = KINDS


@dataclass
class Attacker:
    """A plain client with the credentials of a role."""

    nc: Client
    denied: list[str] = field(default_factory=list)

    async def is_denied(self, subject: str, data: bytes = b"x") -> bool:
        await self.nc.publish(subject, data)
        await self.settled()
        return subject.lower() in self.denied

    async def settled(self) -> None:
        """The server has seen what was sent before, and said what it had to say about it."""
        await self.nc.flush()  # nats-py sends the ping of the first ahead of what waits to be sent
        await self.nc.flush()


@asynccontextmanager
async def taken_over(server: Secured, role: str) -> AsyncIterator[Attacker]:
    """Everything that ``role`` has."""
    denied: list[str] = []
    nc = await dial(server.url, role, patience=5.0, denied=denied.append, access=server.access(role))
    try:
        yield Attacker(nc, denied)
    finally:
        await nc.close()
