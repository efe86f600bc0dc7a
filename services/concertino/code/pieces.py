"""Ranges of lines, cut to a size that can be read and ranked: the last step of every way to make passages of code."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

MOST_CHARACTERS = 8_000
LONGEST_LINE = 2_000
"""Characters. What is longer was not written by a person, and stands in no passage: a passage is whole lines."""

_WORD = re.compile(r"\w+")

Range = tuple[int, int]
"""First and last line, counted from 1, both included."""


def cut(lines: Sequence[str], whole: Range, borders: Sequence[int], most: int) -> Iterator[Range]:
    """``whole`` in pieces of at most ``most`` lines and MOST_CHARACTERS, about evenly, preferably where a border is.

    ``borders`` are lines at which a piece may start, sorted. Blank lines at the ends of a piece are left out, and so are
    lines longer than LONGEST_LINE.
    """
    for readable in _readable(lines, whole):
        for piece in _evenly(readable, borders, most):
            for small in _bounded(lines, piece):
                if trimmed := _trimmed(lines, small):
                    yield trimmed


def readable(text: str) -> str:
    """``text`` with lines longer than LONGEST_LINE emptied: searching them takes long, and they cannot be shown."""
    lines = text.split("\n")
    if all(len(line) <= LONGEST_LINE for line in lines):
        return text
    return "\n".join(line if len(line) <= LONGEST_LINE else "" for line in lines)


def whole_lines(lines: Sequence[str], wanted: Range) -> Range:
    """``wanted`` up to the first line that is too long to be shown. Its first line is not."""
    first, last = wanted
    return first, next((n - 1 for n in range(first + 1, last + 1) if len(lines[n - 1]) > LONGEST_LINE), last)


def says_something(lines: Sequence[str], piece: Range) -> bool:
    """Whether there is more than brackets and one word."""
    words = 0
    for line in lines[piece[0] - 1 : piece[1]]:
        words += len(_WORD.findall(line))
        if words > 1:
            return True
    return False


def _readable(lines: Sequence[str], whole: Range) -> Iterator[Range]:
    first = whole[0]
    for number in range(whole[0], whole[1] + 1):
        if len(lines[number - 1]) > LONGEST_LINE:
            if first < number:
                yield first, number - 1
            first = number + 1
    if first <= whole[1]:
        yield first, whole[1]


def _evenly(whole: Range, borders: Sequence[int], most: int) -> Iterator[Range]:
    start, last = whole
    while (left := last - start + 1) > most:
        target = start + -(-left // -(-left // most))
        lowest, highest = start + most // 3, start + most
        near = borders[bisect_left(borders, lowest) : bisect_right(borders, highest)]
        end = min(near, key=lambda border: abs(border - target)) if near else target
        yield start, end - 1
        start = end
    yield start, last


def _bounded(lines: Sequence[str], piece: Range) -> Iterator[Range]:
    start, size = piece[0], 0
    for number in range(piece[0], piece[1] + 1):
        length = len(lines[number - 1]) + 1
        if size + length > MOST_CHARACTERS and number > start:
            yield start, number - 1
            start, size = number, 0
        size += length
    yield start, piece[1]


def _trimmed(lines: Sequence[str], piece: Range) -> Range | None:
    first, last = piece
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    return (first, last) if first <= last else None
