"""Masking of one text."""

from __future__ import annotations

from concertino.masking.detect import bodies, hits, may_hold
from concertino.masking.known import learn, without_known
from concertino.masking.mark import MARK

_LEAST_LEARNED = 10


def masked_text(text: str, path: str = "") -> str:
    """``text`` with every likely credential in it made unreadable; itself where there is none. It keeps its lines."""
    if not may_hold(text):
        return without_known(text)
    found = [hit for hit in hits(path, text) if not hit.below]
    inside = bodies(text)
    if found or inside:
        lines = text.split("\n")
        for hit in found:
            learn(value for value in hit.values if len(value) >= _LEAST_LEARNED)
            line = lines[hit.line - 1]
            for value in hit.values:
                line = line.replace(value, MARK)
            lines[hit.line - 1] = line if hit.values else MARK
        for number in inside:
            lines[number - 1] = MARK
        text = "\n".join(lines)
    return without_known(text)
