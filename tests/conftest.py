"""Shared by all tests: one real NATS server for the whole run, and a namespace on it for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import settings

from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from kit.ports import free_port

_numbers = itertools.count()

# One commit, one outcome: the examples follow from the test itself and none has to be done by a deadline. To look for new ones:
# pytest tests/property --hypothesis-profile=default
settings.load_profile("ci")


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The real server. Tests that stop it start one of their own."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server
    server.kill()  # in order it would write out, for seconds, what nobody reads again


@pytest.fixture
def subjects() -> Subjects:
    """Names that no other test uses."""
    return Subjects(f"t{next(_numbers)}")


@pytest.fixture
def unused_tcp_port() -> int:
    """In place of pytest-asyncio's, whose port any process on the machine may get before the test listens on it."""
    return free_port()
