"""Research without a model: ask in several ways, judge what comes back, and quote the lines that answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import Struct

from concertino.contracts.errors import Refused
from concertino.model.extractive import checking, feedback
from concertino.model.extractive.claims import claim_of, gap_of
from concertino.model.extractive.confidence import LEAST, answerable, confidence, is_answered
from concertino.model.extractive.lens import Lens
from concertino.model.extractive.pool import Judged, Pool, Readings
from concertino.model.extractive.query import Question, understand
from concertino.model.port import Findings, Research, Tools
from concertino.retrieval.search import SearchResult

_DEPTH = 40
"""Passages asked for in each search."""
_FILES = 5
"""Files that are quoted at the most."""
_MORE = 2
"""Further passages of these files that are quoted at the most."""
_ALWAYS = 3
_NEGLIGIBLE = 0.05
_WORTH_MORE = 0.15
"""Confidence below which a claim is left out: of the first few, and of those after them."""


class Found(Struct, frozen=True):
    """What one search found, and which of :class:`~concertino.model.extractive.relevance.Ranks` it is."""

    search: str
    result: SearchResult


class Answer(Struct, frozen=True):
    """How one question was answered: ``logit`` of there being an answer, the best of each file, and all passages."""

    question: Question
    lens: Lens
    logit: float
    files: tuple[Judged, ...]
    passages: tuple[Judged, ...]
    known: dict[str, int]


async def research(job: Research) -> Findings:
    """The passages that answer the brief, quoted, best first; no claims but a gap where its sources do not speak of it.

    A brief that asks for what a check finds gets that, and no passages.
    """
    if checks := checking.wanted(job.work.brief.objective, job.tools.specs):
        return await checking.check(checks, job.tools)
    earlier = " ".join(item.subtask.objective for item in job.work.inputs if item.result is not None)
    question = understand(job.work.brief.objective, earlier)
    readings: Readings = {}
    found = await _search(question, job.tools)
    more = await _feed_back(question, found, job.tools, readings)
    return await asyncio.to_thread(conclude, question, [*found, *more], readings)


async def _search(question: Question, tools: Tools) -> list[Found]:
    """The question in several formulations. Where the brief's calls are used up, what there is must do."""
    queries = {question.plain: "plain"}
    for wider in (question.expanded, *(part.plain for part in question.parts)):
        queries.setdefault(wider, "wider")
    found: list[Found] = []
    for query, search in queries.items():
        try:
            if query:
                found.append(Found(search, await tools.call("search", query=query, limit=_DEPTH)))
        except Refused:
            if not found:
                raise
            break
    return found


async def _feed_back(question: Question, found: Sequence[Found], tools: Tools, readings: Readings) -> list[Found]:
    """Another search for what the best passages have in common, the first call to learn which of it is rare."""
    terms = await asyncio.to_thread(_candidates, question, found, readings)
    if not terms:
        return []
    try:
        common: SearchResult = await tools.call("search", query=" ".join(terms), limit=1)
        chosen = feedback.distinctive(terms, common.frequencies, common.passages)
        return [Found("feedback", await tools.call("search", query=" ".join([question.plain, *chosen]), limit=_DEPTH))]
    except Refused:
        return []


def _candidates(question: Question, found: Sequence[Found], readings: Readings) -> dict[str, float]:
    pool, lens, _ = _pooled(question, found, readings)
    return dict(feedback.candidates([judged.passage for judged in pool.judged()[: feedback.BEST]], lens))


def conclude(question: Question, found: Sequence[Found], readings: Readings) -> Findings:
    """What the searches have to say to the question, and to each of its parts. ``readings`` remembers passages read before."""
    whole, *parts = (_answer(asked, found, readings) for asked in (question, *question.parts))
    silent = tuple(gap_of(part.question, part.known) for part in parts if not is_answered(part.logit))
    weighed = _weighed(whole, [part for part in parts if is_answered(part.logit)])
    if not any(is_answered(answer.logit) for answer in (whole, *parts)) or weighed[0][0] < LEAST:
        return Findings(gaps=(gap_of(question, whole.known),))
    kept = [(sure, j) for i, (sure, j) in enumerate(weighed) if sure >= (_NEGLIGIBLE if i < _ALWAYS else _WORTH_MORE)]
    claims = [claim_of(judged.passage, whole.lens, sure) for sure, judged in kept]
    return Findings(claims=tuple(claims), gaps=silent)


def _answer(question: Question, found: Sequence[Found], readings: Readings) -> Answer:
    pool, lens, known = _pooled(question, found, readings)
    files = pool.files()
    return Answer(question, lens, answerable(files, lens, known), tuple(files), tuple(pool.judged()), known)


def _pooled(question: Question, found: Sequence[Found], readings: Readings) -> tuple[Pool, Lens, dict[str, int]]:
    known: dict[str, int] = {}
    for item in found:
        known.update(item.result.frequencies)
    lens = Lens.of(question, known, max((item.result.passages for item in found), default=0))
    pool = Pool(lens, question.asked, readings)
    for item in found:
        pool.add(item.result, item.search)
    return pool, lens, known


def _weighed(whole: Answer, parts: Iterable[Answer]) -> list[tuple[float, Judged]]:
    """Passages with their confidence, best first: one of each file, and the best of what else these files say.

    A file that answers a part of the question is as good an answer to the part as it is there, so that a question about two
    things gets both.
    """
    best: dict[str, tuple[float, Judged]] = {}
    for answer in (whole, *parts):
        for judged in answer.files[:_FILES]:
            sure = confidence(answer.logit, judged.share)
            if sure > best.get(judged.passage.source, (0.0, judged))[0]:
                best[judged.passage.source] = (sure, judged)
    files = sorted(best.values(), key=lambda item: -item[0])[:_FILES]
    quoted = [judged.passage for _, judged in files]
    more = [
        (confidence(whole.logit, judged.share), judged)
        for judged in whole.passages
        if judged.passage.source in best and judged.passage not in quoted
    ]
    return sorted([*files, *more[:_MORE]], key=lambda item: -item[0])
