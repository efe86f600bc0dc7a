"""What the machinery around the work costs: explicit plans of `echo` subtasks through the real services on the real server.

Run by ``make bench``. Beside every figure stands the bare bus in the same minute: as many messages stored and read as such a
task needs at the least, by one process that does nothing else. Machines are noisy; ratios travel better.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

from concertino.bus.jetstream import JetStream
from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS, own_workers
from concertino.client import Client
from concertino.contracts.ids import task_id
from concertino.contracts.messages import Plan, Subtask
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import settings

GOALS = {1: 10.0, 100: 50.0, 1000: 500.0}
"""Milliseconds for the median, by number of subtasks."""
ECHO = Path(__file__).parent.parent / "kit" / "echo.py"
SUBJECTS = Subjects()


class Row(msgspec.Struct):
    """One line of the table. Milliseconds; ``each_us`` is microseconds for each subtask."""

    subtasks: int
    report: bool
    runs: int
    p50_ms: float
    p99_ms: float
    each_us: float
    bare_ms: float
    ratio: float


async def task(client: Client, k: int, report: bool) -> float:
    """Seconds from submission to outcome, as a caller sees them."""
    subtasks = tuple(Subtask(id=f"s{i}", kind="echo", objective=f"echo {i}") for i in range(k))
    plan = Plan(subtasks=subtasks, synthesize=report)
    began = time.perf_counter()
    view = await client.ask("benchmark", plan=plan)
    seconds = time.perf_counter() - began
    if view.status != "answered":
        raise SystemExit(f"a task of {k} subtasks ended as {view.status}: {view.reason}")
    return seconds


async def bare(bus: JetStream, k: int, run: int) -> float:
    """Seconds for the messages that such a task cannot do without."""
    name = task_id(time.time(), lambda n: run)
    payload = b"x" * 400
    began = time.perf_counter()
    await bus.write_once(SUBJECTS.fact(name, "submitted"), payload)
    await asyncio.gather(
        *(
            bus.write_once(SUBJECTS.fact(name, f"{fact}{i}"), payload)
            for fact in ("dispatched.", "result.web.s")
            for i in range(k)
        )
    )
    await bus.read(SUBJECTS.tasks_stream, SUBJECTS.task(name))
    await bus.write_once(SUBJECTS.fact(name, "outcome"), payload)
    return time.perf_counter() - began


async def measure(client: Client, bus: JetStream, k: int, report: bool, seconds: float) -> Row:
    """Tasks and bare runs in turn, for about ``seconds``."""
    for warmup in range(3):
        await task(client, k, report)
        await bare(bus, k, warmup)
    ours: list[float] = []
    floor: list[float] = []
    end = time.perf_counter() + seconds
    while len(ours) < 5 or (time.perf_counter() < end and len(ours) < 300):
        ours.append(await task(client, k, report))
        floor.append(await bare(bus, k, len(ours)))
    p50, p99, least = percentile(ours, 50), percentile(ours, 99), percentile(floor, 50)
    return Row(
        subtasks=k,
        report=report,
        runs=len(ours),
        p50_ms=round(p50 * 1e3, 2),
        p99_ms=round(p99 * 1e3, 2),
        each_us=round(p50 / k * 1e6, 1),
        bare_ms=round(least * 1e3, 2),
        ratio=round(p50 / least, 2),
    )


def percentile(values: list[float], percent: float) -> float:
    """By the nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(percent / 100 * (len(ranked) - 1)))]


async def run(ks: list[int], seconds: float) -> list[Row]:
    """The whole table, on a fleet of its own."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="concertino-bench-") as store:
        log = Path(store) / "services.log"
        with log.open("w") as lines:
            fleet = Fleet(
                settings(),
                lambda name, line: print(f"{name}: {line}", file=lines),
                store=Path(store) / "nats",
                services=(*ALWAYS, *own_workers([str(ECHO)])),
            )
            try:
                await fleet.start(strict=True)
                bus = await JetStream.connect(fleet.url, "bench", SUBJECTS)
                async with Client(fleet.url) as client:
                    while "echo" not in {worker.kind for worker in await client.workers()}:
                        await asyncio.sleep(0.05)
                    for report in (False, True):
                        for k in ks:
                            rows.append(await measure(client, bus, k, report, seconds))
                            print(line(rows[-1]), flush=True)
                await bus.close()
            finally:
                await fleet.stop(10.0)
    return rows


HEADER = f"{'subtasks':>9}  {'report':6}  {'p50 ms':>8}  {'p99 ms':>8}  {'µs each':>8}  {'bare ms':>8}  {'ratio':>6}  goal"


def line(row: Row) -> str:
    """One row for people."""
    goal = GOALS.get(row.subtasks)
    verdict = "" if goal is None else f"{goal:g} ms: {'met' if row.p50_ms < goal else 'MISSED'}"
    return (
        f"{row.subtasks:>9}  {'yes' if row.report else 'no':6}  {row.p50_ms:>8}  {row.p99_ms:>8}  {row.each_us:>8}  "
        f"{row.bare_ms:>8}  {row.ratio:>6}  {verdict}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--subtasks", default="1,10,100,1000", help="numbers of subtasks, separated by commas")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    options = parser.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, file storage", flush=True)
    print(HEADER, flush=True)
    rows = uvloop.run(run([int(k) for k in options.subtasks.split(",")], options.seconds))
    if options.json:
        json.dump([msgspec.to_builtins(row) for row in rows], sys.stdout, indent=2)


if __name__ == "__main__":
    main()
