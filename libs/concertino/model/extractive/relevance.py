"""How well a passage answers a question: what of it the passage covers, how closely together, and what it is about."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from concertino.model.extractive.lens import Lens
from concertino.model.extractive.reading import Reading

_WINDOW = 30
"""Terms. What stands within such a stretch is taken to belong together."""
_LEAD = 40
"""Terms of documentation that open a passage, and mostly say what it is about."""
_PHRASE = 3
"""Terms. Words that are neighbours in the question are a phrase in the text up to this distance."""
_IN_TITLE, _IN_PATH, _IN_DOCUMENTATION = 3.0, 1.0, 1.2
"""What a term counts there, beside 1 in code."""
_K1 = 1.6
_B = 0.35
_USUAL_LENGTH = 120.0
"""Terms. K1 and B are those of BM25: how fast repetition stops to count, and how much a long text is held against it."""

Place = tuple[int, int, float]
"""Position in the text, concept that is spoken of there, and how well."""


class Features(Struct, frozen=True):
    """All but ``size`` are shares of the question in [0, 1], by weight and rarity of its concepts."""

    match: float
    """Saturated, length-normalised frequency, as in BM25."""
    coverage: float
    """What stands in the passage at all."""
    focus: float
    """What stands within one window of it."""
    lead: float
    """What its title and the opening of its documentation hold."""
    title: float
    path: float
    subject: float
    """What its file is about, going by path and opening."""
    prose: float
    """What its documentation holds: for code docstrings and comments, for text everything."""
    phrase: float
    """Neighbours in the question that are neighbours here."""
    size: float
    """Logarithm of its length over the usual one."""


def features(reading: Reading, lens: Lens) -> tuple[Features, Sequence[float]]:
    """What a passage holds of the question: in all, and of each concept."""
    count = len(lens.concepts)
    in_title, in_path, in_about = lens.held(reading.title), lens.held(reading.path), lens.held(reading.about)
    strength = [_IN_TITLE * t + _IN_PATH * p for t, p in zip(in_title, in_path, strict=True)]
    held = [max(t, 0.7 * p) for t, p in zip(in_title, in_path, strict=True)]
    documented, opening = list(in_title), list(in_title)
    places: list[Place] = []
    length = documentation = 0
    for terms, is_documentation in reading.lines:
        for position, term in enumerate(terms):
            for i, worth in lens.forms.get(term, ()):
                strength[i] += worth * (_IN_DOCUMENTATION if is_documentation else 1.0)
                held[i] = max(held[i], worth)
                places.append((length + position, i, worth))
                if is_documentation:
                    documented[i] = max(documented[i], worth)
                    if documentation + position < _LEAD:
                        opening[i] = max(opening[i], worth)
        length += len(terms)
        documentation += len(terms) if is_documentation else 0
    k = _K1 * (1 - _B + _B * length / _USUAL_LENGTH)
    found = Features(
        match=lens.share(h * s / (s + k) for h, s in zip(held, strength, strict=True)),
        coverage=lens.share(held),
        focus=_focus(places, lens.shares),
        lead=lens.share(opening),
        title=lens.share(in_title),
        path=lens.share(in_path),
        subject=lens.share(map(max, in_path, in_about)),
        prose=lens.share(documented),
        phrase=_phrases(places, count),
        size=math.log((length + 10) / _USUAL_LENGTH),
    )
    return found, held


def _focus(places: Sequence[Place], shares: Sequence[float]) -> float:
    best, start = 0.0, 0
    for end, (last, _, _) in enumerate(places):
        while last - places[start][0] > _WINDOW:
            start += 1
        held: dict[int, float] = {}
        for _, concept, worth in places[start : end + 1]:
            if worth > held.get(concept, 0.0):
                held[concept] = worth
        best = max(best, sum(shares[c] * worth for c, worth in held.items()))
    return best


def _phrases(places: Sequence[Place], concepts: int) -> float:
    if concepts < 2:
        return 0.0
    found: dict[int, float] = {}
    for n, (place, concept, worth) in enumerate(places):
        for other_place, other, other_worth in places[n + 1 : n + 8]:
            if other_place - place > _PHRASE:
                break
            if abs(other - concept) == 1:
                pair = min(other, concept)
                found[pair] = max(found.get(pair, 0.0), worth * other_worth)
    return sum(found.values()) / (concepts - 1)
