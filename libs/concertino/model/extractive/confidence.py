"""How sure one may be: that the sources speak of the question at all, and that this passage is the answer.

Two logistic models, fitted on questions about 22 foreign packages: 223 that these answer, 53 that they do not, and questions
asked of the wrong package. A confidence of 0.7 means that about seven of ten such claims came from a file that answers; what
was set by hand since, for small sources and short questions, was measured by right and wrong answers alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from concertino.model.extractive.lens import Lens
from concertino.model.extractive.pool import Judged
from concertino.model.extractive.query import VAGUE_WEIGHT
from concertino.retrieval.tokens import terms

_BEST = 3
"""Files that are looked at to judge whether there is an answer at all."""

_USUAL, _SMALL = 1000, 1.5
"""Passages of a source from which on it is as large as those that this was fitted on; and how much more likely an answer is in
a source of one passage, where few words can be known and nothing meets by chance. Set by hand."""

_WHOLE = 2.0
"""What it adds that all of a question of one word stands close together; a longer one is hardly ever held whole, and by less
chance. Set by hand."""

_BY_NAME = 3.0
"""Set by hand: who asks for a thing by the name that it is defined under, is answered by its definition."""

SILENT_BELOW = 0.3
"""Where an answer is less likely than this, none is given. Each package judged by a fit to the others, 47 of the 53 questions
without an answer fell below, and 18 of the 223 with one. With all that is set by hand here, and by the fit to all, it is 47 of
55, and 5 of the 223; of those without an answer that are worded in the very terms of the field, 9 of 14."""

LEAST = 0.12
"""The best claim is at least as sure as this, or there is none. Set by hand."""


def answerable(best: Sequence[Judged], lens: Lens, known: Mapping[str, int]) -> float:
    """Logit of the probability that the sources answer the question.

    It goes by how much of the question the ``best`` files cover, by how many words that is, and by which of them the sources
    do not know at all (``known``: in how many passages a term stands), not by scores.
    """
    if not best or not lens.concepts:
        return -math.inf
    found = [judged.features for judged in best[:_BEST]]
    unknown = [(c, share) for c, share in zip(lens.concepts, lens.shares, strict=True) if not _knows(known, c.terms)]
    words = sum(len(concept.word.split()) for concept in lens.concepts)
    size = min(1.0, math.log(1 + lens.passages) / math.log(1 + _USUAL))
    return (
        -6.66
        + 4.57 * max(f.match for f in found)
        + 2.80 * max(f.phrase for f in found)
        + 1.66 * max(f.lead for f in found)
        + 0.99 * max(f.subject for f in found)
        + 0.54 * max(judged.together for judged in best[:_BEST])
        - 1.30 * size * sum(share for _, share in unknown)
        - 0.75 * size * sum(share for concept, share in unknown if concept.named)
        + _SMALL * (1 - size)
        + _WHOLE * _whole(max(judged.together for judged in best[:_BEST]), lens)
        + 1.96 * math.log(max(words, 2))
        + _BY_NAME * max(_named(judged, lens) for judged in best[:_BEST])
    )


def _whole(together: float, lens: Lens) -> float:
    """How nearly all that is asked for stands ``together``, vague words apart: 1 for one word that is there, less for more."""
    asked = [
        (len(c.word.split()), share) for c, share in zip(lens.concepts, lens.shares, strict=True) if c.weight > VAGUE_WEIGHT
    ]
    solid = sum(share for _, share in asked)
    return max(0.0, min(together / solid, 1.0) - 0.75) * 4 / sum(words for words, _ in asked) if solid else 0.0


def _named(judged: Judged, lens: Lens) -> float:
    """How much of the question is a name that stands in the passage's title."""
    held = lens.held(terms(judged.passage.title))
    return lens.share(float(concept.named and worth >= 1) for concept, worth in zip(lens.concepts, held, strict=True))


def is_answered(logit: float) -> bool:
    """Whether to answer at all."""
    return _probability(logit) >= SILENT_BELOW


def confidence(logit: float, share: float) -> float:
    """How likely a passage answers: ``logit`` of there being an answer, ``share`` of the passage in the candidates."""
    return _probability(0.69 + 0.37 * logit + 0.83 * math.log(max(share, 1e-6)))


def _knows(known: Mapping[str, int], terms: Mapping[str, float]) -> bool:
    return any(worth >= 1 and known.get(term) for term, worth in terms.items())


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-max(logit, -700.0)))
