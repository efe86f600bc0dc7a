"""The lines of a passage that answer best: a sentence or two, a signature with its docstring, the few decisive lines."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from concertino.contracts.messages import Passage
from concertino.model.extractive import reading
from concertino.model.extractive.lens import Lens
from concertino.model.extractive.units import Unit, goes_on, leans, units_of
from concertino.retrieval.tokens import terms

MOST_LINES = 15
MOST_CHARACTERS = 1400
_ENOUGH = 160
"""Characters. A shorter quote rarely explains anything by itself."""
_PER_LINE = 0.02
_MOST_REPEATED = 0.12
_LENGTH = 0.06
_START_OF_CODE = 0.15
_START_OF_PROSE = 0.06
"""In shares of the question: what a line more costs, and what it is worth to say things again, to be long enough to explain,
and to begin where the passage itself begins to speak."""
_MENDING = 4
"""Lines that a quote may grow by at either end, so as not to begin or break off in mid-sentence."""


def excerpt(passage: Passage, lens: Lens) -> str:
    """Contiguous, literal text of ``passage``, of at most about MOST_LINES lines, that holds most of what was asked."""
    passage = replace(passage, text=passage.text[: reading.MOST_CHARACTERS])
    units = [unit for unit in units_of(passage) if not unit.mark]
    if not units:
        return passage.text[:MOST_CHARACTERS]
    first, last = _best(passage, units, lens)
    first, last = _mended(passage, units, first, last)
    return _bounded(passage.text[units[first].start : units[last].end])


def _best(passage: Passage, units: Sequence[Unit], lens: Lens) -> tuple[int, int]:
    """The first and last unit of the window that says most for its length."""
    held = [
        {concept: worth for concept, worth in enumerate(lens.held(terms(passage.text[u.start : u.end]))) if worth}
        for u in units
    ]
    best, chosen = -1.0, (0, 0)
    for first in range(len(units)):
        window: dict[int, float] = {}
        start = 0.0 if first else _START_OF_CODE if passage.language else _START_OF_PROSE
        repeated = lines = 0.0
        for last in range(first, len(units)):
            blank = passage.text.count("\n", units[last - 1].end, units[last].start) - 1 if last > first else 0
            lines += units[last].lines + max(blank, 0)
            size = units[last].end - units[first].start
            if last > first and (lines > MOST_LINES or size > MOST_CHARACTERS):
                break
            for concept, worth in held[last].items():
                repeated += 0.1 * lens.shares[concept] * worth * (concept in window)
                window[concept] = max(window.get(concept, 0.0), worth)
            gain = start + sum(lens.shares[c] * worth for c, worth in window.items()) + min(repeated, _MOST_REPEATED)
            gain += _LENGTH * min(1.0, size / _ENOUGH) - _PER_LINE * lines
            if gain > best + 1e-9:
                best, chosen = gain, (first, last)
    return chosen


def _mended(passage: Passage, units: Sequence[Unit], first: int, last: int) -> tuple[int, int]:
    """The window, grown where it begins or breaks off in mid-sentence or inside a bracket, or leans on what stands before."""
    texts = [passage.text[u.start : u.end] for u in units]

    def belongs(i: int) -> bool:
        """Whether unit ``i`` cannot be understood without the one before."""
        if not passage.language:
            return leans(texts[i - 1], texts[i])
        return units[i].start - units[i - 1].end == 1 and goes_on(texts[i - 1], texts[i])

    for _ in range(_MENDING):
        if first > 0 and belongs(first):
            first -= 1
    for _ in range(_MENDING):
        if passage.language and last + 1 < len(units) and belongs(last + 1):
            last += 1
    return first, last


def _bounded(quote: str) -> str:
    """At most MOST_CHARACTERS, cut between words: a single line may be longer than any quote should be."""
    if len(quote) <= MOST_CHARACTERS:
        return quote
    cut = quote[:MOST_CHARACTERS]
    return cut[: cut.rindex(" ")] if " " in cut else cut
