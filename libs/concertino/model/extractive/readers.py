"""Who could work on what: kinds on the bus with the sources that they read."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from concertino.contracts.messages import Announcement, Source
from concertino.contracts.plans import GENERAL
from concertino.model.extractive.query import VAGUE
from concertino.retrieval.tokens import content_terms, terms

WEB = "web"
"""The kind of source that a request may name in its own words, and the tool that finds more of it."""
_WEB_SEARCH = "web_search"
_ON_THE_WEB = re.compile(
    r"\b(?:(?:on|in|from|across|search(?:ing)?) the (?:public |open )?(?:web|internet|net)|online|web search|websites?)\b",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"https?://[^\s/]", re.IGNORECASE)


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
        """Whether ``text`` names the kind, or is about what only this kind speaks of.

        What is asked of the web leaves the house: that has to be said in so many words.
        """
        if self.kind == WEB:
            return bool(_ON_THE_WEB.search(text))
        asked = set(content_terms(text)) - VAGUE
        shared = len(asked & self.speaks_of)
        return bool(set(terms(text)) & self.names) or shared >= 2 or 0 < len(asked) <= 3 * shared


def readers(kinds: Iterable[Announcement], sources: Sequence[Source], request: str = "") -> list[Reader]:
    """Every kind that could do something, in the order of their names: what reads a given source, and what reads none at all.

    A kind is the natural reader of sources of its own kind, and of those whose own kind nobody is. Whoever reads the web is
    that of addresses in the ``request`` too, and of everything where nothing is named and it can search. No rule can tell
    ``general`` which role to take on: it is left out where anybody else reads something.
    """
    public = _one_each(kinds)
    names = {kind.kind for kind in public}
    described = {kind.kind: set(content_terms(kind.description)) - VAGUE for kind in public}
    found: list[Reader] = []
    for kind in public:
        own = tuple(s for s in sources if s.kind == kind.kind or (s.kind in kind.sources and s.kind not in names))
        readable = tuple(s for s in sources if s.kind in kind.sources or s.kind == kind.kind)
        at_home = bool(own) or _reads_the_web(kind, names, request, sources)
        if not (at_home or readable or not kind.sources):
            continue
        others = set[str]().union(*(words for other, words in described.items() if other != kind.kind))
        found.append(
            Reader(
                kind=kind.kind,
                sources=own or readable,
                natural=at_home,
                names=frozenset(terms(kind.kind)),
                speaks_of=frozenset(described[kind.kind] - others),
            )
        )
    return [reader for reader in found if reader.kind != GENERAL] or found


def _reads_the_web(kind: Announcement, names: Collection[str], request: str, sources: Sequence[Source]) -> bool:
    if kind.kind != WEB and (WEB in names or WEB not in kind.sources):
        return False
    return bool(_ADDRESS.search(request)) or (not sources and _WEB_SEARCH in kind.tools)


def _one_each(kinds: Iterable[Announcement]) -> list[Announcement]:
    """One announcement of each kind, in the order of their names, without those that plan or write."""
    public = sorted((k for k in kinds if not k.internal), key=lambda k: k.kind)
    return [next(group) for _, group in itertools.groupby(public, key=lambda k: k.kind)]
