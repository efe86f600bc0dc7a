"""The chart as it comes: three servers, a copy of each stream on each, and one of them that is gone at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from chart import Rendered
from installed import SERVER, Installation, status
from tests.kit.ports import free_port
from tests.kit.waiting import until

pytestmark = [pytest.mark.nats, pytest.mark.processes, pytest.mark.timeout(300)]

VALUES: dict[str, Any] = {"model": {"name": "extractive"}, "defaults": {"lease": 2, "grace": 5, "scaling": {"by": "queue"}}}
VALUES["orchestrator"] = {"scaling": {"by": "fixed"}}
ASK = ["python", "-m", "concertino.client", "How long is work leased to a worker?"]


class Servers:
    """The pods of the StatefulSet, each with the rendered configuration; other ports are all that differs."""

    def __init__(self, chart: Rendered, root: Path) -> None:
        [replicas] = [o["spec"]["replicas"] for o in chart.objects if o["kind"] == "StatefulSet"]
        self._chart, self._root = chart, root
        self._ports = [(free_port(), free_port(), free_port()) for _ in range(replicas)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return ",".join(f"nats://127.0.0.1:{port}" for port, _, _ in self._ports)

    def start(self, number: int) -> None:
        port, monitoring, cluster = self._ports[number]
        root = self._root / f"nats-{number}"
        file = Installation(self._chart, root).configured()
        text = file.read_text(encoding="utf-8").replace('"port": 6222', f'"listen": "127.0.0.1:{cluster}"')
        for other, (_, _, there) in enumerate(self._ports):
            text = text.replace(f"demo-nats-{other}.demo-nats-headless:6222", f"127.0.0.1:{there}")
        file.write_text(text, encoding="utf-8")
        command = [str(SERVER), "-c", str(file), "-a", "127.0.0.1", "-p", str(port), "-m", str(monitoring)]
        with (root / "log").open("ab") as log:
            env = {"PATH": os.environ["PATH"], "SERVER_NAME": f"nats-{number}"}
            self._running[number] = subprocess.Popen(command, env=env, stdout=log, stderr=log)

    async def up(self) -> None:
        """Until each says that it is."""
        for _, monitoring, _ in self._ports:
            await until(lambda port=monitoring: status(f"http://127.0.0.1:{port}/healthz") == 200, "a server is up", 60)  # type: ignore[misc]

    def kill(self, number: int) -> None:
        self._running[number].kill()
        self._running.pop(number).wait()

    def leader(self, stream: str) -> int:
        """The number of the server that leads ``stream``; it and its consumers are on all of them."""
        asked = f"http://127.0.0.1:{self._ports[0][1]}/jsz?acc=CTN&streams=true"
        with urllib.request.urlopen(asked, timeout=10) as answer:
            [account] = json.load(answer)["account_details"]
        [found] = [s for s in account["stream_detail"] if s["name"] == stream]
        assert len(found["cluster"]["replicas"]) == len(self._ports) - 1
        return int(found["cluster"]["leader"].removeprefix("nats-"))

    def lag(self, installation: Installation, trigger: dict[str, str]) -> list[int | None]:
        """What each of them tells KEDA."""
        return [installation.lag(trigger, monitoring) for _, monitoring, _ in self._ports]

    def __enter__(self) -> Servers:
        for number in range(len(self._ports)):
            self.start(number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._running):
            self.kill(number)


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[Servers, Installation]]:
    chart = Rendered(VALUES)
    with Servers(chart, tmp_path) as three:
        await three.up()
        found = Installation(chart, tmp_path)
        try:
            yield three, found
        finally:
            found.stop()


async def test_a_server_that_goes_is_not_noticed(servers: tuple[Servers, Installation], tmp_path: Path) -> None:
    three, found = servers
    page = tmp_path / "leases.md"
    page.write_text("# Leases\n\nWork is leased to a worker for fifteen seconds, and a heartbeat keeps the lease.\n")
    told = {"CTN_NATS_URL": three.url, "CTN_SOURCE_ROOTS": str(tmp_path)}
    assert await found.finished(found.run("provision", **told)) == 0, found.said("provision")
    assert three.lag(found, found.triggers("docs")[0]) == [0, 0, 0]
    services = ("orchestrator", "docs", "synthesizer")
    running = {name: found.run(name, ["python", "-m", f"concertino.{name}"], **told) for name in services}
    for name in services:
        await until(lambda name=name: found.probe(name, "readinessProbe") == 200, f"{name} is ready", 60)  # type: ignore[misc]
    for stream in ("CTN_TASKS", "CTN_WORK"):
        gone = three.leader(stream)
        three.kill(gone)
        asked = found.run("test", [*ASK, f"docs={page}"], **told)
        assert await found.finished(asked, 120) == 0, (stream, found.said("test"))
        three.start(gone)
        await three.up()
        await asyncio.sleep(1)
    assert {name: process.poll() for name, process in running.items()} == dict.fromkeys(services)
