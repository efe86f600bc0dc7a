"""Paragraphs, lists and code blocks: the pieces of a section that are not torn apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct


class Block(Struct, frozen=True):
    """Lines ``start`` to ``end`` (exclusive). ``glued``: it belongs with the block before it, which introduces it."""

    start: int
    end: int
    glued: bool = False


def fenced(lines: Sequence[str], start: int, end: int) -> int:
    """Where the fenced block that opens at ``start`` ends (exclusive); ``start`` if none opens; ``end`` if none closes it."""
    opened = re.match(r"^\s*(`{3,}|~{3,})", lines[start])
    if not opened:
        return start
    mark = opened[1]
    for i in range(start + 1, end):
        line = lines[i].strip()
        if line.startswith(mark) and not line.strip(mark[0]):
            return i + 1
    return end


def blocks(lines: Sequence[str], start: int, end: int) -> Iterator[Block]:
    """The blocks between two lines. Fenced and indented blocks are glued to the paragraph before, lists to their lead-in."""
    i = start
    previous = ""
    while i < end:
        if not lines[i].strip():
            i += 1
            continue
        stop = fenced(lines, i, end)
        if stop == i:
            stop = i + 1
            while stop < end and lines[stop].strip() and fenced(lines, stop, end) == stop:
                stop += 1
            glued = lines[i][0] in " \t" or previous.endswith(":")
        else:
            glued = True
        yield Block(i, stop, glued and bool(previous))
        previous = lines[stop - 1].rstrip()
        i = stop
