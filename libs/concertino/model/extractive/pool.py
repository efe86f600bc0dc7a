"""The passages that may answer a question: what several searches found, each judged by what it holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from concertino.contracts.messages import Passage
from concertino.model.extractive.asked import Asked
from concertino.model.extractive.lens import Lens
from concertino.model.extractive.ranking import Company, Ranks, score
from concertino.model.extractive.reading import Reading, read
from concertino.model.extractive.relevance import Features, features
from concertino.retrieval.search import SearchResult

Readings = dict[tuple[str, str, str], Reading]
"""What was read, by source and place."""


class Judged(Struct, frozen=True):
    """A passage and how well it answers. ``score`` compares within one question, ``features`` across."""

    passage: Passage
    score: float
    features: Features
    share: float
    """How likely it is the answer, if any is: adds up to 1 over all passages, or over all files."""
    together: float
    """The share of the question that all passages of its file hold together."""


class Pool:
    """Grows with every search; each passage is judged once, and read once for all pools that share ``readings``."""

    def __init__(self, lens: Lens, asked: Asked, readings: Readings) -> None:
        self._lens = lens
        self._asked = asked
        self._readings = readings
        self._passages: dict[tuple[str, str, str], tuple[Passage, Features, Sequence[float]]] = {}
        self._ranks: dict[tuple[str, str, str], Ranks] = {}

    def add(self, result: SearchResult, search: str) -> None:
        """What one search found. ``search`` is the field of :class:`Ranks` that it belongs to."""
        for i, hit in enumerate(result.hits):
            # The text too: two sources may each have a file of this name.
            key = (hit.passage.source, repr(hit.passage.locator), hit.passage.text)
            if key not in self._passages:
                if key not in self._readings:
                    self._readings[key] = read(hit.passage, hit.about)
                self._passages[key] = (hit.passage, *features(self._readings[key], self._lens))
            ranks = self._ranks.get(key, Ranks())
            near = {search: max(getattr(ranks, search), 5 / (5 + i))}
            fused = ranks.fused + (20 / (20 + i) if search != "feedback" else 0.0)
            self._ranks[key] = replace(ranks, fused=fused, **near)

    def signs(self) -> list[tuple[Passage, Features, Ranks, Company]]:
        """All that speaks for or against each passage."""
        held: dict[str, list[Sequence[float]]] = {}
        for passage, _, concepts in self._passages.values():
            held.setdefault(passage.source, []).append(concepts)
        company = {
            source: Company(self._lens.share(map(max, zip(*of, strict=True))), math.log(len(of))) for source, of in held.items()
        }
        return [(p, f, self._ranks[key], company[p.source]) for key, (p, f, _) in self._passages.items()]

    def judged(self) -> list[Judged]:
        """Every passage, best first."""
        scored = [(score(f, r, c, p, self._asked), p, f, c.together) for p, f, r, c in self.signs()]
        whole = _log_sum(s for s, *_ in scored)
        return sorted((Judged(p, s, f, math.exp(s - whole), t) for s, p, f, t in scored), key=lambda j: -j.score)

    def files(self) -> list[Judged]:
        """The best passage of each file, best file first. Several good passages count more than one."""
        by_file: dict[str, list[Judged]] = {}
        for judged in self.judged():
            by_file.setdefault(judged.passage.source, []).append(judged)
        totals = {source: _log_sum(j.score for j in found) for source, found in by_file.items()}
        whole = _log_sum(totals.values())
        best = [
            Judged(found[0].passage, totals[source], found[0].features, math.exp(totals[source] - whole), found[0].together)
            for source, found in by_file.items()
        ]
        return sorted(best, key=lambda j: -j.score)


def _log_sum(logarithms: Iterable[float]) -> float:
    values = list(logarithms)
    top = max(values, default=0.0)
    return top + math.log(sum(math.exp(v - top) for v in values)) if values else 0.0
