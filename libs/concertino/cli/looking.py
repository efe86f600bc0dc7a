"""The commands that look at the bus or change one fact on it, and are done: everything that does not wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from concertino.cli.output import show_report, show_table, show_timeline, show_tree, write, write_json, write_page
from concertino.cli.question import Question
from concertino.cli.session import configuration, connect, tracing
from concertino.cli.show.text import one_line
from concertino.client import TaskSummary
from concertino.contracts.errors import BadSetting
from concertino.contracts.state import State
from concertino.contracts.timeline import timeline


async def submit(question: Question, *, nats: str | None, task: str | None) -> int:
    """Put the task into the log and print its id."""
    with tracing():
        async with connect(configuration(nats)) as session:
            name = await session.client.submit(
                question.request,
                sources=question.sources,
                limits=question.limits,
                plan=question.plan,
                lane=question.lane,
                task=task,
                wait=question.wait,
            )
    write(f"{name}\n")
    return 0


async def show(task: str, *, nats: str | None, as_json: bool) -> int:
    """What the log says of a task."""
    async with connect(configuration(nats)) as session:
        state: State = await session.client.state(task)
    if not as_json:
        show_tree(state, time.time())
    show_report(state, as_json=as_json)
    return 0


async def trace(task: str, *, nats: str | None, html: str, as_json: bool, everything: bool) -> int:
    """Where the time of a task went: to the terminal, as JSON, or as a page in the file ``html`` (``-``: standard output)."""
    if html and as_json:
        raise BadSetting("--html and --json are two forms of the same: take one of them")
    async with connect(configuration(nats)) as session:
        state: State = await session.client.state(task)
    found = timeline(state, time.time())
    if as_json:
        write_json(found)
    elif html:
        from concertino.cli.show.trace import page

        write_page(page(found), html)
    else:
        show_timeline(found, everything=everything)
    return 0


async def cancel(task: str, *, nats: str | None, reason: str) -> int:
    """Ask for a task to end now."""
    with tracing():
        async with connect(configuration(nats)) as session:
            cancelled = await session.client.cancel(task, reason)
            became = "is being cancelled" if cancelled else already(await session.client.state(task))
    write(f"task {task} {became}\n")
    return 0


async def finish(task: str, *, nats: str | None, reason: str) -> int:
    """Ask for what there is of a task."""
    with tracing():
        async with connect(configuration(nats)) as session:
            asked = await session.client.finish(task, reason)
            became = "is being finished" if asked else already(await session.client.state(task))
    write(f"task {task} {became}\n")
    return 0


def already(state: State) -> str:
    """Why nothing was asked of a task."""
    if state.outcome:
        return f"has ended before: {state.outcome.status.value}"
    return "is being cancelled already" if state.cancel else "was asked to finish before"


async def tasks(*, nats: str | None, since: float, limit: int, as_json: bool) -> int:
    """The newest tasks of the last ``since`` seconds. Raises :class:`BadSetting`, naming the option."""
    if limit < 1:
        raise BadSetting(f"--limit {limit}: list 1 task at least")
    async with connect(configuration(nats)) as session:
        found = await session.client.tasks(since, most=limit + 1)
    more = len(found) > limit
    found = found[:limit]
    if as_json:
        write_json(found)
    else:
        _table(found)
    if more:
        print("concertino: older tasks are left out: say --limit or --since", file=sys.stderr)
    return 0


def _table(found: Sequence[TaskSummary]) -> None:
    from concertino.cli.show.tables import tasks as table

    rows = [("task", "status", "submitted", "request")]
    rows += [
        (
            task.task,
            task.status,
            datetime.fromtimestamp(task.submitted, UTC).isoformat(timespec="milliseconds"),
            one_line(task.request),
        )
        for task in found
    ]
    show_table(table(found, time.time()), rows)


async def workers(*, nats: str | None, as_json: bool) -> int:
    """The kinds on the bus."""
    async with connect(configuration(nats)) as session:
        found = await session.client.workers()
    if as_json:
        write_json(found)
        return 0
    from concertino.cli.show.tables import workers as table

    rows: list[tuple[object, ...]] = [("kind", "replicas", "slots", "waiting", "running", "description", "tools")]
    rows += [(w.kind, w.replicas, w.slots, w.waiting, w.running, one_line(w.description), ", ".join(w.tools)) for w in found]
    show_table(table(found), rows)
    return 0
