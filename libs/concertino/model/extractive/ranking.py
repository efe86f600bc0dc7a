"""One number out of many signs: how likely a passage is the answer, beside the other candidates."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from concertino.contracts.messages import Passage
from concertino.model.extractive.relevance import Features


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
    "between definitions": 0.00,
    "top level": 0.28,
    "private": -0.50,
}
"""What a passage counts for being what it is, whatever was asked."""


def score(found: Features, ranks: Ranks, passage: Passage) -> float:
    """The logarithm of how likely this passage is the answer, up to a constant of the question."""
    total = sum(PRIOR[kind] for kind in kinds_of(passage))
    for signs in (found, ranks):
        total += sum(WEIGHTS[name] * getattr(signs, name) for name in signs.__struct_fields__)
    return total


def kinds_of(passage: Passage) -> list[str]:
    """What kinds of passage it is, as :data:`PRIOR` names them."""
    if passage.role == "definition":
        name = passage.title.rpartition(".")[2]
        return (["top level"] if name == passage.title else []) + (["private"] if name.startswith("_") else [])
    if passage.role == "text":
        return ["between definitions" if passage.language else "prose"]
    return [passage.role]
