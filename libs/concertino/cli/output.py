"""What goes to standard output: for people on a terminal, for programs elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from concertino.contracts.state import State
from concertino.contracts.timeline import Timeline
from concertino.contracts.view import TaskView, view

STATUS_EXITS = {"answered": 0, "partial": 3, "failed": 4, "cancelled": 5, "running": 0}
STANDARD = "-"
PIPE_WIDTH = 120
"""Columns of what is drawn where there is no terminal."""


def write(text: str) -> None:
    """``text`` as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_utf8(text: bytes) -> None:
    """What says of itself that it is UTF-8, as JSON and pages do, whatever the terminal speaks."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text)
    sys.stdout.flush()


def write_json(value: Any) -> None:
    """``value`` as indented JSON, every field present."""
    write_utf8(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def write_page(text: str, file: str) -> None:
    """``text`` into ``file``, whose name is printed; ``-`` is standard output."""
    if file == STANDARD:
        write_utf8(text.encode())
        return
    Path(file).write_text(text, encoding="utf-8")
    write(f"{file}\n")


def show_report(state: State, *, as_json: bool) -> int:
    """The report of ``state``, or all of it as JSON; the exit status that says how the task ended."""
    task = view(state)
    if as_json:
        write_utf8(task.to_json() + b"\n")
    else:
        _show(task, _seconds(state))
    return STATUS_EXITS[task.status]


def show_tree(state: State, now: float) -> None:
    """The tree of ``state`` as at ``now``, and what models took for it so far."""
    from concertino.cli.show.bounds import of_task
    from concertino.cli.show.spending import prompts
    from concertino.cli.show.tables import spending
    from concertino.cli.show.tree import tree

    console = _console()
    console.print(tree(state, {}, now, plain=console.options.ascii_only))
    task = view(state)
    if bounds := of_task(task):
        console.print(f"at most: {bounds}", style="dim", soft_wrap=True)
    if spent := spending(task):
        console.print()
        console.print(spent)
        console.print(f"prompts: {prompts(task)}", style="dim", soft_wrap=True)
    if not sys.stdout.isatty():
        write("\n")


def show_timeline(found: Timeline, *, everything: bool) -> None:
    """``found`` as a chart, as wide as the terminal; many rows are folded, unless ``everything`` is wanted."""
    from concertino.cli.show.trace import terminal
    from concertino.cli.show.trace.terminal import ROOM

    console = _console()
    width, plain = console.width, console.options.ascii_only
    for part in terminal(found, width, plain=plain, room=None if everything else ROOM):
        console.print(part)


def show_plan(task: TaskView) -> None:
    """The plan alone."""
    from rich.text import Text

    from concertino.cli.show.plan import plan

    console = _console()
    if sys.stdout.isatty():
        console.print()
    for line, style in plan(task):
        console.print(Text(line, style=style), soft_wrap=not sys.stdout.isatty())


def show_table(table: Any, rows: Iterable[Sequence[object]]) -> None:
    """``table`` on a terminal; elsewhere ``rows``, separated by tabs."""
    if sys.stdout.isatty():
        _console().print(table)
        return
    for row in rows:
        write("\t".join(" ".join(str(cell).split()) for cell in row) + "\n")


def _show(task: TaskView, seconds: float | None) -> None:
    if not sys.stdout.isatty():
        from concertino.cli.show.markdown import markdown

        write(markdown(task, seconds))
        return
    from concertino.cli.show.report import report

    console = _console()
    for part in report(task, seconds):
        console.print(part)


def _seconds(state: State) -> float | None:
    ended = state.times.get("outcome")
    return None if ended is None or state.submitted is None else max(ended - state.submitted_at, 0.0)


def _console() -> Any:
    from rich.console import Console

    from concertino.cli.show.report import THEME

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise  # (rich would exit with 1, as if something had gone wrong)

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Ours(theme=THEME, width=width, highlight=False, markup=False, emoji=False)
