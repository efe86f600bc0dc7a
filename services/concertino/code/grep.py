"""Text search by regular expression, bounded in time and in what it returns."""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator

import regex
from msgspec import Struct

from concertino.code.kinds import reading_of
from concertino.code.pieces import LONGEST_LINE, Range, readable, whole_lines
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage
from concertino.retrieval.roles import role_of

MOST_SECONDS = 10.0
MOST_SECONDS_IN_ONE = 0.5
"""Of computing, in one file: a pattern that needs more goes over the same text again and again, and nothing interrupts it."""
CONTEXT = 2
_MOST_PATTERN = 1_000
_MOST_LINES = 60
"""Of one passage: neighbouring matches are shown together up to here."""


class Matches(Struct, frozen=True):
    """Passages around the matches. ``note`` says what is missing, if anything is."""

    passages: tuple[Passage, ...]
    note: str = ""


def compiled(pattern: str, *, ignore_case: bool = False) -> regex.Pattern[str]:
    """``pattern`` as a regular expression in Python's syntax. :class:`Invalid` with the place where it is wrong."""
    if not pattern or len(pattern) > _MOST_PATTERN:
        raise Invalid(f"a pattern has 1 to {_MOST_PATTERN} characters")
    try:
        return regex.compile(pattern, regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0))
    except (regex.error, RecursionError, OverflowError, ValueError) as e:
        raise Invalid(f"{pattern!r} is no regular expression: {e}. Put a backslash before a character meant literally") from e


def word(name: str) -> str:
    """A pattern for ``name`` as a whole word."""
    return rf"(?<!\w){re.escape(name)}(?!\w)"


def grep(
    texts: Iterable[tuple[str, str]], pattern: regex.Pattern[str], *, limit: int, seconds: float = MOST_SECONDS
) -> Matches:
    """The first ``limit`` passages of ``texts`` (path and text) that hold a match, with CONTEXT lines around."""
    found: list[Passage] = []
    notes: list[str] = []
    long = 0
    until = time.monotonic() + seconds
    for path, text in texts:
        shown = readable(text)
        lines = text.split("\n")
        here = min(until, time.monotonic() + MOST_SECONDS_IN_ONE)
        try:
            for piece in _pieces(lines, _matching(pattern, shown, here)):
                if len(found) == limit:
                    notes.append(f"there are more than {limit}: narrow the pattern or the path")
                    break
                found.append(_passage(path, lines, piece))
            if shown is not text:
                long += sum(1 for line in lines if len(line) > LONGEST_LINE and _stands_in(pattern, line, here))
        except TimeoutError:
            spent = min(seconds, MOST_SECONDS_IN_ONE) if time.monotonic() < until else seconds
            notes.append(f"stopped after {spent:g} seconds, at {path}: make the pattern or the path narrower")
        if notes:
            break
    if long:
        notes.append(f"{long} lines of more than {LONGEST_LINE} characters match too, and are left out")
    return Matches(tuple(found), "; ".join(notes))


def _stands_in(pattern: regex.Pattern[str], line: str, until: float) -> bool:
    return pattern.search(line, timeout=max(until - time.monotonic(), 0.001), concurrent=True) is not None


def _matching(pattern: regex.Pattern[str], text: str, until: float) -> Iterator[Range]:
    """First and last line of each match. TimeoutError when the time is up."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    starts: list[int] = []
    for match in pattern.finditer(text, timeout=left, concurrent=True):
        if not starts:
            starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
        first = bisect_right(starts, match.start())
        yield first, max(first, bisect_right(starts, max(match.start(), match.end() - 1)))


def _pieces(lines: list[str], matching: Iterable[Range]) -> Iterator[Range]:
    """Matches with the lines around them, near ones together."""
    current: Range | None = None
    for first, end in matching:
        last = whole_lines(lines, (first, min(end, first + _MOST_LINES - 1)))[1]
        start, stop = _around(lines, first, last)
        if current is None:
            current = start, stop
        elif start <= current[1] + 1 and stop - current[0] < _MOST_LINES:
            current = current[0], max(current[1], stop)
        elif last > current[1]:  # else it is shown already
            yield current
            current = max(start, current[1] + 1), stop
    if current is not None:
        yield current


def _around(lines: list[str], first: int, last: int) -> Range:
    start = first
    while start > max(1, first - CONTEXT) and len(lines[start - 2]) <= LONGEST_LINE:
        start -= 1
    return start, whole_lines(lines, (last, min(len(lines), last + CONTEXT)))[1]


def _passage(path: str, lines: list[str], piece: Range) -> Passage:
    text = "\n".join(lines[piece[0] - 1 : piece[1]])
    reading = reading_of(path, lines[0][:200])
    return Passage(
        source=path, text=text, locator=Locator(lines=piece), role=role_of(path), language=reading.language if reading else ""
    )
