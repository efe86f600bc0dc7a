"""Services as processes, each with what the environment says of tracing, and a service of somebody else's that asks them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from concertino.client import Client, Plan
from concertino.contracts.errors import BusUnavailable
from concertino.runtime.settings import Settings
from kit.waiting import until

HERE = Path(__file__).parent
TARGETS = {
    "orchestrator": ["-m", "concertino.orchestrator"],
    "synthesizer": ["-m", "concertino.synthesizer"],
    "docs": ["-m", "concertino.docs"],
    "shaky": [str(HERE / "shaky.py")],
    "shaky too": [str(HERE / "shaky.py")],
}
KINDS = {"orchestrator": "plan", "synthesizer": "synthesize", "shaky too": "shaky"}


class Installation:
    """Services that are started by name, with what the environment says of tracing."""

    def __init__(self, env: dict[str, str], config: Settings, folder: Path) -> None:
        self.env, self.config, self._folder = env, config, folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, *names: str, **env: str) -> None:
        """Start them, and return once all of them are on the bus. ``env`` is theirs besides."""
        for name in names:
            with (self._folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, *TARGETS[name]],
                    env={**os.environ, **self.env, **env},
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
        wanted = {KINDS.get(name, name) for name in names}

        async def there() -> bool:
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, [(self._folder / f"{name}.log").read_text() for name in ended]
            async with Client(config=self.config) as client:
                try:
                    return wanted <= {worker.kind for worker in await client.workers() if worker.replicas}
                except BusUnavailable:
                    return False  # whoever is first provisions the bus

        await until(there, f"{wanted} are on the bus", seconds=60)

    async def caller(self, plan: Plan | None, *sources: str, **env: str) -> tuple[str, str]:
        """The task and its status, when the service of somebody else's has asked."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "caller.py"),
            msgspec.json.encode(plan).decode(),
            *sources,
            env={**os.environ, **self.env, **env},
            stdout=subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        task, status = out.decode().split()
        return task, status

    async def run(self, *arguments: str, **env: str) -> tuple[int | None, str]:
        """Exit status and standard error of a process that ends by itself."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env={**os.environ, **self.env, **env}, stderr=subprocess.PIPE
        )
        _, error = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, error.decode()

    def log(self, name: str) -> list[dict[str, Any]]:
        """The lines of a service."""
        return [json.loads(line) for line in (self._folder / f"{name}.log").read_text().splitlines()]

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
