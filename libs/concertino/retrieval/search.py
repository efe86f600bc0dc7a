"""What a search returns. (The engine is in :mod:`concertino.retrieval.index`.)"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from concertino.contracts.messages import Passage


class Hit(Struct, frozen=True):
    """A passage and how well it matched: higher is better, comparable within one search only."""

    passage: Passage
    score: float


class SearchResult(Struct, frozen=True):
    """Hits, best first, and how common each term of the query is: enough to judge how much of a question a passage covers."""

    hits: tuple[Hit, ...]
    frequencies: Mapping[str, int]
    """Of each term of the query as the index knows it (normalised and stemmed): in how many passages it stands."""
    passages: int
    """How many passages were searched."""
