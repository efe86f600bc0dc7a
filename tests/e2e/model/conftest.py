"""An installation on the real server whose model is scripted, and material to work on: a handbook, a source, a site, a desk."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from material import PLANTED, Material

from concertino.bus.jetstream import JetStream
from concertino.bus.port import Bus
from concertino.client import Client
from concertino.code.handler import worker as code
from concertino.contracts.subjects import Subjects
from concertino.docs.handler import worker as docs
from concertino.general.handler import worker as general
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from concertino.testing import MessagesApi
from concertino.web.handler import worker as web
from kit.site import Site, running
from kit.team import Team

TICKETS = Path(__file__).parent / "tickets_server.py"


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MessagesApi]:
    """The model's API, named in the environment as a user would."""
    async with MessagesApi() as api:
        for name, value in api.environment().items():
            monkeypatch.setenv(name, value)
        yield api


@pytest.fixture
def material(tmp_path: Path) -> Iterator[Material]:
    with running(Site()) as site:
        yield Material.written(tmp_path, site)


@pytest.fixture
def settings(material: Material, subjects: Subjects, tmp_path: Path) -> Settings:
    """Tickets are for ``general``, and of their tools only the one that reads."""
    desk = [sys.executable, str(TICKETS), str(material.calls), *([PLANTED] if material.planted else [])]
    config = tmp_path / "config.toml"
    config.write_text(
        '[models.web]\nmodel = "claude-haiku-5-5"\neffort = "low"\n'
        f"[mcp.tickets]\ncommand = {json.dumps(desk)}\ntools = ['search_tickets']\n"
    )
    return Settings(
        prefix=subjects.prefix, config=str(config), cache=str(tmp_path / "cache"), allow_networks="127.0.0.0/8", attempts=2
    )


@pytest.fixture
def connect(nats_server: NatsServer, subjects: Subjects) -> Callable[[], Awaitable[Bus]]:
    return lambda: JetStream.connect(nats_server.url, "test", subjects, patience=5.0)


@pytest.fixture
async def client(api: MessagesApi, connect: Callable[[], Awaitable[Bus]], settings: Settings) -> AsyncIterator[Client]:
    """Everybody at work."""
    async with Team(connect, settings, [web, code, docs, general]) as client:
        yield client
