"""The server freezes, or dies and comes back with its folder, under real services with a task under way: they say so, live, and
go on by themselves."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import Service
from concertino.client import Client, Limits, Plan, Subtask
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import settings
from kit.ports import free_port
from kit.probing import probe, ready
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

SERVICES = (
    Service("orchestrator", "concertino.orchestrator", ("plan",)),
    Service("echo", str(Path(__file__).parent.parent / "kit" / "echo.py"), ("echo",)),
)
NOTICED = 90.0
"""Seconds for what is only found out by silence: 20 on a machine with nothing else to do."""


class Stage:
    """A server, and each service as a process with a port for its probes."""

    def __init__(self, server: NatsServer, fleets: dict[int, Fleet]) -> None:
        self.server, self._fleets = server, fleets
        self.pids = self._pids()

    def _pids(self) -> list[int]:
        return [pid for fleet in self._fleets.values() for pid in fleet.pids.values()]

    async def answered_although(self, away: str) -> str:
        """A task whose one subtask runs when it happens; what the services say meanwhile is checked. Its report."""
        brief = Subtask(id="s1", kind="echo", objective="say it", params={"seconds": 2})
        plan = Plan(subtasks=(brief,), synthesize=False)
        async with Client(self.server.url) as client:
            await self._say("ready", 200)
            task = await client.submit("say it", plan=plan, limits=Limits(deadline=300))

            async def runs() -> bool:
                return any(worker.kind == "echo" and worker.running for worker in await client.workers())

            await until(runs, "its subtask is under way")
            getattr(self, away)()
            for port in self._fleets:
                await until(lambda port=port: self._not_ready(port), f"it says so after {away}", seconds=NOTICED)  # type: ignore[misc]
                assert await probe(port, "/livez") == (200, "alive"), "to start it again would help nobody"
            await self._back()
            for port in self._fleets:
                await until(lambda port=port: ready(port), "it says that it is well", seconds=NOTICED)  # type: ignore[misc]
        async with Client(self.server.url) as client:
            outcome = await client.wait(task, timeout=200)
        assert self._pids() == self.pids, "nobody had to start them again"
        return outcome.status or ""

    async def _say(self, word: str, status: int) -> None:
        for port in self._fleets:
            await until(lambda port=port: ready(port), word)  # type: ignore[misc]
            assert await probe(port, "/readyz") == (status, word)

    async def _not_ready(self, port: int) -> bool:
        status, why = await probe(port, "/readyz")
        assert (status, why) in {
            (200, "ready"),
            (503, "no connection to NATS"),
            (503, "nothing comes from the queue's consumer"),
        }
        return status == 503

    def freezes(self) -> None:
        os.kill(self.server.pid or 0, signal.SIGSTOP)

    def dies(self) -> None:
        self.server.kill()

    async def _back(self) -> None:
        if self.server.pid:
            os.kill(self.server.pid, signal.SIGCONT)
        else:
            await self.server.start()


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setenv("CTN_LEASE", "2")
    fleets: dict[int, Fleet] = {}
    async with NatsServer(tmp_path / "nats", free_port()) as server:
        try:
            for service in SERVICES:
                port = free_port()
                monkeypatch.setenv("CTN_PORT", str(port))
                unused = tmp_path / service.name
                fleets[port] = Fleet(settings(), lambda *_: None, url=server.url, store=unused, services=(service,))
                await fleets[port].start(strict=True)
            yield Stage(server, fleets)
        finally:
            if server.pid:
                os.kill(server.pid, signal.SIGCONT)
            for fleet in fleets.values():
                await fleet.stop(15.0)


@pytest.mark.parametrize("away", ["freezes", "dies"])
async def test_services_say_that_their_server_is_away_and_go_on_when_it_is_back(stage: Stage, away: str) -> None:
    assert await stage.answered_although(away) == "answered"
