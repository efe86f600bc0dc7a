"""A question as one source sees it: which terms speak for what, and how much each thing asked for counts there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from concertino.model.extractive.query import Concept, Question

_ABSENT = 0.75
"""Rarity of a plain word that stands nowhere: it may be missing because the question is worded freely."""
_LEAST = 0.1
_ELSEWHERE = 200
"""Passages of other sources that are counted in, in which no term of the question stands: where there are only a few passages,
a word that stands in half of them is rare all the same."""


class Lens(Struct, frozen=True):
    """``shares`` are what each concept counts: rarer is more, and they add up to 1."""

    concepts: tuple[Concept, ...]
    forms: Mapping[str, Sequence[tuple[int, float]]]
    """Term: the concepts it speaks for, and its worth for each."""
    shares: tuple[float, ...]
    passages: int
    """How many passages the source has."""

    @classmethod
    def of(cls, question: Question, frequencies: Mapping[str, int], passages: int) -> Lens:
        """``frequencies``: in how many of ``passages`` each term stands."""
        forms: dict[str, list[tuple[int, float]]] = {}
        raw: list[float] = []
        for i, concept in enumerate(question.concepts):
            frequency = 0.0
            for term, worth in concept.terms.items():
                forms.setdefault(term, []).append((i, worth))
                frequency = max(frequency, worth * frequencies.get(term, 0))
            raw.append(concept.weight * _rarity(frequency, passages, named=concept.named))
        total = sum(raw) or 1.0
        return cls(question.concepts, forms, tuple(r / total for r in raw), passages)

    def held(self, terms: Iterable[str]) -> list[float]:
        """How well each concept is spoken of by ``terms``: 1 in its own words, less by related ones, 0 not at all."""
        held = [0.0] * len(self.concepts)
        for term in terms:
            for i, worth in self.forms.get(term, ()):
                held[i] = max(held[i], worth)
        return held

    def share(self, held: Iterable[float]) -> float:
        """How much of the question is ``held``."""
        return sum(share * value for share, value in zip(self.shares, held, strict=True))


def _rarity(frequency: float, passages: int, *, named: bool) -> float:
    if not frequency:
        return 1.0 if named else _ABSENT
    everywhere = passages + _ELSEWHERE
    return max(_LEAST, math.log(1 + (everywhere - frequency + 0.5) / (frequency + 0.5)) / math.log(2 + everywhere))
