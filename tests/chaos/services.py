"""The services of a run as processes, each behind a link of its own, each started again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from msgspec import Struct
from tests.chaos.links import Link
from tests.chaos.orders import BRITTLE, OWN

from concertino.cli.fleet.services import Service
from concertino.cli.fleet.supervisor import Supervisor

WORKER = Path(__file__).with_name("worker.py")
_TARGETS = {
    "orchestrator": "concertino.orchestrator",
    "synthesizer": "concertino.synthesizer",
    "docs": "concertino.docs",
    "code": "concertino.code",
    "web": "concertino.web",
    "general": "concertino.general",
}
KINDS = {"orchestrator": "plan", "synthesizer": "synthesize"}
"""What a service announces, where that is not its name."""
TWICE = ("orchestrator", "synthesizer", "docs", "code")
ALL = tuple(
    name
    for service in (*_TARGETS, OWN, BRITTLE)
    for name in ((f"{service}-1", f"{service}-2") if service in TWICE else (service,))
)
"""The replicas of a whole run."""


class Grown(Struct, frozen=True):
    """What a process took at two times: open files, and memory in MiB."""

    name: str
    files: tuple[int, int]
    memory: tuple[int, int]


class Replica:
    """One process of a service."""

    def __init__(self, name: str, link: Link, environment: Mapping[str, str], log: TextIO) -> None:
        self.name, self.link = name, link
        service = name.partition("-")[0]
        own = {"CHAOS_KIND": service} if service not in _TARGETS else {}
        self._service = Service(name, _TARGETS.get(service, str(WORKER)))
        self._environment = {**environment, **own}
        self._log = log
        self._supervisor: Supervisor | None = None
        self._first: tuple[int, int, int] | None = None

    @property
    def pid(self) -> int | None:
        return self._supervisor.pids.get(self.name) if self._supervisor else None

    async def start(self) -> None:
        await self.link.start()
        environment = {**self._environment, "CTN_NATS_URL": self.link.url, "PYTHONUNBUFFERED": "1"}
        self._supervisor = Supervisor([self._service], environment, self._say)
        self._supervisor.start()

    def signal(self, sent: signal.Signals) -> None:
        if pid := self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)

    async def stop(self) -> None:
        if self._supervisor:
            self._supervisor.kill()
            await self._supervisor.stop(5.0)
        await self.link.stop()

    def measure(self) -> Grown | None:
        """What it takes now, against the first time that this was asked of the same process."""
        pid = self.pid
        taken = _taken(pid) if pid else None
        if pid is None or taken is None:
            return None
        if self._first is None or self._first[0] != pid:
            self._first = (pid, *taken)
            return None
        _, files, memory = self._first
        return Grown(self.name, (files, taken[0]), (memory, taken[1]))

    def _say(self, _: str, line: str) -> None:
        print(f"{self.name}: {line}", file=self._log, flush=True)


class Services:
    """All of them."""

    def __init__(self, names: Sequence[str], urls: Sequence[str], environment: Mapping[str, str], log: TextIO) -> None:
        self.replicas = {name: Replica(name, Link(urls), environment, log) for name in names}

    @property
    def kinds(self) -> set[str]:
        """What is announced once all are there."""
        return {KINDS.get(service, service) for service in (name.partition("-")[0] for name in self.replicas)}

    async def start(self) -> None:
        await asyncio.gather(*(replica.start() for replica in self.replicas.values()))

    async def stop(self) -> None:
        await asyncio.gather(*(replica.stop() for replica in self.replicas.values()))

    def heal(self) -> None:
        """Nothing is frozen, deaf or slow any more."""
        for replica in self.replicas.values():
            replica.signal(signal.SIGCONT)
            replica.link.heal()

    def measure(self) -> list[Grown]:
        return [grown for replica in self.replicas.values() if (grown := replica.measure())]


def _taken(pid: int) -> tuple[int, int] | None:
    """Open files and memory in MiB, where the system tells (Linux)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        memory = next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS"))
        return len(list(Path(f"/proc/{pid}/fd").iterdir())), memory
    except (OSError, StopIteration):
        return None
