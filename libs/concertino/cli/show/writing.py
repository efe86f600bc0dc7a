"""A report while it is being written: its last few lines."""

from __future__ import annotations

import textwrap

from concertino.cli.show.text import clean
from concertino.contracts.messages import Progress

KEPT = 4_000
"""Characters that are remembered: more than any terminal shows of it."""


class Writing:
    """What was written so far, of the last attempt. It is not checked yet: what counts is the report that is printed."""

    def __init__(self) -> None:
        self.work, self._attempt, self._text = "", 0, ""

    def hear(self, progress: Progress) -> None:
        """Take what ``progress`` brings, if it brings text."""
        if not progress.text:
            return
        if (progress.work, progress.attempt) != (self.work, self._attempt):
            self.work, self._attempt, self._text = progress.work, progress.attempt, ""
        self._text = (self._text + progress.text)[-KEPT:]

    def tail(self, width: int, lines: int) -> list[str]:
        """The last ``lines`` lines of it, none wider than ``width``."""
        wrapped = (part for line in clean(self._text).expandtabs(4).splitlines() for part in textwrap.wrap(line, width))
        return list(wrapped)[-lines:]
