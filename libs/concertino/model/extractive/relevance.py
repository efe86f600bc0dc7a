"""How well a passage answers a question: what of the question it covers, how closely together, and what it is about."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from concertino.contracts.messages import Passage
from concertino.model.extractive.query import Concept, Question
from concertino.retrieval.tokens import terms

_WINDOW = 30
"""Terms. What stands within such a stretch is taken to belong together."""
_LEAD = 40
"""Terms of documentation that open a passage, and mostly say what it is about."""
_PHRASE = 3
"""Terms. Words that are neighbours in the question are a phrase in the text up to this distance."""
_K1 = 1.6
_B = 0.35
_USUAL_LENGTH = 120.0
_ABSENT = 0.75
"""Rarity of a plain word that stands nowhere: it may be missing because the question is worded freely."""
_COMMENT = re.compile(r"^\s*(#|//|/\*|\*|--|;;|%)")
_QUOTES = re.compile(r'"""|\'\'\'')


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
    prose: float
    """What its documentation holds: for code docstrings and comments, for text everything."""
    exact: float
    """What stands in it in the question's own words."""
    phrase: float
    """Neighbours in the question that are neighbours here."""
    missing_name: float
    """What of the question is a name that stands nowhere in it."""
    size: float
    """Logarithm of its length over the usual one."""


class Lens(Struct, frozen=True):
    """A question as one source sees it: which terms speak for which concept, and what each concept counts there."""

    concepts: tuple[Concept, ...]
    forms: Mapping[str, Sequence[tuple[int, float]]]
    """Term: the concepts it speaks for, and its worth for each."""
    shares: tuple[float, ...]
    """Rarer is more. Adds up to 1."""

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
        return cls(question.concepts, forms, tuple(r / total for r in raw))


def _rarity(frequency: float, passages: int, *, named: bool) -> float:
    if not frequency:
        return 1.0 if named else _ABSENT
    return max(0.1, math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5)) / math.log(2 + passages))


def features(passage: Passage, lens: Lens) -> Features:
    """What ``passage`` holds of the question."""
    count = len(lens.concepts)
    strength, held, documented, opening = [0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count
    places: list[tuple[int, int, float]] = []
    in_title, in_path = _held(passage.title, lens), _held(passage.source, lens)
    length = proses = 0
    for line, is_prose in _lines(passage):
        for term in terms(line):
            length += 1
            proses += is_prose
            for i, worth in lens.forms.get(term, ()):
                strength[i] += worth * (1.2 if is_prose else 1.0)
                held[i] = max(held[i], worth)
                places.append((length, i, worth))
                if is_prose:
                    documented[i] = max(documented[i], worth)
                    if proses <= _LEAD:
                        opening[i] = max(opening[i], worth)
    k = _K1 * (1 - _B + _B * length / _USUAL_LENGTH)
    match = 0.0
    for i, share in enumerate(lens.shares):
        strength[i] += 3.0 * in_title[i] + in_path[i]
        held[i] = max(held[i], in_title[i], 0.7 * in_path[i])
        documented[i] = max(documented[i], in_title[i])
        opening[i] = max(opening[i], in_title[i])
        match += share * held[i] * strength[i] / (strength[i] + k)

    def share_of(values: Sequence[float]) -> float:
        return sum(share * value for share, value in zip(lens.shares, values, strict=True))

    return Features(
        match=match,
        coverage=share_of(held),
        focus=_focus(places, lens.shares),
        lead=share_of(opening),
        title=share_of(in_title),
        path=share_of(in_path),
        prose=share_of(documented),
        exact=share_of([float(h >= 1.0) for h in held]),
        phrase=_phrases(places, count),
        missing_name=share_of([float(c.named and h < 0.5) for c, h in zip(lens.concepts, held, strict=True)]),
        size=math.log((length + 10) / _USUAL_LENGTH),
    )


def _held(text: str, lens: Lens) -> list[float]:
    held = [0.0] * len(lens.concepts)
    for term in terms(text):
        for i, worth in lens.forms.get(term, ()):
            held[i] = max(held[i], worth)
    return held


def _focus(places: Sequence[tuple[int, int, float]], shares: Sequence[float]) -> float:
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


def _phrases(places: Sequence[tuple[int, int, float]], concepts: int) -> float:
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


def _lines(passage: Passage) -> list[tuple[str, bool]]:
    """The lines of a passage, and whether each is documentation."""
    if not passage.language:
        return [(passage.text, True)]
    found: list[tuple[str, bool]] = []
    quoted = False
    for line in passage.text.split("\n"):
        marks = len(_QUOTES.findall(line))
        found.append((line, quoted or marks > 0 or bool(_COMMENT.match(line))))
        quoted ^= marks % 2 == 1
    return found


class Ranks(Struct, frozen=True):
    """Where the searches had a passage. The first place counts 1, place i (from 0) 5 / (5 + i); not at all is 0."""

    fused: float = 0.0
    """The sum over all searches of 20 / (20 + i): reciprocal rank fusion."""
    plain: float = 0.0
    """In the search for the words as asked."""
    wider: float = 0.0
    """In the search for those and all their relatives, or for a part of the question."""
    feedback: float = 0.0
    """In the search for what the best passages so far have in common."""


WEIGHTS: Mapping[str, float] = {
    "match": 0.68,
    "coverage": 0.39,
    "focus": 0.62,
    "lead": 1.50,
    "title": 1.69,
    "path": 0.84,
    "prose": 0.85,
    "phrase": 0.76,
    "size": 0.52,
    "fused": 1.60,
    "plain": 0.17,
    "wider": 1.23,
    "feedback": 0.46,
}
"""What each feature and rank counts. Fitted (softmax over the passages of a pool, weights drawn to 0) on 124 questions about
ten foreign packages and their documentation; leaving each package out in turn costs about one answer in thirty."""

PRIOR: Mapping[str, float] = {
    "test": -1.00,
    "changelog": -0.80,
    "example": -0.30,
    "data": -0.50,
    "generated": -0.80,
    "prose": 0.25,
    "between definitions": 0.33,
    "top level": 0.28,
    "private": -0.50,
}
"""What a passage counts for being what it is, whatever was asked."""


def score(found: Features, ranks: Ranks, passage: Passage) -> float:
    """The logarithm of how likely this passage is the answer, up to a constant of the question."""
    total = sum(PRIOR[kind] for kind in kinds_of(passage))
    for signs in (found, ranks):
        total += sum(WEIGHTS.get(name, 0.0) * getattr(signs, name) for name in signs.__struct_fields__)
    return total


def kinds_of(passage: Passage) -> list[str]:
    """What kinds of passage it is, as :data:`PRIOR` names them."""
    if passage.role == "definition":
        name = passage.title.rpartition(".")[2]
        return (["top level"] if name == passage.title else []) + (["private"] if name.startswith("_") else [])
    if passage.role == "text":
        return ["between definitions" if passage.language else "prose"]
    return [passage.role]
