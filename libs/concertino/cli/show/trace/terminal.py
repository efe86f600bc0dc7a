"""A timeline on a terminal: a Gantt chart that takes the room there is, then where the time and the money went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len, set_cell_size
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from concertino.cli.show.report import STATUS_STYLES
from concertino.cli.show.spending import spent
from concertino.cli.show.text import one_line
from concertino.cli.show.trace import words
from concertino.cli.show.trace.bars import ASCII, UNICODE, Glyphs, at_work, bar, levels, scale
from concertino.cli.show.trace.folding import Folded, fold
from concertino.contracts.timeline import Doing, Row, Timeline

ROOM = 40
"""Rows that are shown before some are folded."""

STEPS = 10
"""Steps of the critical path that are named."""

_NAME, _WIDE_NAME, _KIND = 12, 24, 10
"""Columns that a name may take, in a narrow and a wide window, and a kind."""
_WIDE = 110
_LEAST = 12
"""Columns of a chart that still says something."""

_STYLES: Mapping[Doing, str] = {
    "blocked": "dim",
    "sending": "yellow",
    "queued": "yellow",
    "working": "green",
    "in_vain": "red",
    "retrying": "yellow",
}
_ICONS = {"waiting": "·", "queued": "◦", "running": "●", "complete": "✓", "partial": "◐", "failed": "✗", "missing": "–"}
_ASCII_ICONS = {"waiting": ".", "queued": "o", "running": "*", "complete": "+", "partial": "~", "failed": "x", "missing": "-"}
_ICON_STYLES = {"running": "cyan", "complete": "green", "partial": "yellow", "failed": "red"}


@dataclass(frozen=True)
class _Layout:
    """Columns of each part of a line; 0: left out."""

    name: int
    kind: int
    chart: int
    took: int
    tokens: int
    cost: int


def terminal(found: Timeline, width: int, *, plain: bool = False, room: int | None = ROOM) -> Iterator[RenderableType]:
    """All there is to say, top to bottom, in lines of ``width`` columns.

    ``plain``: ASCII only. Without ``room`` nothing is folded.
    """
    shown = list(found.rows) if room is None else fold(found.rows, room)
    glyphs, arrow, mark = (ASCII, "->", "*") if plain else (UNICODE, "→", "◆")
    layout = _layout(shown, spent(found.usage) != [], width)
    yield from _head(found, width)
    yield Text()
    yield Text(
        " " * (4 + layout.name + 1 + (layout.kind + 1 if layout.kind else 0)) + scale(found.seconds, layout.chart), style="dim"
    )
    known = words.names(found)
    for row in shown:
        yield _line(row, found, layout, glyphs, mark, plain=plain)
        if isinstance(row, Row) and row.beside:
            yield _beside(row, found, layout, glyphs)
        yield from _below(row, known, width)
    yield _legend(shown, glyphs, mark)
    yield Text()
    yield _path(found, arrow, mark)
    yield Text()
    yield _phases(found)
    yield Text()
    yield _kinds(found)
    yield Text()
    yield Text(" · ".join(words.summary(found)), style="dim")
    for note in found.notes:
        yield Text(one_line(note), style="yellow")


def _head(found: Timeline, width: int) -> Iterator[Text]:
    style = STATUS_STYLES.get(found.status, "cyan")
    right = f"{found.status} · {words.took(found.seconds) or '0 s'}"
    request = _cut(one_line(found.request) or "(the request is not in the log)", width - cell_len(right) - 2)
    yield Text.assemble((request, "bold"), " " * (width - cell_len(request) - cell_len(right)), (right, style))
    about = [f"task {one_line(found.task)}", words.when(found), *([f"trace {found.trace}"] if found.trace else [])]
    yield _one(" · ".join(about), "dim")
    if found.reason and found.status != "answered":
        yield _one(one_line(found.reason), style)


def _layout(shown: Sequence[Row | Folded], priced: bool, width: int) -> _Layout:
    name = min(max((cell_len(_name(row)) for row in shown), default=1), _WIDE_NAME if width >= _WIDE else _NAME)
    kind = min(max((cell_len(_kind(row)) for row in shown), default=1), _KIND)
    took, tokens, cost = 9, *((6, 8) if priced else (0, 0))
    rest = 4 + name + 1 + 1 + took + (tokens + cost + 2 if priced else 0)
    if width - rest - kind - 1 < _LEAST:
        kind = 0
    return _Layout(name, kind, max(width - rest - (kind + 1 if kind else 0), 1), took, tokens, cost)


def _line(row: Row | Folded, found: Timeline, layout: _Layout, glyphs: Glyphs, mark: str, *, plain: bool) -> Text:
    icons = _ASCII_ICONS if plain else _ICONS
    critical = isinstance(row, Row) and row.critical > 0
    line = Text(no_wrap=True, overflow="crop")
    line.append(f"{mark} " if critical else "  ", style="magenta")
    if isinstance(row, Row):
        line.append(f"{icons[row.status]} ", style=_ICON_STYLES.get(row.status, "dim"))
        took, usage = words.took(words.worked(row)), words.spending(row.usage)
    else:
        line.append("  ")
        took, usage = f"<{words.took(row.most)}" if row.most else "", ("", "")
    line.append(_sized(_name(row), layout.name) + " ", style="bold" if critical else "")
    if layout.kind:
        line.append(_sized(_kind(row), layout.kind) + " ", style="dim")
    line.append(_chart(row, found.seconds, layout.chart, glyphs))
    line.append(f" {took:>{layout.took}}")
    if layout.tokens:
        line.append(f" {usage[0]:>{layout.tokens}} {usage[1]:>{layout.cost}}", style="dim")
    return line


def _beside(row: Row, found: Timeline, layout: _Layout, glyphs: Glyphs) -> Text:
    """A bar below that of ``row``, of what was done at the same time."""
    cells = bar(row.beside, found.seconds, layout.chart)
    line = Text(" " * 4 + _sized("+", layout.name) + " ", style="dim", no_wrap=True, overflow="crop")
    return line.append(" " * (layout.kind + 1 if layout.kind else 0)).append(_drawn(cells, glyphs))


def _chart(row: Row | Folded, total: float, width: int, glyphs: Glyphs) -> Text:
    if isinstance(row, Folded):
        return Text(levels(at_work(row.rows, total, width), glyphs), style="green")
    cells = bar(row.parts, total, width)
    chart = _drawn(cells, glyphs)
    if row.status == "running" and cells and cells[-1] == "working":
        chart = chart[:-1]
        chart.append(glyphs.going, style=_STYLES["working"])
    return chart


def _drawn(cells: Sequence[Doing | None], glyphs: Glyphs) -> Text:
    chart = Text()
    for doing, run in groupby(cells):
        chart.append((glyphs.of[doing] if doing else " ") * len(list(run)), style=_STYLES[doing] if doing else "")
    return chart


def _below(row: Row | Folded, known: Mapping[str, str], width: int) -> Iterator[Text]:
    """What the bar cannot show, each on a line of its own."""
    for note in _notes(row, known) if isinstance(row, Row) else [words.Note(row.text)]:
        yield _one(_cut(f"      {note.text}", width), "red" if note.bad else "dim")


def _notes(row: Row, known: Mapping[str, str]) -> Iterator[words.Note]:
    if needed := words.after(row, known):
        yield words.Note(f"after {', '.join(needed)}")
    yield from words.notes(row)


def _legend(shown: Sequence[Row | Folded], glyphs: Glyphs, mark: str) -> Text:
    rows = [row for row in shown if isinstance(row, Row)]
    there = {part.doing for row in rows for part in (*row.parts, *row.beside) if part.seconds or part.attempt}
    legend = Text(style="dim")
    said = set[str]()
    for doing, glyph in glyphs.of.items():
        if doing in there and glyph not in said:
            said.add(glyph)
            legend.append(glyph, style=_STYLES[doing]).append(f" {words.DOING['queued' if doing == 'sending' else doing]}  ")
    if len(rows) < len(shown):
        legend.append(glyphs.levels[4] + glyphs.levels[8], style="green").append(" how many at work  ")
    return legend.append(mark, style="magenta").append(" critical")


def _path(found: Timeline, arrow: str, mark: str) -> Text:
    line = Text.assemble((f"{mark} ", "magenta"), ("critical path  ", "bold"))
    for number, step in enumerate(words.shortened(words.steps(found), STEPS)):
        between = "" if not number else f" {arrow} " if step.row else " · "
        line.append(between, style="dim").append(step.name, style="" if step.row else "dim")
        line.append(f" {words.took(step.seconds) or '0 s'} {words.percent(step.share)}".rstrip(), style="dim")
    return line


def _phases(found: Timeline) -> Table:
    table = _table("where the time went", "critical path", "share", "all rows")
    for row in words.phases(found):
        table.add_row(*row)
    table.add_row("together", words.took(found.seconds), words.percent(1.0 if found.seconds else 0.0), "", style="bold")
    return table


def _kinds(found: Timeline) -> Table:
    priced = bool(spent(found.usage))
    columns = len(words.KINDS) if priced else len(words.KINDS) - 2
    table = _table(*words.KINDS[:columns])
    for row in words.kinds(found):
        table.add_row(*row[:columns])
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, header in enumerate(headers):
        table.add_column(header, justify="right" if number else "left", no_wrap=True)
    return table


def _name(row: Row | Folded) -> str:
    return row.name if isinstance(row, Folded) else one_line(row.name, 64)


def _kind(row: Row | Folded) -> str:
    return one_line(row.kind, 32)


def _one(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _sized(text: str, width: int) -> str:
    return set_cell_size(_cut(text, width), width)


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)) + "…"
