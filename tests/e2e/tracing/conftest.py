"""The real services as processes, and a collector that takes their spans by the real protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tracing_stage import Installation

from concertino.client import Client
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from kit.otlp import Collector, collector


@pytest.fixture
def spans() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture
def installation(nats_server: NatsServer, subjects: Subjects, spans: Collector, tmp_path: Path) -> Iterator[Installation]:
    """Nothing is started yet."""
    env = {
        "CTN_NATS_URL": nats_server.url,
        "CTN_PREFIX": subjects.prefix,
        "CTN_CACHE": str(tmp_path / "cache"),
        "CTN_MODEL": "extractive",
        "CTN_LEASE": "2",
        "CTN_LOG_FORMAT": "json",
        "CTN_LOG_LEVEL": "info",
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with ExitStack() as stack:
        made = Installation(env, Settings(nats_url=nats_server.url, prefix=subjects.prefix), tmp_path)
        stack.callback(made.stop)
        yield made


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    async with Client(config=installation.config) as client:
        yield client
