"""What a cluster does with the chart, as far as it goes on one machine: the server with its rendered configuration, and
processes with the commands, environments and files of their pods."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chart import Rendered
from tests.kit.ports import free_port
from tests.kit.waiting import until

SERVER = Path(sys.executable).with_name("nats-server")


class Installation:
    """One server, and what was started, below the folder ``root``. All ends with the context."""

    def __init__(self, chart: Rendered, root: Path) -> None:
        self.chart, self._root = chart, root
        self._port, self._monitoring = free_port(), free_port()
        self._probes: dict[str, int] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        scheme = self.chart.env("provision")["CTN_NATS_URL"].partition("://")[0]
        return f"{scheme}://127.0.0.1:{self._port}"

    @property
    def users(self) -> Path:
        """The folder that the server includes its users from."""
        return self._root / "nats" / "etc" / "nats-users"

    @property
    def log(self) -> str:
        return (self._root / "nats.log").read_text(encoding="utf-8")

    def configured(self) -> Path:
        """The server's configuration, laid out."""
        self.chart.laid_out("nats", self._root / "nats")
        file = self._root / "nats" / "etc" / "nats-config" / "nats.conf"
        text = file.read_text(encoding="utf-8")
        for path in ('"/data"', '"/var/run/', '"/etc/'):
            text = text.replace(path, f'"{self._root}/nats{path[1:]}')
        file.write_text(text, encoding="utf-8")
        return file

    async def __aenter__(self) -> Self:
        command = [SERVER, "-c", self.configured(), "-a", "127.0.0.1", "-p", str(self._port), "-m", str(self._monitoring)]
        self.server = self._started("nats", [str(part) for part in command], {"SERVER_NAME": "nats-0"})
        health = f"http://127.0.0.1:{self._monitoring}/healthz"
        await until(lambda: status(health) == 200 or self.server.poll() is not None, "the server is up")
        assert self.server.poll() is None, self.log
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End what was started."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, pod: str, command: list[str] | None = None, **also: str) -> subprocess.Popen[bytes]:
        """A process with the pod's environment and files, and its command unless there is another."""
        self._probes[pod] = free_port()
        env = self.chart.laid_out(pod, self._root / pod)
        env |= {"CTN_NATS_URL": self.url, "CTN_PORT": str(self._probes[pod]), **also}
        said = command or self.chart.pod(pod)["containers"][0]["command"]
        return self._started(pod, [sys.executable if part == "python" else part for part in said], env)

    async def finished(self, process: subprocess.Popen[bytes], seconds: float = 60) -> int:
        """The exit status."""
        await until(lambda: process.poll() is not None, f"{process.args} ended", seconds)
        return int(process.returncode)

    def probe(self, pod: str, which: str) -> int:
        """The status that a probe of the pod gets; 0 where nobody answers."""
        asked = self.chart.pod(pod)["containers"][0][which]["httpGet"]
        assert asked["port"] == "metrics"
        return status(f"http://127.0.0.1:{self._probes[pod]}{asked['path']}")

    def said(self, pod: str) -> str:
        """What the processes of a pod wrote."""
        return (self._root / f"{pod}.log").read_text(encoding="utf-8")

    def lag(self, trigger: dict[str, str], monitoring: int | None = None) -> int | None:
        """What KEDA's scaler makes of a trigger's metadata: pending and unacknowledged messages; None without the consumer."""
        url = f"http://127.0.0.1:{monitoring or self._monitoring}/jsz?acc={trigger['account']}&consumers=true&config=true"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        for account in found.get("account_details", ()):
            for stream in account.get("stream_detail", ()):
                for consumer in stream.get("consumer_detail", ()):
                    if (account["name"], stream["name"], consumer["name"]) == (
                        trigger["account"],
                        trigger["stream"],
                        trigger["consumer"],
                    ):
                        return int(consumer["num_pending"]) + int(consumer["num_ack_pending"])
        return None

    def triggers(self, service: str) -> list[dict[str, str]]:
        scaled: Any = self.chart.of("ScaledObject")[service]
        return [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]

    def _started(self, name: str, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "COVERAGE_PROCESS_START") if key in os.environ}
        with (self._root / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, env=kept | env, stdout=log, stderr=log, cwd=self._root)
        self._processes.append(process)
        return process


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as e:
        with e:
            return e.code
    except OSError:
        return 0


async def exit_of(command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Exit status and output of a command."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
