"""The installation that is measured: the real services as they ship, on a real server with file storage."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from concertino.bus.jetstream import JetStream
from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS, Service
from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.ids import task_id
from concertino.contracts.messages import Outcome
from concertino.contracts.subjects import Subjects
from concertino.contracts.view import TaskView
from concertino.runtime.settings import settings

ECHO = Path(__file__).parent.parent / "kit" / "echo.py"
SUBJECTS = Subjects()
WORKERS = 2
"""Processes that do the subtasks, of ours and of the skeleton beside."""
STARTED_WITHIN = 60.0


class Site:
    """One installation, and a caller beside it."""

    def __init__(self, fleet: Fleet, client: Client, bus: JetStream) -> None:
        self.fleet, self.client, self.bus = fleet, client, bus
        self._bare = 0

    async def task(self, k: int, *, report: bool = False, seconds: Sequence[float] = (), whole: bool = False) -> float:
        """Seconds from submission to outcome of ``k`` subtasks, as their caller sees them. Subtask n takes
        ``seconds[n]``. ``whole``: until that caller has what each of them found, too."""

        def params(n: int) -> dict[str, float]:
            return {"seconds": seconds[n]} if seconds else {}

        subtasks = tuple(Subtask(id=f"s{n}", kind="echo", objective=f"echo {n}", params=params(n)) for n in range(k))
        plan = Plan(subtasks=subtasks, synthesize=report)
        limits = Limits(max_subtasks=max(k, 1))
        began = time.perf_counter()
        ended: TaskView | Outcome
        if whole:
            ended = await self.client.ask("benchmark", plan=plan, limits=limits)
        else:
            ended = await self.client.outcome(await self.client.submit("benchmark", plan=plan, limits=limits))
        took = time.perf_counter() - began
        if ended.status != "answered":
            raise SystemExit(f"a task of {k} subtasks ended as {ended.status}: {ended.reason}")
        return took

    async def bare(self, k: int) -> float:
        """Seconds for the fewest messages that such a task could do with, by one process that does nothing else."""
        self._bare += 1
        name = task_id(time.time(), lambda _: self._bare)
        payload = b"x" * 400
        began = time.perf_counter()
        await self.bus.write_once(SUBJECTS.fact(name, "submitted"), payload)
        facts = (f"{fact}{n}" for fact in ("dispatched.", "result.web.s") for n in range(k))
        await asyncio.gather(*(self.bus.write_once(SUBJECTS.fact(name, fact), payload) for fact in facts))
        await self.bus.read(SUBJECTS.tasks_stream, SUBJECTS.task(name))
        await self.bus.write_once(SUBJECTS.fact(name, "outcome"), payload)
        return time.perf_counter() - began


def services(*, workers: int = WORKERS, orchestrators: int = 1) -> tuple[Service, ...]:
    """What a task of such subtasks needs of what ships, with so many replicas of who coordinates and who echoes."""
    needed = [service for service in ALWAYS if service.name in ("orchestrator", "synthesizer")]
    more = (Service(f"orchestrator-{n}", "concertino.orchestrator") for n in range(2, orchestrators + 1))
    return (*needed, *more, *(Service(f"echo-{n}", str(ECHO)) for n in range(1, workers + 1)))


@asynccontextmanager
async def site(
    *, of: Sequence[Service] | None = None, url: str | None = None, environment: Mapping[str, str] = {}
) -> AsyncIterator[Site]:
    """A fleet of its own, on a server of its own unless there is one at ``url``."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    wanted = tuple(services() if of is None else of)
    try:
        with tempfile.TemporaryDirectory(prefix="concertino-bench-") as store, (Path(store) / "log").open("w") as lines:
            fleet = Fleet(
                settings(),
                lambda name, line: print(f"{name}: {line}", file=lines),
                url=url,
                store=Path(store) / "nats",
                services=wanted,
            )
            try:
                await fleet.start(strict=True, within=STARTED_WITHIN)
                bus = await JetStream.connect(fleet.url, "bench", SUBJECTS)
                async with Client(fleet.url) as client:
                    echoes = sum(service.target == str(ECHO) for service in wanted)
                    async with asyncio.timeout(STARTED_WITHIN):
                        while sum(w.replicas for w in await client.workers() if w.kind == "echo") < echoes:
                            await asyncio.sleep(0.05)
                    yield Site(fleet, client, bus)
                await bus.close()
            finally:
                await fleet.stop(10.0)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
