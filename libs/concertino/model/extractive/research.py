"""Research without a model: ask in several ways, judge what comes back, and quote the lines that answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from concertino.contracts.errors import Refused
from concertino.contracts.messages import Passage
from concertino.model.extractive.claims import claim_of, gap_of
from concertino.model.extractive.query import Question, understand
from concertino.model.extractive.relevance import Features, Lens, Ranks, features, score
from concertino.model.port import Findings, Research, Tools
from concertino.retrieval.search import SearchResult

_POOL = 40
"""Passages asked for in each search."""
_MOST_CLAIMS = 6


class Judged(Struct, frozen=True):
    """A passage and how well it answers. ``score`` compares within one question, ``features`` across."""

    passage: Passage
    score: float
    features: Features


class Ranked(Struct, frozen=True):
    """The best passage of each file, best file first, and the lens they were judged through."""

    best: tuple[Judged, ...]
    lens: Lens
    known: Mapping[str, int]


async def research(job: Research) -> Findings:
    """The passages that answer the brief, quoted; no claims but a gap where its sources do not speak of it."""
    question = understand(job.work.brief.objective)
    results = await _ask(question, job.tools)
    return await asyncio.to_thread(answer, question, results)


async def _ask(question: Question, tools: Tools) -> list[SearchResult]:
    """Several formulations of one question. Where the brief's calls are used up, what there is must do."""
    results: list[SearchResult] = []
    for query in dict.fromkeys([question.plain, question.expanded, *(part.plain for part in question.parts)]):
        if query:
            try:
                results.append(await tools.call("search", query=query, limit=_POOL))
            except Refused:
                if not results:
                    raise
                break
    return results


def answer(question: Question, results: Sequence[SearchResult]) -> Findings:
    """Pure: what the results of the searches have to say to the question."""
    ranked = rank(question, results)
    if not ranked.best:
        return Findings(gaps=(gap_of(question, ranked.known),))
    top = ranked.best[0].score
    claims = [
        claim_of(j.passage, ranked.lens, confidence(j.features) * math.exp((j.score - top) / 6))
        for j in ranked.best[:_MOST_CLAIMS]
    ]
    return Findings(claims=tuple(claims))


def confidence(f: Features) -> float:
    z = -3 + 5 * f.coverage + 3 * f.match
    return 1 / (1 + math.exp(-z))


def rank(question: Question, results: Sequence[SearchResult]) -> Ranked:
    """Files by how well their passages answer, several good ones counting more than one."""
    known: dict[str, int] = {}
    for result in results:
        known.update(result.frequencies)
    lens = Lens.of(question, known, max((r.passages for r in results), default=0))
    pool: dict[tuple[str, str], tuple[Passage, Ranks]] = {}
    for n, result in enumerate(results):
        for i, hit in enumerate(result.hits):
            key = (hit.passage.source, repr(hit.passage.locator))
            _, ranks = pool.get(key, (None, Ranks()))
            near = 5 / (5 + i)
            ranks = Ranks(ranks.all + 20 / (20 + i), near if n == 0 else ranks.plain, near if n else ranks.other)
            pool[key] = (hit.passage, ranks)
    files: dict[str, list[Judged]] = {}
    for passage, ranks in pool.values():
        found = features(passage, lens)
        files.setdefault(passage.source, []).append(Judged(passage, score(found, ranks, passage), found))
    best: list[Judged] = []
    for judged in files.values():
        top = max(judged, key=lambda j: j.score)
        total = top.score + math.log(sum(math.exp(j.score - top.score) for j in judged))
        best.append(Judged(top.passage, total, top.features))
    best.sort(key=lambda j: -j.score)
    return Ranked(tuple(best), lens, known)
