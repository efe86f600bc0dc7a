"""A quote on a terminal: set off by a bar, its own line breaks kept."""

from __future__ import annotations

import textwrap

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from concertino.cli.show.text import clean, plural

LINES = 12
"""Lines of one quote that are shown; ``--json`` has all."""
REPEATED = 3
"""Of a quote that stands in the report's text already."""


class Barred:
    """``inner`` with a bar down its left side, however its lines wrap."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bar = Segment("| " if options.ascii_only else "│ ", Style(dim=True))
        for line in console.render_lines(self._inner, options.update(width=max(options.max_width - 2, 1)), pad=False):
            yield bar
            yield from line
            yield Segment.line()


def quote(text: str, lines: int = LINES) -> Barred:
    """At most ``lines`` lines of ``text``, without their common indentation, then how many more there are."""
    found = textwrap.dedent(clean(text).expandtabs(4)).strip("\n").split("\n")
    shown = Text("\n".join(found[:lines]), overflow="fold")
    if len(found) > lines:
        shown.append(f"\n… {plural(len(found) - lines, 'more line')}", style="dim")
    return Barred(shown)
