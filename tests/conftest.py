"""Shared by all tests of a process: one real NATS server, and a namespace on it for each test."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from operator import itemgetter

import pytest
import structlog
from hypothesis import settings

from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from kit.ports import free_port

_numbers = itertools.count()

# One commit, one outcome: the examples follow from the test itself and none has to be done by a deadline. To look for new ones:
# pytest tests/property --hypothesis-profile=default
settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist writes down the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run in several processes: what they share is made once, and while some wait others compute."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    services = [item for item in items if item.get_closest_marker("processes")]
    others = [item for item in items if not item.get_closest_marker("processes")]
    # Tests of services wait for the most part. None of them comes last, where everybody would wait with it.
    items[:] = [item for _, item in sorted([*_spread(services, 0.8), *_spread(others, 1.0)], key=itemgetter(0))]


def _spread(items: list[pytest.Item], end: float) -> list[tuple[float, pytest.Item]]:
    """With the place of each in the run, evenly from 0 to ``end``."""
    return [(end * i / len(items), item) for i, item in enumerate(items)]


def _shares(item: pytest.Item) -> bool:
    """It uses something that its module makes once for all of its tests."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    return any(found[-1].scope == "module" for found in fixtures if found)


class Shared(NatsServer):
    """It writes to the disk as seldom as servers do unless told otherwise: nobody here pulls the plug.

    Ten times a second, for each stream that some test left behind, would take half a processor in the end.
    """

    def _config(self) -> str:
        config = json.loads(super()._config())
        del config["jetstream"]["sync_interval"]
        return json.dumps(config)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The real server. Tests that stop it start one of their own."""
    server = Shared(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server
    server.kill()  # in order it would write out, for seconds, what nobody reads again


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Loggers that a test's configuration had cached would write to its standard output, long after that was closed."""
    yield
    assert not structlog.get_config()["cache_logger_on_first_use"], "configure the logs of a process of the test's own"


@pytest.fixture
def subjects() -> Subjects:
    """Names that no other test uses."""
    return Subjects(f"t{next(_numbers)}")


@pytest.fixture
def unused_tcp_port() -> int:
    """In place of pytest-asyncio's, whose port any process on the machine may get before the test listens on it."""
    return free_port()
