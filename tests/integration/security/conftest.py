"""A strict server on which everything is there that ``provision`` makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from break_in import KINDS, SUBJECTS

from concertino.bus.jetstream import JetStream
from concertino.bus.topology import installation, queues
from concertino.contracts.subjects import PLAN, SYNTHESIZE
from kit.secured import INSPECTOR, Secured, secured


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured"), SUBJECTS, KINDS) as server:
        asyncio.run(_provision(server))
        yield server


async def _provision(server: Secured) -> None:
    bus = await JetStream.connect(server.url, INSPECTOR, SUBJECTS, access=server.access(INSPECTOR))
    await bus.provision(installation(SUBJECTS))
    await bus.provision(queues(SUBJECTS, [PLAN, SYNTHESIZE, *KINDS]))
    await bus.close()


@pytest.fixture
async def inspector(server: Secured) -> AsyncIterator[JetStream]:
    bus = await JetStream.connect(server.url, INSPECTOR, SUBJECTS, access=server.access(INSPECTOR))
    yield bus
    await bus.close()
