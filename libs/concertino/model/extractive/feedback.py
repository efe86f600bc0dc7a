"""Pseudo-relevance feedback: the words that the best passages have in common, and the rest of the source has not."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from concertino.contracts.messages import Passage
from concertino.model.extractive.lens import Lens
from concertino.retrieval.tokens import STOP_WORDS, stem, terms

BEST = 6
"""Passages that are believed."""
CANDIDATES = 60
CHOSEN = 10
_STOP_STEMS = frozenset(stem(word) for word in STOP_WORDS) | {
    "self",
    "return",
    "none",
    "true",
    "fals",
    "def",
    "class",
    "import",
}


def candidates(best: Sequence[Passage], lens: Lens) -> Mapping[str, float]:
    """Terms that stand in at least two of the ``best`` passages (best first) and are not asked for already, by weight."""
    weight: defaultdict[str, float] = defaultdict(float)
    passages: Counter[str] = Counter()
    for place, passage in enumerate(best[:BEST]):
        for term, count in Counter(terms(f"{passage.title} {passage.title} {passage.text}")).items():
            if len(term) > 2 and not term.isdigit() and term not in _STOP_STEMS and term not in lens.forms:
                weight[term] += min(count, 4) / (3 + place)
                passages[term] += 1
    shared = sorted((term for term in weight if passages[term] > 1), key=lambda term: (-weight[term], term))
    return {term: weight[term] for term in shared[:CANDIDATES]}


def distinctive(found: Mapping[str, float], frequencies: Mapping[str, int], passages: int) -> list[str]:
    """The few of the candidates that are rare in the source (``frequencies`` of each among ``passages``)."""
    rarity = {term: math.log((passages + 1) / (frequencies.get(term, 0) + 0.5)) for term in found}
    return sorted(found, key=lambda term: (-found[term] * rarity[term], term))[:CHOSEN]
