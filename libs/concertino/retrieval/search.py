"""What a search returns. (The engine is in :mod:`concertino.retrieval.index`.)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from concertino.contracts.messages import Passage


class Hit(Struct, frozen=True):
    """A passage and how well it matched: higher is better, comparable within one search only."""

    passage: Passage
    score: float
    about: str = ""
    """What the whole file says first of itself: title and opening words."""


class SearchResult(Struct, frozen=True):
    """Hits, best first, and how common each term of the query is: enough to judge how much of a question a passage covers."""

    hits: tuple[Hit, ...]
    frequencies: Mapping[str, int]
    """Of each term of the query as the index knows it (normalised and stemmed): in how many passages it stands."""
    passages: int
    """How many passages were searched."""


def merge(results: Iterable[SearchResult], limit: int) -> SearchResult:
    """One result of several indexes that were asked the same: the best hits of all, frequencies and passages added up.

    Scores of different indexes are close enough to compare: they are made by one formula from sources of one kind.
    """
    hits: list[Hit] = []
    frequencies: Counter[str] = Counter()
    passages = 0
    for result in results:
        hits.extend(result.hits)
        frequencies.update(result.frequencies)
        passages += result.passages
    hits.sort(key=lambda hit: -hit.score)
    return SearchResult(tuple(hits[:limit]), dict(frequencies), passages)
