"""Lines of several services in one place, each with the name of who wrote it."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from concertino.cli.show.text import clean

COLOURS = ("cyan", "magenta", "blue", "green", "yellow", "bright_cyan", "bright_magenta", "bright_blue")
NAME_WIDTH = 12


def prefixed(name: str, line: str) -> str:
    """``line`` with ``name`` before it, and nothing in it that would move a cursor."""
    return f"{name:<{NAME_WIDTH}} │ {clean(line)}"


class LogFile:
    """Everything into one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO = path.open("w", encoding="utf-8")
        self._last: dict[str, str] = {}

    def say(self, name: str, line: str) -> None:
        """Take one line."""
        if line.strip():
            self._last[name] = clean(line).strip()
        self._file.write(prefixed(name, line) + "\n")
        self._file.flush()

    def last(self, name: str) -> str:
        """The last that the service ``name`` said; empty if it said nothing."""
        return self._last.get(name, "")

    def close(self) -> None:
        """No more lines."""
        self._file.close()


class LogView:
    """Everything to a console, names in colour. ``raw``: lines as they are, for those that read JSON."""

    def __init__(self, console: Console, *, raw: bool) -> None:
        self._console, self._raw = console, raw

    def say(self, name: str, line: str) -> None:
        """Show one line."""
        if self._raw:
            self._console.out(line, highlight=False)
            return
        colour = COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
        text = Text.assemble((f"{name:<{NAME_WIDTH}}", colour), (" │ ", "dim"), clean(line))
        self._console.print(text, soft_wrap=True)
