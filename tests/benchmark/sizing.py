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
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
import uvloop
from nats.aio.client import Client as Connection
from tests.kit import script

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import SERVICES, Service, own_workers
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import nats_server_binary
from concertino.runtime.settings import settings
from concertino.testing import MessagesApi, Tool

ROOT = Path(__file__).parents[2]
ECHO = Path(__file__).parent.parent / "kit" / "echo.py"
SUBJECTS = Subjects()
QUESTIONS = (
    "How long is work leased to a worker?",
    "What happens when a worker dies?",
    "How is a citation checked?",
    "Which settings bound the cost of a task?",
)
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Taken:
    """By one process so far: seconds of processor time, and MiB of memory now."""

    cpu: float
    memory: float

    @classmethod
    def by(cls, pid: int) -> Taken:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return cls((int(fields[11]) + int(fields[12])) / _TICKS, int(status["VmRSS"].split()[0]) / 1024)


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


class Site:
    """The installation that is measured."""

    def __init__(self, fleet: Fleet, client: Client, connection: Connection) -> None:
        self._fleet, self.client, self._js = fleet, client, connection.jetstream()

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
        pids, before, stored = self._fleet.pids, self._taken(), await self._stored()
        with _most(load.memory, pids):
            began = time.perf_counter()
            await work(load)
            load.seconds = time.perf_counter() - began
        after = self._taken()
        load.cpu = {name: after[name].cpu - before[name].cpu for name in pids}
        load.stored = {stream: size - stored[stream] for stream, size in (await self._stored()).items()}
        return load

    def _taken(self) -> dict[str, Taken]:
        return {name: Taken.by(pid) for name, pid in self._fleet.pids.items()}

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


async def echo(client: Client, k: int, report: bool) -> int:
    """A task of ``k`` subtasks in which there is nothing to do."""
    subtasks = tuple(Subtask(id=f"s{i}", kind="echo", objective=f"echo {i}") for i in range(k))
    view = await client.ask("benchmark", plan=Plan(subtasks=subtasks, synthesize=report))
    if view.status != "answered":
        raise SystemExit(f"a task of {k} subtasks ended as {view.status}: {view.reason}")
    return k


async def research(client: Client, number: int) -> int:
    """A question about this repository, to the workers for code and documents, without a model."""
    sources = [Source(kind="docs", location=str(ROOT / "docs")), Source(kind="code", location=str(ROOT / "libs"))]
    view = await client.ask(QUESTIONS[number % len(QUESTIONS)], sources=sources, limits=Limits(max_rounds=1))
    if view.status == "failed":
        raise SystemExit(f"a question ended as failed: {view.reason}")
    return len(view.subtasks)


@asynccontextmanager
async def installed(services: Sequence[Service], **environment: str) -> AsyncIterator[Site]:
    """A fleet of its own."""
    os.environ.update(environment)
    with tempfile.TemporaryDirectory(prefix="concertino-sizing-") as store, (Path(store) / "services.log").open("w") as lines:
        fleet = Fleet(
            settings(),
            lambda name, line: print(f"{name}: {line}", file=lines),
            store=Path(store) / "nats",
            services=services,
        )
        try:
            await fleet.start(strict=True)
            async with await nats.connect(fleet.url) as connection, Client(fleet.url) as client:
                yield Site(fleet, client, connection)
        finally:
            await fleet.stop(10.0)


def scripted(api: MessagesApi) -> None:
    """What a model says to each question: two workers, four calls of tools each, a finding, a report."""
    briefs = (script.brief(kind, kind, f"What {kind} says", sources=str(n)) for n, kind in enumerate(("docs", "code"), start=1))
    api.on(script.of("plan"), every=script.split(*briefs))
    searches = [
        Tool("search", query=words) for words in ("lease of a worker", "citation checked", "cost of a task", "settings")
    ]
    found = script.findings(script.claim("A fact is written once.", ("concepts.md", "the first one counts")))
    nothing = script.findings(gaps=["What the code says about it."])
    api.on(script.researching("What docs says"), every=script.works(*searches, then=found))
    api.on(script.of("research"), every=script.works(*searches, then=nothing))
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


async def measured(seconds: float) -> list[Load]:
    """Every load in turn: without a model, then with one that is scripted."""
    found: list[Load] = []
    async with installed((*SERVICES, *own_workers([str(ECHO)])), CTN_MODEL="extractive") as site:
        client = site.client
        while "echo" not in {worker.kind for worker in await client.workers()}:
            await asyncio.sleep(0.05)
        found += [
            await site.idle(seconds),
            await site.under("1 subtask", seconds, 32, lambda _: echo(client, 1, False)),
            await site.under("10 subtasks", seconds, 16, lambda _: echo(client, 10, False)),
            await site.under("10 subtasks, report", seconds, 16, lambda _: echo(client, 10, True)),
            await site.under("questions", seconds, 4, lambda n: research(client, n)),
        ]
    async with MessagesApi() as api:
        scripted(api)
        async with installed(SERVICES, CTN_MODEL="anthropic", **api.environment()) as site:
            model = site.client
            await research(model, 0)  # with the first one each process loads the SDK
            found.append(await site.under("questions, model", seconds, 4, lambda n: research(model, n)))
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
