"""What docs/operations.md says of servers that are lost: a quorum costs time, and one disk of three costs nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.chaos.servers import Servers

from concertino.bus.connection import dial
from concertino.client import Client
from concertino.contracts.errors import BusUnavailable
from concertino.runtime.config import Config
from concertino.runtime.provision import provision
from concertino.runtime.settings import Settings
from kit.waiting import until

pytestmark = [pytest.mark.nats, pytest.mark.timeout(200)]

PATIENCE = 90.0
"""Seconds for a cluster to agree, on however busy a machine."""
TASKS = 20


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    servers = Servers(tmp_path, 3)
    await servers.start()
    yield servers
    servers.stop()


@pytest.fixture
async def client(servers: Servers) -> AsyncIterator[Client]:
    settings = Settings(nats_url=",".join(servers.urls), replicas=3)
    async with Client(config=settings) as client:
        await provision(client._bus, settings, Config())  # as the job does it in an installation
        yield client


async def test_without_a_quorum_nothing_is_taken_and_nothing_is_lost(servers: Servers, client: Client) -> None:
    before = await client.submit("Is it there?")
    for node in servers.nodes[1:]:
        servers.signal(node, signal.SIGSTOP)
    with pytest.raises(BusUnavailable):
        await client.submit("Nobody can take this.", task="t1")
    for node in servers.nodes[1:]:
        servers.thaw(node)
    taken = []

    async def is_taken() -> bool:
        try:
            taken.append(await client.submit("Nobody can take this.", task="t1"))
        except BusUnavailable:
            return False
        return True

    await until(is_taken, "the cluster takes tasks again", PATIENCE)
    state = await client.state(before)
    assert state.submitted is not None
    assert state.submitted.request == "Is it there?"


async def test_a_disk_of_three_that_is_lost_is_copied_anew(servers: Servers, client: Client) -> None:
    tasks = [await client.submit(f"Task {i}") for i in range(TASKS)]
    lost, other, _ = servers.nodes
    nats = await dial(",".join(servers.urls), "test", patience=10.0)

    async def copied() -> bool:
        try:
            reply = json.loads((await nats.request("$JS.API.STREAM.INFO.CTN_TASKS", timeout=2)).data)
        except Exception:  # noqa: BLE001  (whatever nats-py raises while the servers agree)
            return False
        cluster = reply.get("cluster", {})
        return len(cluster.get("replicas", ())) == 2 and all(r.get("current") for r in cluster["replicas"])

    servers.lose_disk(lost)
    await until(lambda: lost.pid is not None, "it is started again", PATIENCE)
    await until(copied, "it has a copy", PATIENCE)
    await nats.close()
    servers.signal(other, signal.SIGKILL)

    async def all_there() -> bool:
        try:
            return {summary.task for summary in await client.tasks()} >= set(tasks)
        except BusUnavailable:
            return False

    await until(all_there, "every task is in the log", PATIENCE)
