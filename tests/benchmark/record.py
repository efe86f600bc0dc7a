"""The figures of a run as a file, each section with the machine that it was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct
from tests.benchmark.figures import Figure

from concertino.runtime.nats_server import nats_server_binary

_NAMED = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


class Machine(Struct, frozen=True):
    """What it ran on, and with what. ``load`` is that of the minute before: others' work, if it is much."""

    at: str
    commit: str
    processor: str
    cores: int
    load: float
    system: str
    python: str
    server: str
    packages: dict[str, str]

    @property
    def line(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        where = f"{self.cores} cores ({self.processor}), {self.system}, load before {self.load:g}"
        return f"{self.at} at {self.commit}, {where}; {self.python}, {self.server}, {packages}"


class Section(Struct, frozen=True):
    machine: Machine
    figures: tuple[Figure, ...]


def machine() -> Machine:
    """This one, now."""
    server = subprocess.run([nats_server_binary(), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    about = Path("/proc/cpuinfo")
    named = _NAMED.search(about.read_text()) if about.exists() else None
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False)
    return Machine(
        at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        commit=commit.stdout.strip() or "no checkout",
        processor=named[1].strip() if named else platform.machine(),
        cores=os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 1),
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        server=server.replace(": v", " "),
        packages={name: version(name) for name in ("nats-py", "uvloop", "msgspec")},
    )


def read(path: Path) -> dict[str, Section]:
    """What :func:`write` wrote; nothing where there is no file yet."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Section]) if path.exists() else {}


def write(path: Path, record: Mapping[str, Section]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
