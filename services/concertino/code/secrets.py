"""Credentials left in files. What is found is told by place and type: the value itself never leaves this module."""

from __future__ import annotations

import time
from collections.abc import Iterable

from msgspec import Struct

from concertino.code.pieces import readable
from concertino.masking import MARK, Hit, hits
from concertino.masking.detect import begins_key

MOST_SECONDS = 60.0
_MOST_SHOWN = 120


class Secret(Struct, frozen=True):
    """What looks like a credential. ``masked`` is its line up to where the value begins."""

    source: str
    line: int
    type: str
    masked: str


class Secrets(Struct, frozen=True):
    """``note`` says what is missing, if anything is."""

    found: tuple[Secret, ...]
    note: str = ""


def scan(texts: Iterable[tuple[str, str]], *, limit: int, seconds: float = MOST_SECONDS) -> Secrets:
    """The first ``limit`` likely credentials in ``texts`` (path and text). Nothing is verified with any server.

    Lines of more than LONGEST_LINE characters are left out: no person wrote them.
    """
    found: list[Secret] = []
    until = time.monotonic() + seconds
    for path, text in texts:
        if time.monotonic() > until:
            return Secrets(tuple(found), f"stopped after {seconds:g} seconds, at {path}: name fewer files")
        text = readable(text)
        if there := list(hits(path, text)):
            lines = text.split("\n")
            found.extend(Secret(path, hit.line, hit.type, _up_to(lines[hit.line - 1], hit)) for hit in there)
        if len(found) > limit:
            return Secrets(tuple(found[:limit]), f"there are more than {limit}: name fewer files")
    return Secrets(tuple(found))


def _up_to(line: str, hit: Hit) -> str:
    """The line up to the first value, or nothing of it where a value is not found as it stands."""
    if hit.below:
        return f"{begins_key(line)}{MARK}"
    places = [line.find(value) for value in hit.values] or [-1]
    return (line[: min(places)].strip()[:_MOST_SHOWN] if min(places) >= 0 else "") + MARK
