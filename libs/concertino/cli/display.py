"""Progress on standard error: a tree that redraws itself on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

from concertino.cli.show.lines import fact_lines, progress_line
from concertino.cli.show.text import clean
from concertino.cli.show.tree import tree
from concertino.cli.show.writing import Writing
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Progress
from concertino.contracts.state import State
from concertino.runtime.clock import Clock

FRAME = 0.1
"""Seconds between frames, at the least."""
WRITTEN = 5
"""Lines of a report that are shown while it is written."""
SHARE = 0.2
"""Of the time, at most, that goes into drawing: the tree of a large task is drawn less often."""


class Display(Protocol):
    """What following a task tells its watcher. Used as ``with``: leaves the last picture standing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def note(self, text: str) -> None:
        """Something about the command itself."""

    def fact(self, state: State, fact: Fact) -> None:
        """``fact`` has come, and ``state`` holds it."""

    def progress(self, state: State, doing: Mapping[str, Progress], work: str) -> None:
        """``doing[work]`` is new."""


class Quiet:
    """Nothing at all."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return

    def note(self, text: str) -> None:
        return

    def fact(self, state: State, fact: Fact) -> None:
        return

    def progress(self, state: State, doing: Mapping[str, Progress], work: str) -> None:
        return


class Lines(Quiet):
    """One line for each event, without control characters."""

    def __init__(self) -> None:
        self._begun: set[str] = set()

    def note(self, text: str) -> None:
        self._say(clean(text))

    def fact(self, state: State, fact: Fact) -> None:
        for line in fact_lines(state, fact, self._begun):
            self._say(line)

    def progress(self, state: State, doing: Mapping[str, Progress], work: str) -> None:
        self._begun.add(work)
        if not doing[work].text:  # the report as it is written would be told twice, and in pieces
            self._say(progress_line(state, work, doing[work]))

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class Tree(Quiet):
    """The tree, redrawn in place. Needs a running event loop."""

    def __init__(self, console: Console, clock: Clock = time.time) -> None:
        self._console, self._clock = console, clock
        self._state: State | None = None
        self._doing: Mapping[str, Progress] = {}
        self._writing = Writing()
        self._note = ""
        self._ended = False
        self._ticks: asyncio.Task[None] | None = None
        # Last, as it asks for the first picture already.
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._picture, redirect_stdout=False)

    def __enter__(self) -> Self:
        self._live.start()
        self._ticks = asyncio.create_task(self._tick())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._ticks:
            self._ticks.cancel()
        self._note, self._ended = "", True
        self._live.refresh()
        self._live.stop()

    def note(self, text: str) -> None:
        self._note = clean(text)

    def fact(self, state: State, fact: Fact) -> None:
        self._state, self._note = state, "" if fact.name.type == "outcome" else self._note

    def progress(self, state: State, doing: Mapping[str, Progress], work: str) -> None:
        self._state, self._doing = state, doing
        self._writing.hear(doing[work])

    def _picture(self) -> RenderableType:
        note = Text(self._note, style="dim")
        if self._state is None or not self._state.submitted:
            return note
        # The terminal echoes ^C where the cursor is: at the end of a full line that would push the picture down by one.
        width = self._console.width - len("^C") - 1
        written = self._written(self._state, width)
        room = max(self._console.height - 3 - len(written), 8)
        plain = self._console.options.ascii_only
        picture = tree(self._state, self._doing, self._clock(), room=room, plain=plain, live=not self._ended)
        return Constrain(Group(picture, *written, *([note] if self._note else [])), width)

    def _written(self, state: State, width: int) -> list[Text]:
        """What is being written, under an empty line; nothing once it is in the log, or the task is over."""
        if self._ended or state.outcome or self._writing.work in state.times:
            return []
        tail = self._writing.tail(max(width - 4, 20), WRITTEN)
        return [Text(), *(Text(f"    {line}", style="dim") for line in tail)] if tail else []

    async def _tick(self) -> None:
        while True:
            started = time.perf_counter()
            self._live.refresh()
            await asyncio.sleep(max(FRAME, (time.perf_counter() - started) / SHARE))


def display(*, quiet: bool) -> Display:
    """The display that suits standard error."""
    if quiet:
        return Quiet()
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        return Tree(console)
    return Lines()
