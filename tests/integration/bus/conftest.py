"""Servers of one test each, for tests that stop, kill and freeze them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from concertino.runtime.nats_server import NatsServer
from kit.ports import free_port


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A server that only this test knows."""
    async with NatsServer(tmp_path / "nats", free_port()) as server:
        yield server
