"""Who could work on what: kinds on the bus with the sources that they read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from msgspec import Struct

from concertino.contracts.messages import Announcement, Source
from concertino.model.extractive.query import VAGUE
from concertino.retrieval.tokens import content_terms, terms


class Reader(Struct, frozen=True):
    """One kind with its share of the sources.

    ``natural`` readers, of sources of their own kind, are asked everything; others what their description speaks of.
    """

    kind: str
    sources: tuple[Source, ...]
    natural: bool
    names: frozenset[str]
    """Terms of the kind's name."""
    speaks_of: frozenset[str]
    """Terms of its description that no other kind's has: what is said of everybody tells nobody apart."""

    def fits(self, text: str) -> bool:
        """Whether ``text`` names the kind, or is about what only this kind speaks of."""
        asked = set(content_terms(text)) - VAGUE
        shared = len(asked & self.speaks_of)
        return bool(set(terms(text)) & self.names) or shared >= 2 or 0 < len(asked) <= 3 * shared


def readers(kinds: Iterable[Announcement], sources: Sequence[Source]) -> list[Reader]:
    """Every kind that could do something, in the order of their names: what reads a given source, and what reads none at all.

    A kind is the natural reader of sources of its own kind, and of those whose own kind nobody is.
    """
    public = _one_each(kinds)
    names = {kind.kind for kind in public}
    described = {kind.kind: set(content_terms(kind.description)) - VAGUE for kind in public}
    found: list[Reader] = []
    for kind in public:
        own = tuple(s for s in sources if s.kind == kind.kind or (s.kind in kind.sources and s.kind not in names))
        readable = tuple(s for s in sources if s.kind in kind.sources or s.kind == kind.kind)
        if not (own or readable or not kind.sources):
            continue
        others = set[str]().union(*(words for other, words in described.items() if other != kind.kind))
        found.append(
            Reader(
                kind=kind.kind,
                sources=own or readable,
                natural=bool(own),
                names=frozenset(terms(kind.kind)),
                speaks_of=frozenset(described[kind.kind] - others),
            )
        )
    return found


def _one_each(kinds: Iterable[Announcement]) -> list[Announcement]:
    """One announcement of each kind, in the order of their names, without those that plan or write."""
    public = sorted((k for k in kinds if not k.internal), key=lambda k: k.kind)
    return [next(group) for _, group in itertools.groupby(public, key=lambda k: k.kind)]
