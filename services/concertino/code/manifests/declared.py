"""One declared dependency, and how to find the line that declares it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct


class Declared(Struct, frozen=True):
    """``constraint`` as it is written, empty if any version will do; ``line`` counted from 1.

    ``pinned``: exactly one version satisfies it. ``group``: what it is needed for, as ``dev`` or an extra's name.
    """

    name: str
    constraint: str
    pinned: bool
    group: str
    line: int


class Lines:
    """The lines of a manifest, searched forwards: the libraries that parse these formats keep no line numbers."""

    def __init__(self, text: str) -> None:
        self._lines: Sequence[str] = text.split("\n")
        self._from = 0

    def section(self, *headers: str) -> None:
        """Search from the first line that begins with one of ``headers``, blanks apart; from the top if there is none."""
        wanted = tuple("".join(header.split()) for header in headers)
        self._from = next((i for i, line in enumerate(self._lines) if "".join(line.split()).startswith(wanted)), 0)

    def find(self, text: str) -> int:
        """The line with ``text`` as a whole, counted from 1: below the section's start, else anywhere, else that start."""
        whole = re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w.-])")
        order = (*range(self._from, len(self._lines)), *range(self._from))
        return next((i for i in order if whole.search(self._lines[i])), self._from) + 1
