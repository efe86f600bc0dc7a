"""What services take while there is nothing to do, and how long they take to be there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.benchmark.effort import Effort
from tests.benchmark.figures import Figure, median
from tests.benchmark.processes import Taken
from tests.benchmark.site import SUBJECTS, services, site

from concertino.bus.jetstream import JetStream
from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import SERVICES
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import settings

MEMORY_GOAL, FIRST_LINE_GOAL = 80.0, 2.0
_ROOT = Path(__file__).parents[2]
_WORKERS = ("docs", "code", "web", "general", "echo-1")


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Everything that ships, with nothing to do."""
    async with site(of=(*SERVICES, *services(workers=1)[-1:])) as ours:
        await asyncio.sleep(1.0)  # what is done once after the start
        before = {name: Taken.by(pid) for name, pid in ours.fleet.pids.items()}
        await asyncio.sleep(effort.seconds)
        for name, pid in sorted(ours.fleet.pids.items()):
            now = Taken.by(pid)
            goal = MEMORY_GOAL if name in _WORKERS else None
            yield Figure(f"memory of {name}", now.memory, "MiB", goal=goal, judged="value")
            yield Figure(f"processor time of {name}", (now.cpu - before[name].cpu) / effort.seconds * 1e3, "ms/s")


async def starts(effort: Effort) -> AsyncIterator[Figure]:
    """From the command to the announcement on the bus, each service by itself; then what a caller waits for."""
    with tempfile.TemporaryDirectory(prefix="concertino-bench-") as store:
        async with NatsServer(Path(store)) as server:
            bus = await JetStream.connect(server.url, "bench", SUBJECTS)
            await bus.close()
            for service in SERVICES:
                took: list[float] = []
                for _ in range(effort.starts):
                    fleet = Fleet(settings(), lambda *_: None, url=server.url, store=Path(store) / "none", services=(service,))
                    began = time.perf_counter()
                    await fleet.start(strict=True)
                    took.append(time.perf_counter() - began)
                    await fleet.stop(10.0)
                yield Figure(service.name, median(took), "s")
    firsts = [await asyncio.to_thread(first_line) for _ in range(effort.starts)]
    yield Figure("concertino ask: command to first line", median(firsts), "s", goal=FIRST_LINE_GOAL, judged="value")


def first_line() -> float:
    """Seconds from the command to the first word of progress, server and services embedded."""
    command = [
        str(Path(sys.executable).with_name("concertino")),
        "ask",
        "How long is work leased?",
        "--docs",
        str(_ROOT / "docs"),
    ]
    with tempfile.TemporaryDirectory(prefix="concertino-bench-") as home:
        environment = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home, "CTN_CACHE": home, "CTN_MODEL": "extractive"}
        began = time.perf_counter()
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=home
        ) as asking:
            assert asking.stderr is not None
            line = asking.stderr.readline()
            took = time.perf_counter() - began
            asking.stderr.read()
        if asking.returncode not in (0, 2) or not line.strip():
            raise SystemExit(f"concertino ask ended with {asking.returncode}, its first line was {line!r}")
    return took
