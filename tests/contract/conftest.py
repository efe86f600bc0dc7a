"""Every test of this folder runs against the real server and against the twin."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from concertino.bus.port import Bus
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from kit.worlds import MemoryWorld, NatsWorld, World, provisioned


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.nats)])
def url(request: pytest.FixtureRequest) -> str | None:
    """Of the real server; None for the twin."""
    if request.param == "memory":
        return None
    server: NatsServer = request.getfixturevalue("nats_server")
    return server.url


@pytest.fixture
async def world(url: str | None, subjects: Subjects) -> AsyncIterator[World]:
    world = NatsWorld(subjects, url) if url else MemoryWorld(subjects)
    yield world
    for client in world.clients:
        await client.close()


@pytest.fixture
async def bus(world: World) -> Bus:
    """A client, with the installation provisioned."""
    return await provisioned(world)
