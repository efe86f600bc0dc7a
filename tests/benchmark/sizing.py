"""What an installation takes: memory and processor time of each process, idle and at work, and what a task leaves behind.

Run by ``make sizing``, on Linux. Real services on a real server of this machine, which share its cores with whoever submits: of
the figures, those for one task and one subtask travel to other machines better than those for a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
import uvloop
from nats.aio.client import Client as Connection
from tests.benchmark.processes import Taken
from tests.benchmark.scripted import Api, quickly
from tests.benchmark.site import SUBJECTS, Site, services, site

from concertino.cli.fleet.services import SERVICES, Service
from concertino.client import Client, Limits, Source
from concertino.runtime.nats_server import nats_server_binary

ROOT = Path(__file__).parents[2]
QUESTIONS = (
    "How long is work leased to a worker?",
    "What happens when a worker dies?",
    "How is a citation checked?",
    "Which settings bound the cost of a task?",
)


@dataclass
class Load:
    """One kind of load on the whole installation. ``cpu`` is in seconds, ``memory`` in MiB (the most that was seen)."""

    name: str
    tasks: int = 0
    subtasks: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)
    """Bytes that came into each stream."""


class Sized:
    """The installation that is measured."""

    def __init__(self, installed: Site, connection: Connection) -> None:
        self.site, self.client, self._js = installed, installed.client, connection.jetstream()

    async def idle(self, seconds: float) -> Load:
        async def wait(_: Load) -> None:
            await asyncio.sleep(seconds)

        return await self._measured(Load("idle"), wait)

    async def under(self, name: str, seconds: float, at_once: int, one: Callable[[int], Awaitable[int]]) -> Load:
        """``one`` task after the other, ``at_once`` beside each other, for ``seconds``. It says how many subtasks it had."""

        async def busy(load: Load) -> None:
            end = time.perf_counter() + seconds

            async def caller(number: int) -> None:
                while time.perf_counter() < end:
                    subtasks = await one(number)
                    load.subtasks += subtasks
                    load.tasks += 1

            await asyncio.gather(*(caller(number) for number in range(at_once)))

        return await self._measured(Load(name), busy)

    async def _measured(self, load: Load, work: Callable[[Load], Awaitable[None]]) -> Load:
        pids, before, stored = self.site.fleet.pids, self._taken(), await self._stored()
        with _most(load.memory, pids):
            began = time.perf_counter()
            await work(load)
            load.seconds = time.perf_counter() - began
        after = self._taken()
        load.cpu = {name: after[name].cpu - before[name].cpu for name in pids}
        load.stored = {stream: size - stored[stream] for stream, size in (await self._stored()).items()}
        return load

    def _taken(self) -> dict[str, Taken]:
        return {name: Taken.by(pid) for name, pid in self.site.fleet.pids.items()}

    async def _stored(self) -> dict[str, float]:
        streams = (SUBJECTS.tasks_stream, SUBJECTS.work_stream, SUBJECTS.blobs_stream)
        return {stream: float((await self._js.stream_info(stream)).state.bytes) for stream in streams}


@contextmanager
def _most(memory: dict[str, float], pids: dict[str, int]) -> Iterator[None]:
    """Keep the most memory that each process had meanwhile, by a look every half second."""

    async def watch() -> None:
        while True:
            for name, pid in pids.items():
                memory[name] = max(memory.get(name, 0.0), Taken.by(pid).memory)
            await asyncio.sleep(0.5)

    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        watching.cancel()


async def echo(installed: Site, k: int, report: bool) -> int:
    """A task of ``k`` subtasks in which there is nothing to do."""
    await installed.task(k, report=report)
    return k


async def research(client: Client, number: int) -> int:
    """A question about this repository, to the workers for code and documents, without a model."""
    sources = [Source(kind="docs", location=str(ROOT / "docs")), Source(kind="code", location=str(ROOT / "libs"))]
    view = await client.ask(QUESTIONS[number % len(QUESTIONS)], sources=sources, limits=Limits(max_rounds=1))
    if view.status == "failed":
        raise SystemExit(f"a question ended as failed: {view.reason}")
    return len(view.subtasks)


@asynccontextmanager
async def sized(of: Sequence[Service], **environment: str) -> AsyncIterator[Sized]:
    """A fleet of its own."""
    async with site(of=of, environment=environment) as installed, await nats.connect(installed.fleet.url) as connection:
        yield Sized(installed, connection)


async def measured(seconds: float) -> list[Load]:
    """Every load in turn: without a model, then with one that is scripted."""
    found: list[Load] = []
    async with sized((*SERVICES, *services(workers=1)[-1:]), CTN_MODEL="extractive") as ours:
        found += [
            await ours.idle(seconds),
            await ours.under("1 subtask", seconds, 32, lambda _: echo(ours.site, 1, False)),
            await ours.under("10 subtasks", seconds, 16, lambda _: echo(ours.site, 10, False)),
            await ours.under("10 subtasks, report", seconds, 16, lambda _: echo(ours.site, 10, True)),
            await ours.under("questions", seconds, 4, lambda n: research(ours.client, n)),
        ]
    with Api(quickly) as api:
        async with sized(SERVICES, CTN_MODEL="anthropic", **api.environment) as ours:
            model = ours.client
            await research(model, 0)  # with the first one each process loads the SDK
            found.append(await ours.under("questions, model", seconds, 4, lambda n: research(model, n)))
    return found


def table(loads: list[Load]) -> str:
    """As docs/operations.md quotes it."""
    lines = ["| load | tasks/s | subtasks/s | in CTN_TASKS, KiB/task | in CTN_BLOBS, KiB/task |", "|---|---|---|---|---|"]
    for load in loads:
        if load.tasks:
            kept = (load.stored[s] / 1024 / load.tasks for s in (SUBJECTS.tasks_stream, SUBJECTS.blobs_stream))
            rates = (load.tasks / load.seconds, load.subtasks / load.seconds)
            lines.append(f"| {load.name} | {' | '.join(f'{value:.1f}' for value in (*rates, *kept))} |")
    names = sorted({name for load in loads for name in load.cpu})
    lines += ["", "| memory at most, MiB | " + " | ".join(load.name for load in loads) + " |", "|---" * (len(loads) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{load.memory.get(name, 0):.0f}" for load in loads) + " |" for name in names]
    lines += ["", "| processor, ms/task (idle: ms/s) | " + " | ".join(load.name for load in loads) + " |"]
    lines += ["|---" * (len(loads) + 1) + "|"]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(f"{_each(load, name):.1f}" for load in loads) + " |")
    return "\n".join(lines)


def _each(load: Load, name: str) -> float:
    return 1000 * load.cpu.get(name, 0.0) / (load.tasks or load.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.sizing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each load")
    options = parser.parse_args()
    server = subprocess.run([nats_server_binary(), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    others = os.getloadavg()[0]
    found = uvloop.run(measured(options.seconds))
    print(f"Python {platform.python_version()}, {server}, {os.cpu_count()} cores, load before: {others:.1f}\n")
    print(table(found))


if __name__ == "__main__":
    main()
