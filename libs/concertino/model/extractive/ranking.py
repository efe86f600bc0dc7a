"""One number out of many signs: how likely a passage is the answer, beside the other candidates."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from concertino.contracts.messages import Passage
from concertino.model.extractive.asked import Asked
from concertino.model.extractive.relevance import Features
from concertino.retrieval.standing import standing_of


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


class Company(Struct, frozen=True):
    """What the passages of one file that were found are together."""

    together: float = 0.0
    """The share of the question that they hold."""
    number: float = 0.0
    """Logarithm of how many they are."""


WEIGHTS: Mapping[str, float] = {
    "match": 0.76,
    "coverage": 0.56,
    "focus": 0.95,
    "lead": 1.03,
    "title": 1.00,
    "path": 0.87,
    "subject": 0.70,
    "prose": 0.10,
    "phrase": 0.75,
    "size": 1.05,
    "fused": 0.56,
    "plain": 0.41,
    "wider": 1.39,
    "feedback": 0.65,
    "together": 0.51,
    "number": 0.32,
}
"""What each sign counts. Fitted (softmax over the passages of a pool, weights drawn to 0) on 223 questions about 22
foreign packages and their documentation, 72 of them in the words of people who know neither; leaving each package out in turn
costs about one answer in fifty."""

PRIOR: Mapping[str, float] = {
    "example": -0.30,
    "data": -0.50,
    "between definitions": 0.30,
    "top level": 0.10,
    "private": -0.10,
    "prose": 0.10,
}
"""What a passage counts for being what it is, whatever was asked."""


OUT_OF_PLACE: Mapping[str, float] = {"test": 2.5, "generated": 2.5, "site": 3.0, "release": 2.0, "legal": 4.0, "project": 1.5}
"""What is taken off for being of a kind that the question did not ask for. Set by hand."""


def score(found: Features, ranks: Ranks, company: Company, passage: Passage, asked: Asked) -> float:
    """The logarithm of how likely this passage is the answer, up to a constant of the question."""
    total = sum(PRIOR[kind] for kind in kinds_of(passage)) - sum(OUT_OF_PLACE[kind] for kind in out_of_place(passage, asked))
    for signs in (found, ranks, company):
        total += sum(WEIGHTS[name] * getattr(signs, name) for name in signs.__struct_fields__)
    return total


def kinds_of(passage: Passage) -> list[str]:
    """What kinds of passage it is, as :data:`PRIOR` names them."""
    if passage.role == "definition":
        name = passage.title.rpartition(".")[2]
        return (["top level"] if name == passage.title else []) + (["private"] if name.startswith("_") else [])
    if passage.role == "text":
        return ["between definitions" if passage.language else "prose"]
    return [passage.role] if passage.role in PRIOR else []


def out_of_place(passage: Passage, asked: Asked) -> set[str]:
    """What it is that nobody wants who did not ask for it, as :data:`OUT_OF_PLACE` names it."""
    found: set[str] = {standing_of(passage.source), {"changelog": "release"}.get(passage.role, passage.role)}
    return {kind for kind in found & OUT_OF_PLACE.keys() if kind not in asked}
