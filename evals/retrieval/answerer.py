"""What is measured: anything that answers a question about a source with quotes from its files."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from evals.retrieval.corpus import Corpus


class Citation(Struct, frozen=True):
    """A quote and where it stands. ``lines`` counts from 1, both ends included; None where the format has none."""

    path: str
    quote: str
    lines: tuple[int, int] | None = None


class Reply(Struct, frozen=True):
    """Citations in the order of their first use; none means that nothing was found.

    ``score`` only matters to an answerer that never stays silent by itself: replies below a threshold are then taken as
    silence.
    """

    citations: tuple[Citation, ...]
    score: float = 1.0


class Answerer(Protocol):
    """Raises an error of :mod:`concertino.contracts.errors` where it cannot answer at all: that ends the evaluation."""

    @property
    def name(self) -> str: ...

    async def prepare(self, corpus: Corpus) -> None:
        """Whatever is done once per source and is no part of a question's seconds."""

    async def ask(self, question: str, corpus: Corpus) -> Reply: ...
