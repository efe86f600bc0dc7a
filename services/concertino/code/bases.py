"""The code bases of one piece of work: which one is meant, and looking through one after another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Protocol

from msgspec import Meta

from concertino.code.base import Base
from concertino.code.grep import Matches
from concertino.contracts.errors import Invalid, SourceError
from concertino.worker.passages import rooted

Root = Annotated[str, Meta(description="The location of one source, where several were given. Empty: all of them.")]


class Find(Protocol):
    """One of the searches through text."""

    def __call__(self, texts: Iterator[tuple[str, str]], /, *, limit: int, seconds: float) -> Matches: ...


class Bases:
    """In the order in which they were given. Each goes by its ``root``: its source's location."""

    def __init__(self, bases: Sequence[Base]) -> None:
        self._bases = tuple(bases)

    def __iter__(self) -> Iterator[Base]:
        return iter(self._bases)

    def of(self, root: str) -> Sequence[Base]:
        """The one called ``root``; all of them where that is empty. :class:`Invalid` where none is."""
        if not root:
            return self._bases
        named = [base for base in self._bases if base.name == root]
        if not named:
            raise Invalid(f"no source is called {root!r}; there are: {', '.join(base.name for base in self._bases)}")
        return named

    def holding(self, path: str, root: str) -> Base:
        """The one called ``root``, or the first that has the file ``path``, or the first."""
        bases = self.of(root)
        if not bases:
            raise SourceError("there is no code to read: name a directory or git URL as a source of kind code")
        return next((base for base in bases if path in base.files), bases[0])

    def through(self, find: Find, path: str, root: str, *, limit: int, seconds: float) -> Matches:
        """What ``find`` finds in the files that match the glob ``path``, within ``limit`` and ``seconds`` in all."""
        matches: list[Matches] = []
        until = time.monotonic() + seconds
        bases = self.of(root)
        for number, base in enumerate(bases):
            left = limit - sum(len(found.passages) for found in matches)
            time_left = round(until - time.monotonic(), 1)
            if left <= 0 or time_left <= 0:
                unsearched = ", ".join(base.name for base in bases[number:])
                matches.append(Matches((), f"not searched any more: {unsearched}: narrow it, or name the root"))
                break
            matches.append(rooted(find(base.texts(path), limit=left, seconds=time_left), base.name))
        passages = tuple(passage for found in matches for passage in found.passages)
        return Matches(passages, "; ".join(found.note for found in matches if found.note))
