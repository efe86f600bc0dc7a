"""Streams whose encoding does not have every character, as in the locale C: what is printed there is plain, and never fails."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_ERRORS = "concertino.plain"
_PLAIN = {
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("‘’‹›", "'"),
    **dict.fromkeys("·–—─", "-"),
    **dict.fromkeys("•◦◆●", "*"),
    "…": "...",
    "→": "->",
    "×": "x",
    "│": "|",
    "✓": "+",
    "✗": "x",
}
"""What we set ourselves. All else is from a source, and stands there as what it is: by its code."""


def forgiving(*streams: TextIO) -> None:
    """Have each of ``streams`` take every text."""
    codecs.register_error(_ERRORS, _plainly)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters), error.end
