"""Failed work: listed, and run again."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from concertino.cli.output import show_table, write, write_json
from concertino.cli.question import RedriveOptions
from concertino.cli.session import Session, configuration, connect, tracing
from concertino.cli.show.text import clean, one_line, plural
from concertino.client import FailedWork, Redriven
from concertino.contracts.errors import BadSetting, CannotRedrive, InvalidPlan, QueueFull, TaskExists
from concertino.contracts.subjects import PLAN, SYNTHESIZE

MOST = 1_000
"""Pieces of failed work that are run again at once."""


async def failures(*, nats: str | None, since: float, kind: str, task: str, limit: int, as_json: bool) -> int:
    """What failed in the last ``since`` seconds, or in ``task``. Raises :class:`BadSetting`, naming the option."""
    if limit < 1:
        raise BadSetting(f"--limit {limit}: list 1 piece of work at least")
    async with connect(configuration(nats)) as session:
        found = await session.client.failures(since, kind=kind, task=task, most=limit)
        if not found.work:
            await _is_known(session, kind)
    if as_json:
        write_json(found.work)
    else:
        from concertino.cli.show.tables import failures as table

        rows: list[Sequence[object]] = [("task", "work", "code", "attempts", "cost", "at", "status", "redriven", "error")]
        rows += [_row(one) for one in found.work]
        show_table(table(found.work, time.time()), rows)
        if not found.work:
            print("concertino: no such work failed", file=sys.stderr)
    if found.more:
        print("concertino: older failures are left out: say --limit, --since, --kind or --task", file=sys.stderr)
    if any(not one.redriven for one in found.work):
        print("concertino: to run again what failed: concertino redrive TASK [SUBTASK ...]", file=sys.stderr)
    return 0


async def _is_known(session: Session, kind: str) -> None:
    """Raise :class:`BadSetting` for a kind that nobody is: that none of its work failed would be true, and misleading."""
    there = {PLAN, SYNTHESIZE, *(worker.kind for worker in await session.client.workers())}
    if kind and kind not in there:
        raise BadSetting(
            f"--kind {kind!r}: no such work failed, and no such worker is on the bus; there are: {', '.join(sorted(there))}"
        )


def _row(one: FailedWork) -> Sequence[object]:
    at = datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds")
    cost = f"{one.usage.cost_usd:.4f}"
    return one.task, one.work, one.code, one.attempts, cost, at, one.status, ", ".join(one.redriven), one_line(one.error)


async def redrive(task: str, subtasks: Sequence[str], options: RedriveOptions, *, nats: str | None) -> int:
    """Run ``task`` again, print the id of the new one, and leave it."""
    with tracing():
        async with connect(configuration(nats)) as session:
            found = await session.client.redrive(task, subtasks, **options.given())
    print(f"concertino: {summary(found)}", file=sys.stderr)
    write(f"{found.task}\n")
    return 0


async def redrive_all(options: RedriveOptions, *, since: float, kind: str, nats: str | None) -> int:
    """Run again all tasks with failed work (of ``kind``) that were not run again before: a line for each, old and new."""
    code = 0
    with tracing():
        async with connect(configuration(nats)) as session:
            found = await session.client.failures(since, kind=kind, most=MOST)
            if not found.work:
                await _is_known(session, kind)
            by_task: dict[str, list[str]] = {}
            for one in found.work:
                if not one.redriven and one.status != "running":
                    by_task.setdefault(one.task, []).append(one.subtask)
            for number, (task, failed) in enumerate(by_task.items()):
                # A plan or a report is no subtask: what failed besides is run again with it.
                subtasks = [] if kind in ("", PLAN, SYNTHESIZE) else [subtask for subtask in failed if subtask]
                try:
                    redriven = await session.client.redrive(task, subtasks, once=True, **options.given())
                except TaskExists as e:  # by somebody else, since we looked
                    print(f"concertino: {clean(str(e))}", file=sys.stderr)
                    continue
                except QueueFull:
                    # What was run again says so in its log, and is not among what failed and was not.
                    came = f"{number} of {plural(len(by_task), 'task')} gone through"
                    left = f"the same command goes on with the other {len(by_task) - number}"
                    print(f"concertino: {came}; {left}", file=sys.stderr)
                    raise
                except (CannotRedrive, InvalidPlan) as e:
                    print(f"concertino: {clean(str(e))}", file=sys.stderr)
                    code = 1
                    continue
                write(f"{task}\t{redriven.task}\n")
    print(f"concertino: {plural(len(by_task), 'task')} with failed work", file=sys.stderr)
    if found.more:
        print("concertino: there may be older ones: say it again, or --since", file=sys.stderr)
    return code


def summary(found: Redriven) -> str:
    """What the new task does, in a line."""
    run = f"runs {plural(len(found.run), 'subtask')} again ({_some(found.run)})" if found.run else "plans or writes anew"
    kept = f", keeps the results of {len(found.kept)}" if found.kept else ""
    gone = f"; {plural(found.gone, 'piece')} of evidence expired, so what rested on it is run again" if found.gone else ""
    before = f"; it was run again before, as {_some(found.before)}" if found.before else ""
    return f"task {found.task} {run}{kept}{gone}{before}"


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (", …" if len(ids) > 5 else "")
