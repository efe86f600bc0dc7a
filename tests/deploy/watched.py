"""An installation as processes of this machine, and a real Prometheus that scrapes it every second and reads the rules."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml
from deploy.dashboards.panels import scoped

from kit.ports import free_port
from kit.waiting import until

RULES = Path(__file__).parents[2] / "helm" / "concertino" / "rules.yaml"
TROUBLE = str(Path(__file__).with_name("trouble.py"))


class Services:
    """``commands`` are what Python runs, by name; each may be stopped and started again. Leaving stops all."""

    def __init__(self, commands: Mapping[str, list[str]], env: Mapping[str, str], folder: Path) -> None:
        self._commands, self._env, self._folder = commands, env, folder
        self.ports = {name: free_port() for name in commands}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> set[str]:
        return set(self._commands)

    def start(self, *names: str) -> None:
        for name in names:
            env = {**self._env, "CTN_PORT": str(self.ports[name])}
            self._running[name] = _process([sys.executable, *self._commands[name]], env, self._folder / f"{name}.log")

    async def ready(self) -> None:
        """Wait until each says that work can reach it."""
        for name, port in self.ports.items():
            ask = partial(asyncio.to_thread, _answers, f"http://127.0.0.1:{port}/readyz")
            await until(ask, f"{name} is ready", seconds=90)

    def stop(self, *names: str) -> None:
        for name in names:
            _end(self._running.pop(name))

    def kill(self, name: str) -> None:
        """As the kernel does where memory is short."""
        self._running[name].kill()
        self._running.pop(name).wait()

    @contextlib.contextmanager
    def all(self) -> Iterator[None]:
        try:
            self.start(*self._commands)
            yield
        finally:
            for running in self._running.values():
                running.terminate()
            self.stop(*list(self._running))


class Prometheus:
    """Asked over HTTP, as a dashboard does."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._url = f"http://{self.address}/api/v1/"

    @classmethod
    @contextlib.contextmanager
    def watching(cls, ports: Mapping[str, int], folder: Path) -> Iterator[Prometheus]:
        """With the rules that ship. Only how long something must have been so is shorter: a second in place of minutes."""
        rules = yaml.safe_load(RULES.read_text("utf-8"))
        for rule in rules["groups"][0]["rules"]:
            rule["for"] = "1s"
        (folder / "rules.json").write_text(json.dumps(rules))
        scrape = {
            "job_name": "concertino",
            "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports.values()]}],
        }
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.json")],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        port = free_port()
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        running = _process(command, {}, folder / "prometheus.log")
        try:
            yield cls(port)
        finally:
            _end(running)

    async def sees(self, count: int) -> None:
        """Wait until so many processes are scraped, and no more."""
        await until(lambda: self._sees(count), f"Prometheus scrapes {count} services", seconds=90)

    async def _sees(self, count: int) -> bool:
        try:
            targets = (await self.get("targets"))["activeTargets"]
        except (URLError, ConnectionError):
            return False
        return sum(target["health"] == "up" for target in targets) == count

    async def looks_again(self) -> None:
        """Wait until every process was scraped after this was called."""
        called = time.time()

        async def since() -> bool:
            targets = (await self.get("targets"))["activeTargets"]
            return all(datetime.fromisoformat(target["lastScrape"]).timestamp() > called for target in targets)

        await until(since, "Prometheus looks again", seconds=90)

    async def get(self, path: str, **parameters: str) -> Any:
        return await asyncio.to_thread(self._get, f"{self._url}{path}?{urlencode(parameters)}")

    def _get(self, url: str) -> Any:
        with urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    async def values(self, expr: str) -> list[float]:
        """What a panel would show now: numbers only."""
        query = scoped(expr).replace("$__rate_interval", "1m").replace("$namespace", ".*")
        result = (await self.get("query", query=query))["result"]
        return [float(sample["value"][1]) for sample in result if sample["value"][1] != "NaN"]

    async def value(self, expr: str) -> float:
        """The one number that ``expr`` is; 0 where there is none."""
        found = await self.values(expr)
        assert len(found) < 2, found
        return found[0] if found else 0.0

    async def firing(self) -> dict[str, dict[str, str]]:
        """The alerts that fire now, by name, with their labels; their annotations too."""
        alerts = (await self.get("alerts"))["alerts"]
        return {a["labels"]["alertname"]: {**a["labels"], **a["annotations"]} for a in alerts if a["state"] == "firing"}


def _answers(url: str) -> bool:
    """Whether it is 200 OK there."""
    try:
        with urlopen(url, timeout=10) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _process(command: list[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, env={**os.environ, **env}, stdout=output, stderr=subprocess.STDOUT)


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(30)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
