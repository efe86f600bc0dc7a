"""Every panel of every dashboard shows something: real services, real tasks, a real Prometheus that scrapes and answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from deploy.dashboards.boards import BOARDS

from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.messages import Result
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from concertino.testing import MessagesApi, Tool
from kit import script
from kit.waiting import until

pytestmark = [
    pytest.mark.nats,
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus, of the package of that name"),
]

SERVICES = {
    "orchestrator": ["-m", "concertino.orchestrator"],
    "synthesizer": ["-m", "concertino.synthesizer"],
    "docs": ["-m", "concertino.docs"],
    "trouble": [str(Path(__file__).with_name("trouble.py"))],
}
QUOTE = "The relay waits 30 seconds before each retry."


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def process(*command: str, env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        running = subprocess.Popen(command, env={**os.environ, **env}, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()


class Prometheus:
    """Asked over HTTP, as a dashboard does."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"

    async def get(self, path: str, **parameters: str) -> Any:
        return await asyncio.to_thread(self._get, f"{self._url}{path}?{urlencode(parameters)}")

    def _get(self, url: str) -> Any:
        with urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    async def answers(self) -> bool:
        try:
            targets = (await self.get("targets"))["activeTargets"]
        except (URLError, ConnectionError):
            return False
        return len(targets) == len(SERVICES) and all(target["health"] == "up" for target in targets)

    async def values(self, expr: str) -> list[str]:
        """What a panel would show now: numbers only."""
        result = (await self.get("query", query=expr.replace("$__rate_interval", "1m")))["result"]
        return [sample["value"][1] for sample in result if sample["value"][1] != "NaN"]


def scripted(api: MessagesApi) -> None:
    """A task of one subtask, whose worker also asks for a tool that fails, and quotes something that nobody wrote."""
    api.on(script.of("plan"), every=script.split(script.brief("handbook", "docs", "How long it waits", sources="1")))
    api.on(
        script.of("research"),
        every=script.works(
            Tool("search", query="retry"),
            Tool("read", source="nothing.md"),
            then=script.findings(script.claim("It is 30 seconds.", ("retries.md", QUOTE))),
        ),
    )
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


@pytest.fixture
async def installation(nats_server: NatsServer, subjects: Subjects, tmp_path: Path) -> AsyncIterator[tuple[Client, Prometheus]]:
    """Services as processes, each with its metrics, and what scrapes them every second."""
    ports = {name: free_port() for name in SERVICES}
    listens = free_port()
    targets = [f"127.0.0.1:{port}" for port in ports.values()]
    scrape = {"job_name": "concertino", "static_configs": [{"targets": targets}]}
    (tmp_path / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}))
    async with MessagesApi() as api:
        scripted(api)
        env = {
            **api.environment(),
            "CTN_NATS_URL": nats_server.url,
            "CTN_PREFIX": subjects.prefix,
            "CTN_CACHE": str(tmp_path / "cache"),
        }
        with contextlib.ExitStack() as stack:
            for name, arguments in SERVICES.items():
                own = {**env, "CTN_PORT": str(ports[name])}
                stack.enter_context(process(sys.executable, *arguments, env=own, log=tmp_path / f"{name}.log"))
            stack.enter_context(
                process(
                    "prometheus",
                    f"--config.file={tmp_path / 'prometheus.yml'}",
                    f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{listens}",
                    env={},
                    log=tmp_path / "prometheus.log",
                )
            )
            prometheus = Prometheus(listens)
            await until(prometheus.answers, "Prometheus scrapes every service", seconds=60)
            config = Settings(nats_url=nats_server.url, prefix=subjects.prefix)
            async with Client(config=config) as client:
                yield client, prometheus
        assert not api.unexpected


async def run(client: Client, sources: list[Source], nats: str, subjects: Subjects) -> None:
    """Tasks that come out well and badly."""
    await client.ask("How long does the relay wait?", sources=sources, limits=Limits(max_rounds=1))
    makes = [Subtask(id=f"s{i}", kind="trouble", objective=what) for i, what in enumerate(("fail", "fail once", "go well"))]
    await client.ask("Trouble", plan=Plan(subtasks=tuple(makes), synthesize=False))
    late = Plan(subtasks=(Subtask(id="late", kind="trouble", objective="take long"),), synthesize=False)
    task = await client.submit("Too late", plan=late)
    bus = await JetStream.connect(nats, "test", subjects)
    await asyncio.sleep(0.5)
    await TaskLog(bus, subjects).write(task, "result.trouble.late", Result(worker="faster"))
    await client.wait(task, 30)
    await bus.close()


@pytest.mark.timeout(240)
async def test_every_panel_shows_something(
    installation: tuple[Client, Prometheus], nats_server: NatsServer, subjects: Subjects, tmp_path: Path
) -> None:
    client, prometheus = installation
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "retries.md").write_text(f"# Retries\n\n{QUOTE}\n")
    sources = [Source(kind="docs", location=str(tmp_path / "handbook"))]
    for _ in range(2):  # what was never seen before cannot have grown
        await run(client, sources, nats_server.url, subjects)
        await asyncio.sleep(2.5)
    empty = {
        (board.title, panel.title): query.expr
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
        if not await prometheus.values(query.expr)
    }
    assert not empty
