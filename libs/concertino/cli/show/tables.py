"""Lists of tasks and of workers, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from concertino.cli.durations import format_seconds
from concertino.cli.show.report import STATUS_STYLES
from concertino.cli.show.text import clean, one_line
from concertino.client import TaskSummary, WorkerKind


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


def workers(found: Sequence[WorkerKind]) -> Table:
    """One line for each kind."""
    table = _table("kind", "replicas", "slots", "waiting", "running", "description")
    for column in table.columns[1:5]:
        column.justify = "right"
    table.columns[5].no_wrap = False
    for kind in found:
        numbers = (kind.replicas, kind.slots, kind.waiting, kind.running)
        table.add_row(clean(kind.kind), *map(str, numbers), Text(one_line(kind.description)))
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for header in headers[:-1]:
        table.add_column(header, no_wrap=True)
    table.add_column(headers[-1], ratio=1, no_wrap=True, overflow="ellipsis")
    return table
