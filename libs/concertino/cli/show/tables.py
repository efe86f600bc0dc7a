"""Lists of tasks and of workers, and what models took, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from concertino.cli.durations import format_seconds
from concertino.cli.show.report import STATUS_STYLES
from concertino.cli.show.spending import HEADERS, dollars, rows
from concertino.cli.show.text import clean, one_line
from concertino.client import FailedWork, TaskSummary, WorkerKind
from concertino.contracts.view import TaskView


def tasks(found: Sequence[TaskSummary], now: float) -> Table:
    """Newest first; how long ago each was submitted before ``now`` (Unix seconds)."""
    table = _table("task", "status", "submitted", "request")
    for task in found:
        table.add_row(
            clean(task.task),
            Text(task.status, style=STATUS_STYLES.get(task.status, "cyan")),
            f"{format_seconds(now - task.submitted)} ago",
            Text(one_line(task.request)),
        )
    return table


def failures(found: Sequence[FailedWork], now: float) -> Table:
    """Newest first; how long before ``now`` (Unix seconds) each was given up, and what became of its task."""
    table = _table("task", "work", "code", "attempts", "cost", "", "task is", "error")
    for one in found:
        status = f"{one.status}, redriven" if one.redriven else one.status
        table.add_row(
            clean(one.task),
            clean(one.work),
            Text(one_line(one.code), style="red"),
            str(one.attempts),
            dollars(one.usage.cost_usd) if one.usage.cost_usd else "",
            f"{format_seconds(now - one.at)} ago",
            Text(status, style=STATUS_STYLES.get(one.status, "cyan")),
            Text(one_line(one.error)),
        )
    table.columns[3].justify = table.columns[4].justify = "right"
    table.columns[7].no_wrap = False  # why it failed is what one came for
    return table


def workers(found: Sequence[WorkerKind]) -> Table:
    """Each kind with its tools, and what they are for where that is said."""
    table = _table("kind", "replicas", "slots", "waiting", "running", "description")
    for column in table.columns[1:5]:
        column.justify = "right"
    table.columns[5].no_wrap = False
    for kind in found:
        numbers = (kind.replicas, kind.slots, kind.waiting, kind.running)
        description = Text(one_line(kind.description))
        for line in _tools(kind):
            description.append(f"\n{line}", style="dim")
        table.add_row(clean(kind.kind), *map(str, numbers), description)
    return table


def _tools(kind: WorkerKind) -> Iterator[str]:
    """Those whose names say it all on one line, each of the others with what it is for."""
    if plain := [one_line(tool) for tool in kind.tools if tool not in kind.abilities]:
        yield ", ".join(plain)
    for tool in kind.tools:
        if ability := kind.abilities.get(tool):
            yield f"{one_line(tool)}: {one_line(ability)}"


def spending(task: TaskView) -> Table | None:
    """What models took for ``task``, by kind and by model. None where none was asked."""
    found = list(rows(task))
    if not found:
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, header in enumerate(HEADERS):
        table.add_column(header, no_wrap=True, justify="right" if number else "left")
    for number, row in enumerate(found, 1):
        table.add_row(*map(Text, row))
        if number == len(task.by_kind):
            table.add_row()
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for header in headers[:-1]:
        table.add_column(header, no_wrap=True)
    table.add_column(headers[-1], ratio=1, no_wrap=True, overflow="ellipsis")
    return table
