"""Asking every question and judging every reply; and the best silence a talkative answerer could have had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from time import perf_counter

from msgspec import Struct

from evals.retrieval.answerer import Answerer, Reply
from evals.retrieval.corpus import Corpus
from evals.retrieval.judge import Verdict, judge, score
from evals.retrieval.questions import Question
from evals.retrieval.text import read_text


class Asked(Struct, frozen=True):
    """A question with what came back. ``seconds`` is the time it took."""

    question: Question
    reply: Reply
    seconds: float


async def ask_all(
    answerer: Answerer, questions: Sequence[Question], corpora: Mapping[str, Corpus], tell: Callable[[str], None]
) -> list[Asked]:
    """Every question in turn; ``tell`` is told before each."""
    for name in dict.fromkeys(q.source for q in questions):
        tell(f"{answerer.name}: preparing {name}")
        await answerer.prepare(corpora[name])
    asked = []
    for number, question in enumerate(questions, 1):
        tell(f"{answerer.name}: {number}/{len(questions)} {question.source}: {question.ask}")
        started = perf_counter()
        reply = await answerer.ask(question.ask, corpora[question.source])
        asked.append(Asked(question, reply, perf_counter() - started))
    return asked


def judge_all(asked: Sequence[Asked], corpora: Mapping[str, Corpus], threshold: float = 0.0) -> list[Verdict]:
    """Replies that score below ``threshold`` are taken as silence."""

    @lru_cache(maxsize=256)
    def read(source: str, path: str) -> str | None:
        return read_text(corpora[source].root / path)

    def verdict(one: Asked) -> Verdict:
        reply = one.reply if one.reply.score >= threshold else Reply((), one.reply.score)
        return judge(one.question, reply, lambda path: read(one.question.source, path), one.seconds)

    return [verdict(one) for one in asked]


def best_threshold(asked: Sequence[Asked], corpora: Mapping[str, Corpus]) -> float:
    """The threshold that serves the most of these very questions rightly: chosen in hindsight, which flatters."""
    thresholds = sorted({0.0, *(one.reply.score for one in asked)})
    return max(thresholds, key=lambda t: (score(judge_all(asked, corpora, t)).right, -t))
