"""The rows of a task as a tree on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from concertino.cli.durations import format_seconds
from concertino.cli.show.rows import Group, Mark, Row, fit, groups
from concertino.cli.show.spending import spent
from concertino.cli.show.text import one_line
from concertino.contracts.messages import Progress
from concertino.contracts.state import State
from concertino.contracts.view import budget

STYLES: Mapping[Mark, str] = {
    Mark.WAITING: "dim",
    Mark.QUEUED: "dim",
    Mark.RUNNING: "cyan",
    Mark.COMPLETE: "green",
    Mark.PARTIAL: "yellow",
    Mark.FAILED: "red",
    Mark.MISSING: "dim",
}
ICONS: Mapping[Mark, str] = {
    Mark.WAITING: "·",
    Mark.QUEUED: "◦",
    Mark.RUNNING: "●",
    Mark.COMPLETE: "✓",
    Mark.PARTIAL: "◐",
    Mark.FAILED: "✗",
    Mark.MISSING: "–",
}
ASCII_ICONS: Mapping[Mark, str] = {
    Mark.WAITING: ".",
    Mark.QUEUED: "o",
    Mark.RUNNING: "*",
    Mark.COMPLETE: "+",
    Mark.PARTIAL: "~",
    Mark.FAILED: "x",
    Mark.MISSING: "-",
}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(frozen=True)
class Guides:
    """The lines of the tree: a branch, the last branch, and what goes on beside and below them."""

    branch: str
    last: str
    down: str
    below: str


LINES, ASCII_LINES = Guides("├─ ", "└─ ", "│  ", "   "), Guides("|- ", "`- ", "|  ", "   ")


def tree(
    state: State, doing: Mapping[str, Progress], now: float, *, room: int = 10_000, plain: bool = False, live: bool = False
) -> RenderableType:
    """``state`` at ``now``, in about ``room`` lines. ``plain``: ASCII only; ``live``: running work turns as ``now`` goes on."""
    found = fit(groups(state, doing, now), max(room - 1, 3))
    end = state.times.get("outcome") if state.outcome else now
    header = Table.grid(expand=True, padding=(0, 1))
    header.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    header.add_column(no_wrap=True, justify="right")
    request = one_line(state.submitted.request) if state.submitted else state.task
    took = [*spent(state.usage, *budget(state))[1:], format_seconds((end or now) - (state.submitted_at or now))]
    header.add_row(Text(request, style="bold"), Text(" · ".join(took), style="dim"))
    icons = ASCII_ICONS if plain else ICONS
    if live and not plain:
        icons = {**icons, Mark.RUNNING: SPINNER[int(now * 10) % len(SPINNER)]}
    return Stack(header, _body(found, icons, ASCII_LINES if plain else LINES))


def _body(found: Sequence[Group], icons: Mapping[Mark, str], guides: Guides) -> Table:
    body = Table.grid(expand=True, padding=(0, 1))
    body.add_column(no_wrap=True)
    body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    body.add_column(no_wrap=True, justify="right")
    body.add_column(no_wrap=True, justify="right")
    for number, group in enumerate(found):
        if len(found) == 1:
            prefix = ""
        else:
            last = number == len(found) - 1
            body.add_row(Text((guides.last if last else guides.branch) + group.title), Text(group.why, style="dim"))
            prefix = guides.below if last else guides.down
        for cells in _rows(group.rows, icons, guides, prefix):
            body.add_row(*cells)
    return body


def _rows(rows: Sequence[Row], icons: Mapping[Mark, str], guides: Guides, prefix: str) -> Iterator[tuple[Text, ...]]:
    for number, row in enumerate(rows):
        last = number == len(rows) - 1
        name = Text.assemble(
            (prefix + (guides.last if last else guides.branch), "dim"), (icons[row.mark] + " ", STYLES[row.mark]), row.kind
        )
        quiet = "dim" if row.mark in (Mark.WAITING, Mark.MISSING) else ""
        seconds = "" if row.seconds is None else format_seconds(row.seconds)
        yield name, Text(row.text, style=quiet), Text(row.note, style="dim"), Text(seconds, style="dim")
        if row.doing:
            style = "red" if row.mark is Mark.FAILED else "dim"
            yield Text(prefix + (guides.below if last else guides.down), style="dim"), Text(row.doing, style=style)
