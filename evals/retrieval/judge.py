"""Judging replies against the gold: pure, apart from the files that it is given to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from msgspec import Struct

from evals.retrieval.answerer import Citation, Reply
from evals.retrieval.questions import Group, Question

NEAR = 15
"""Lines around a quote that still count as the passage."""

Read = Callable[[str], str | None]


class Verdict(Struct, frozen=True):
    """One reply, judged. The hits of a question without an answer are all False."""

    question: Question
    silent: bool
    hit1: bool
    hit3: bool
    passage: bool
    quotes: int
    literal: int
    seconds: float
    files: tuple[str, ...]
    """The first three distinct ones."""


class Score(Struct, frozen=True):
    """Counts over all questions. Times are seconds per question."""

    answerable: int
    hit1: int
    hit3: int
    passage: int
    quotes: int
    literal: int
    unanswerable: int
    silent_right: int
    silent_wrong: int
    median_seconds: float
    worst_seconds: float

    @property
    def right(self) -> int:
        """Questions served rightly: the files found where there is an answer, silence where there is none."""
        return self.hit3 + self.silent_right


def judge(question: Question, reply: Reply, read: Read, seconds: float) -> Verdict:
    """``read`` yields the text of a file of the source, None if there is none of that path.

    hit@1 takes a file of either group, hit@3 one of every group among the first three distinct files. A passage hit is one
    of the first three quotes that holds a gold snippet, or has one within 15 lines.
    """
    files = tuple(dict.fromkeys(c.path for c in reply.citations))[:3]
    first = reply.citations[:3]
    return Verdict(
        question=question,
        silent=not reply.citations,
        hit1=any(f in group for f in files[:1] for group in question.answer),
        hit3=bool(question.answer) and all(any(f in group for f in files) for group in question.answer),
        passage=any(_passage(c, group, read) for c in first for group in question.answer),
        quotes=len(reply.citations),
        literal=sum(is_literal(c, read) for c in reply.citations),
        seconds=seconds,
        files=files,
    )


def is_literal(citation: Citation, read: Read) -> bool:
    """Whether the quote stands in the file that it names, at the lines that it names, to the letter."""
    text = read(citation.path)
    if text is None or not citation.quote.strip():
        return False
    if citation.lines is None:
        return citation.quote in text
    first, last = citation.lines
    return 1 <= first <= last and citation.quote in "\n".join(text.split("\n")[first - 1 : last])


def _passage(citation: Citation, group: Group, read: Read) -> bool:
    snippets = group.get(citation.path, ())
    near = citation.quote
    text = read(citation.path)
    if citation.lines is not None and text is not None:
        first, last = citation.lines
        near = "\n".join(text.split("\n")[max(0, first - 1 - NEAR) : last + NEAR])
    return any(snippet in near or snippet in citation.quote for snippet in snippets)


def score(verdicts: Sequence[Verdict]) -> Score:
    answerable = [v for v in verdicts if v.question.answer]
    unanswerable = [v for v in verdicts if not v.question.answer]
    seconds = [v.seconds for v in verdicts]
    return Score(
        answerable=len(answerable),
        hit1=sum(v.hit1 for v in answerable),
        hit3=sum(v.hit3 for v in answerable),
        passage=sum(v.passage for v in answerable),
        quotes=sum(v.quotes for v in verdicts),
        literal=sum(v.literal for v in verdicts),
        unanswerable=len(unanswerable),
        silent_right=sum(v.silent for v in unanswerable),
        silent_wrong=sum(v.silent for v in answerable),
        median_seconds=median(seconds) if seconds else 0.0,
        worst_seconds=max(seconds, default=0.0),
    )
