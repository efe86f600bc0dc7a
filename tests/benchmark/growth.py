"""How it grows: subtasks of one task, tasks in the log, replicas."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean

import nats
from tests.benchmark.effort import Effort
from tests.benchmark.figures import Figure, median
from tests.benchmark.limit import Limit, limit
from tests.benchmark.processes import Taken
from tests.benchmark.site import SUBJECTS, WORKERS, Site, services, site
from tests.benchmark.throughput import rate

from concertino.bus import topology
from concertino.bus.jetstream import JetStream
from concertino.bus.port import Delivery
from concertino.contracts.codec import encode, schema_of
from concertino.contracts.ids import task_id
from concertino.contracts.messages import Dispatched, Finding, Message, Outcome, OutcomeStatus, Plan, Result, Submitted, Subtask
from concertino.contracts.subjects import Header
from concertino.runtime.nats_server import NatsServer

BASE, WIDE_GOAL = 100, 1.2
LOG_GOAL = 1.3
TURNS = 4
"""Short turns for each slice, as what is compared here differs by less than a neighbour of the machine takes meanwhile."""
WIDE_REPLICAS_GOAL, MANY_REPLICAS_GOAL = 1.05, 1.0
MANY, MANY_AT_ONCE = 10, 64
"""Subtasks of each of many tasks, and how many are under way."""
_PIECE = 4_000
"""Facts that are sent before it is waited until the server has them."""


async def width(effort: Effort) -> AsyncIterator[Figure]:
    """What a subtask costs in a very wide task, against one of :data:`BASE`."""
    k = effort.wide
    async with site() as ours:
        wide: list[float] = []
        base: list[float] = []
        end = time.perf_counter() + effort.seconds
        while len(wide) < effort.least + 1 or time.perf_counter() < end:
            wide.append(await ours.task(k) / k * 1e6)
            base += [await ours.task(BASE) / BASE * 1e6 for _ in range(max(2, k // BASE // 5))]
    yield Figure(f"k = {k:,}, for each subtask", median(wide[1:]), "µs", median(base[1:]), f"k = {BASE}", WIDE_GOAL)


async def log(effort: Effort) -> AsyncIterator[Figure]:
    """From submission to outcome where the log holds ``tasks`` finished tasks, against an empty one: two
    installations, in turn."""
    tasks = effort.tasks
    with tempfile.TemporaryDirectory(prefix="concertino-bench-log-") as store:
        async with NatsServer(Path(store)) as server:
            began = time.perf_counter()
            await fill(server.url, tasks)
            filled = time.perf_counter() - began
            async with site(url=server.url) as full, site() as empty:
                took: dict[str, list[float]] = {"full": [], "empty": []}
                for k, goal in ((1, LOG_GOAL), (100, LOG_GOAL)):
                    took = {"full": [], "empty": []}
                    for _ in range(effort.warm):
                        await asyncio.gather(full.task(k), empty.task(k))
                    end = time.perf_counter() + effort.seconds
                    while len(took["full"]) < effort.least + 1 or time.perf_counter() < end:
                        took["full"].append(await full.task(k) * 1e3)
                        took["empty"].append(await empty.task(k) * 1e3)
                    yield Figure(
                        f"{tasks:,} tasks in the log, k = {k}, p50",
                        median(took["full"]),
                        "ms",
                        median(took["empty"]),
                        "empty log",
                        goal,
                        note=f"filled in {filled:.0f} s",
                    )
                for name in ("orchestrator", "nats"):
                    pids = server.pid if name == "nats" else full.fleet.pids[name]
                    beside = empty.fleet.pids[name]
                    assert pids is not None
                    memory = Taken.by(pids).memory, Taken.by(beside).memory
                    yield Figure(f"memory of {name}", memory[0], "MiB", memory[1], "empty log")


async def fill(url: str, tasks: int) -> None:
    """Store the facts of ``tasks`` that ended, and have them settled, as they are where they were run."""
    bus = await JetStream.connect(url, "fill", SUBJECTS)
    await bus.provision(topology.installation(SUBJECTS))
    async with await nats.connect(url, pending_size=64 * 1024 * 1024) as connection:
        jetstream = connection.jetstream()
        stored = 0
        for number in range(tasks):
            for subject, data, headers in _facts(number):
                await connection.publish(subject, data, headers=headers)
                stored += 1
            if stored % _PIECE == 0:  # nobody acknowledges them one by one: that would take ten times as long
                await connection.flush(60)
        while (await jetstream.stream_info(SUBJECTS.tasks_stream)).state.messages < stored:
            await asyncio.sleep(0.1)
    settled = asyncio.Event()
    left = 2 * tasks

    async def settle(delivery: Delivery) -> None:
        nonlocal left
        await delivery.ack()
        left -= 1
        if left == 0:
            settled.set()

    consumption = bus.consume(topology.coordinator(SUBJECTS), settle, 5_000)
    await settled.wait()
    await consumption.stop()
    await bus.close()


def _facts(number: int) -> Sequence[tuple[str, bytes, dict[str, str]]]:
    """Of a task of one subtask, as its log holds them in the end."""
    task = task_id(time.time(), lambda _: number)
    subtask = Subtask(id="s0", kind="echo", objective="echo 0")
    facts: dict[str, Message] = {
        "submitted": Submitted(request="benchmark", plan=Plan(subtasks=(subtask,), synthesize=False)),
        "dispatched.1": Dispatched(work=((subtask.work_id, 1),)),
        subtask.work_id: Result(findings=(Finding(claim="echo 0"),), worker="echo", seconds=0.001),
        "outcome": Outcome(status=OutcomeStatus.ANSWERED, reason="1 subtask done"),
    }
    return [(SUBJECTS.fact(task, name), encode(fact), {Header.SCHEMA: schema_of(type(fact))}) for name, fact in facts.items()]


async def replicas(effort: Effort) -> AsyncIterator[Figure]:
    """One, two and four coordinators, then as many workers, each beside an installation with one of them, in turn. What all
    processes took of the processor says whether they get into each other's way, however many cores they share.

    The same of the coordinators of the skeleton says what a second process costs by itself."""
    for what in ("orchestrators", "workers"):
        for count in effort.replicas:
            base = {"orchestrators": 1, "workers": 1 if what == "workers" else WORKERS}
            async with site(of=services(**base)) as one, site(of=services(**{**base, what: count})) as more:
                note, judged = f"{count} {what} against 1", what == "orchestrators" and count == 2
                async for figure in _compared(note, _of_site(more), _of_site(one), effort, judged=judged):
                    yield figure
                if what == "orchestrators":
                    async with limit(one.fleet.url, WORKERS) as few, limit(more.fleet.url, WORKERS, count) as many:
                        measured = _of_skeleton(more, many), _of_skeleton(one, few)
                        async for figure in _compared(f"{note}, skeleton", *measured, effort):
                            yield figure


async def _compared(
    note: str, more: _Measured, one: _Measured, effort: Effort, *, judged: bool = False
) -> AsyncIterator[Figure]:
    """Wide tasks, after one of each that is not counted; then many small ones at once."""
    k = max(effort.sizes)
    for measured in (more, one):
        await measured.task(k)
        measured.forget()
    end = time.perf_counter() + effort.seconds
    while len(one.took) < effort.least or time.perf_counter() < end:
        await more.task(k)
        await one.task(k)
    yield Figure(
        f"{note}: k = {k}, p50", median(more.took), "ms", median(one.took), "1", WIDE_REPLICAS_GOAL if judged else None
    )
    yield Figure(f"{note}: k = {k}, processor", more.each, "ms", one.each, "1")
    for measured in (more, one):
        measured.forget()
    turns = TURNS * effort.slices
    for turn in range(turns):
        for measured in (more, one) if turn % 2 else (one, more):
            await measured.slice(2 * effort.seconds / turns)
    goal = MANY_REPLICAS_GOAL if judged else None
    yield Figure(f"{note}: many tasks of {MANY}", mean(more.rates), "tasks/s", mean(one.rates), "1", goal, least=True)
    yield Figure(f"{note}: many tasks of {MANY}, processor", more.each, "ms", one.each, "1")


def _of_site(measured: Site) -> _Measured:
    return _Measured(measured.task, measured.fleet.pids.values())


def _of_skeleton(beside: Site, measured: Limit) -> _Measured:
    """On the server of the site ``beside``, whose own services have nothing to do meanwhile."""
    return _Measured(measured.task, [beside.fleet.pids["nats"], *itertools.chain.from_iterable(measured.pids.values())])


class _Measured:
    """One of two that are compared: how long its tasks took, in milliseconds, and what its processes took of the processor.
    ``run`` does a task of so many subtasks, and returns the seconds that took."""

    def __init__(self, run: Callable[[int], Awaitable[float]], pids: Iterable[int]) -> None:
        self._run, self._pids = run, tuple(pids)
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._tasks, self._cpu = 0, 0.0
        self.took: list[float] = []
        self.rates: list[float] = []

    @property
    def each(self) -> float:
        """Milliseconds of the processor for a task."""
        return self._cpu / self._tasks * 1e3

    async def task(self, k: int) -> None:
        before = self._now()
        self.took.append(await self._run(k) * 1e3)
        self._add(before, 1)

    async def slice(self, seconds: float) -> None:
        """Of many tasks at once."""
        tasks = 0

        async def one() -> None:
            nonlocal tasks
            await self._run(MANY)
            tasks += 1

        before = self._now()
        self.rates.append(await rate(one, MANY_AT_ONCE, seconds))
        self._add(before, tasks)

    def _now(self) -> float:
        return sum(Taken.by(pid).cpu for pid in self._pids)

    def _add(self, before: float, tasks: int) -> None:
        self._cpu += self._now() - before
        self._tasks += tasks
