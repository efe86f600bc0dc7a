"""The command line as a process, in an environment of its own, so that nothing it leaves behind goes unnoticed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from kit.waiting import PATIENCE

SLOW = """
import asyncio
from concertino.worker import Worker

worker = Worker("slow", "Does nothing until it is told to stop.", slots=50)

@worker.handle
async def wait(brief, context):
    await context.progress("waiting")
    await asyncio.Event().wait()

worker.run()
"""

GUIDE = """# Retries

The client retries a failed request five times, with a pause that doubles.

# Limits

A request body may hold at most ten megabytes.
"""


@dataclass
class Running:
    """A command that runs, and everything that was read of its standard error."""

    process: subprocess.Popen[str]
    said: list[str]

    def until(self, text: str, stream: IO[str] | None = None) -> str:
        """The next line with ``text`` in it. Fails where the command ends before it says so."""
        for line in stream or self.process.stderr or ():
            self.said.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended without saying {text!r}: {''.join(self.said)}")

    def end(self) -> tuple[int, str, str]:
        """Exit status, standard output, and what is left of standard error, once it has ended."""
        out, err = self.process.communicate(timeout=200)
        return self.process.returncode, out, "".join(self.said) + err


class Cli:
    """Runs ``concertino``. Every process that comes of it carries ``mark`` in its environment."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.mark = uuid.uuid4().hex
        self.folder, self.url = folder, url
        self.extra: dict[str, str] = {}
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)

    def start(self, *arguments: str, stdin: str | None = None) -> Running:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CTN_")}
        environment |= {"TEST_MARK": self.mark, "TMPDIR": str(self.temporary), "CTN_CACHE": str(self.folder / "cache")}
        environment |= self.extra
        if self.url:
            environment["CTN_NATS_URL"] = self.url
        process = subprocess.Popen(
            [sys.executable, "-m", "concertino.cli", *arguments],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.folder,
        )
        if stdin is not None and process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
        return Running(process, [])

    def run(self, *arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
        return self.start(*arguments, stdin=stdin).end()

    def processes(self) -> dict[int, str]:
        """Those that carry the mark and live: process to command line."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                try:
                    if f"TEST_MARK={self.mark}".encode() in (folder / "environ").read_bytes():
                        found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue  # gone while we looked, or a zombie
        return found


@dataclass
class Up:
    """``concertino up`` and a command line that talks to it."""

    running: Running
    cli: Cli

    def pids(self, service: str) -> set[int]:
        return {pid for pid, line in self.cli.processes().items() if "tether" in line and service in line}


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it ended since we looked
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """Without a bus. In the end nothing may be left."""
    cli = Cli(tmp_path)
    (tmp_path / "guide.md").write_text(GUIDE)
    yield cli
    end = time.monotonic() + PATIENCE
    while (left := cli.processes()) and time.monotonic() < end:
        time.sleep(0.01)  # what the kernel ends as its parent is gone takes a moment
    kill(left)
    assert not left


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts an installation with the worker ``slow`` beside, and takes it down again."""
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "guide.md").write_text(GUIDE)
    started: list[Up] = []

    def start(*arguments: str, extra: Mapping[str, str] | None = None) -> Up:
        cli = Cli(tmp_path)
        cli.extra = dict(extra or {})
        running = cli.start("up", "--port", "0", "--store", "store", "--worker", "slow.py", *arguments)
        url = running.until("nats://", running.process.stdout).split()[1].rstrip(",")
        # The worker of a user's own is not waited for by `up`: nobody knows its kind.
        cli.url = url
        started.append(Up(running, cli))
        return started[-1]

    yield start
    for one in started:
        one.running.process.kill()
        kill(one.cli.processes())
        if not one.running.process.stdout.closed:  # type: ignore[union-attr]
            one.running.end()
