"""The lines of a passage that answer best: a sentence or two, a signature with its docstring, the few decisive lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from concertino.contracts.messages import Passage
from concertino.model.extractive.lens import Lens
from concertino.retrieval.headings import headings
from concertino.retrieval.tokens import terms

MOST_LINES = 15
MOST_CHARACTERS = 1400
_ENOUGH = 160
"""Characters. A shorter quote rarely explains anything by itself."""
_PER_LINE = 0.012
_PER_START = 0.15
"""What a line more costs, and what it is worth to begin where the passage itself begins to speak (shares of the question)."""

_SENTENCE_END = re.compile(r"(?<=[.!?:])[\"'”’)\]`*]*\s+(?=[\"'“‘(\[`*:]*[A-Z0-9])")
_LITERAL = re.compile(r"\s{3,}\S|\t|[`~]{3,}|\.\. |[-*+|>#] |\d+[.)] |:\w+:|@|<")
_LEANING = re.compile(
    r"(it|its|this|that|these|those|they|he|she|then|so|but|however|also|otherwise|instead|and|thus|therefore)\b", re.I
)


class Unit(Struct, frozen=True):
    """Characters ``start`` to ``end`` of the passage: a sentence, or a line of code. ``lines`` is about how many it takes."""

    start: int
    end: int
    lines: int
    heading: bool = False


def excerpt(passage: Passage, lens: Lens) -> str:
    """Contiguous, literal text of ``passage``, of at most about MOST_LINES lines, that holds most of what was asked."""
    text = passage.text
    units = _code_units(text) if passage.language else _prose_units(passage)
    told = [u for u in units if not u.heading] or units
    if not told:
        return text[:MOST_CHARACTERS]
    held = [_held(text[u.start : u.end], lens) for u in told]
    first, last = _best(passage, told, held, lens.shares)
    first = _stretched(text, told, first, last)
    return _bounded(text[told[first].start : told[last].end])


def _best(
    passage: Passage, units: Sequence[Unit], held: Sequence[dict[int, float]], shares: Sequence[float]
) -> tuple[int, int]:
    best, chosen = -1.0, (0, 0)
    for first in range(len(units)):
        window: dict[int, float] = {}
        lines = repeated = 0.0
        for last in range(first, len(units)):
            lines += units[last].lines
            size = units[last].end - units[first].start
            if last > first and (lines > MOST_LINES or size > MOST_CHARACTERS):
                break
            for concept, worth in held[last].items():
                repeated += 0.1 * shares[concept] * worth * (concept in window)
                window[concept] = max(window.get(concept, 0.0), worth)
            gain = sum(shares[c] * worth for c, worth in window.items()) + min(repeated, 0.25)
            gain -= _PER_LINE * lines
            gain += 0.08 * min(1.0, size / _ENOUGH)
            if first == 0:
                gain += _PER_START * (1.0 if passage.role == "definition" or passage.language else 0.4)
            if gain > best + 1e-9:
                best, chosen = gain, (first, last)
    return chosen


def _stretched(text: str, units: Sequence[Unit], first: int, last: int) -> int:
    """``first``, moved back to the sentence that a leaning one ("This ...") or a block after a colon leans on."""
    while first > 0:
        here, before = text[units[first].start : units[first].end], text[units[first - 1].start : units[first - 1].end]
        leans = _LEANING.match(here) or before.rstrip().endswith(":")
        lines = sum(u.lines for u in units[first - 1 : last + 1])
        if not leans or lines > MOST_LINES or units[last].end - units[first - 1].start > MOST_CHARACTERS:
            break
        first -= 1
    return first


def _bounded(quote: str) -> str:
    if len(quote) <= MOST_CHARACTERS:
        return quote
    cut = quote[:MOST_CHARACTERS]
    return cut[: cut.rfind(" ")] if " " in cut else cut


def _held(text: str, lens: Lens) -> dict[int, float]:
    return {concept: worth for concept, worth in enumerate(lens.held(terms(text))) if worth}


def _code_units(text: str) -> list[Unit]:
    units: list[Unit] = []
    start = 0
    for line in text.split("\n"):
        if line.strip():
            units.append(Unit(start, start + len(line), 1))
        start += len(line) + 1
    return units


def _prose_units(passage: Passage) -> list[Unit]:
    """Sentences of paragraphs, lines of everything else."""
    lines = passage.text.split("\n")
    titles = {i for h in headings(passage.source, lines) for i in range(h.start, h.end) if h.level < 100}
    units: list[Unit] = []
    start = position = 0
    paragraph: list[int] = []
    for i, line in enumerate([*lines, ""]):
        plain = bool(line.strip()) and i not in titles and not _LITERAL.match(line)
        if paragraph and not plain:
            units.extend(_sentences(passage.text, start, position - 1))
            paragraph = []
        if plain:
            start = start if paragraph else position
            paragraph.append(i)
        elif line.strip():
            units.append(Unit(position, position + len(line), 1, heading=i in titles))
        position += len(line) + 1
    return units


def _sentences(text: str, start: int, end: int) -> list[Unit]:
    found: list[Unit] = []
    for match in [*_SENTENCE_END.finditer(text, start, end), None]:
        stop = match.start() if match else end
        piece = text[start:stop]
        if piece.strip():
            found.append(Unit(start, stop, 1 + max(piece.count("\n"), len(piece) // 120)))
        start = match.end() if match else end
    return found
