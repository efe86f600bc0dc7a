"""The heart of the product without the bus: a worker's tools and the extractive model, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from concertino.code.code import Code
from concertino.contracts.messages import Passage, Source, Subtask, Work
from concertino.docs.tools import Docs
from concertino.model.extractive.research import research
from concertino.model.port import Claim, Research
from concertino.worker.tools import Toolbox
from evals.retrieval.answerer import Citation, Reply
from evals.retrieval.corpus import Corpus


class Direct:
    """Sources are opened once and stay open, so seconds are those of research alone. Made by :func:`direct`."""

    name = "Concertino, direct"

    def __init__(self, cache: Path, closing: AsyncExitStack) -> None:
        self._cache = cache
        self._closing = closing
        self._opened: dict[str, Code | Docs] = {}

    async def prepare(self, corpus: Corpus) -> None:
        sources = (_source(corpus),)
        opened = await (Code if corpus.kind == "code" else Docs).open(sources, self._cache)
        self._closing.push_async_callback(opened.close)
        self._opened[corpus.name] = opened

    async def ask(self, question: str, corpus: Corpus) -> Reply:
        seen: list[Passage] = []
        tools = Toolbox(on_seen=seen.append)
        tools.add(*self._opened[corpus.name].tools())
        brief = Subtask(id="s1", kind=corpus.kind, objective=question)
        work = Work(
            task="eval", id="result.docs.s1", attempt=1, request=question, brief=brief, sources=(_source(corpus),), deadline=0.0
        )
        findings = await research(Research(work, tools))
        return Reply(tuple(_citations(findings.claims, seen)))


@asynccontextmanager
async def direct(cache: Path) -> AsyncIterator[Direct]:
    """``cache`` is where the workers keep their indexes. All that was opened is closed at the end."""
    async with AsyncExitStack() as closing:
        yield Direct(cache, closing)


def _source(corpus: Corpus) -> Source:
    return Source(kind=corpus.kind, location=str(corpus.root))


def _citations(claims: Iterable[Claim], seen: Sequence[Passage]) -> Iterator[Citation]:
    """The quotes in order, with the lines at which they stand in what the tools returned."""
    for quote in (q for claim in claims for q in claim.quotes):
        text = quote.text.strip("\n")
        passage = next((p for p in seen if p.source == quote.source and text in p.text), None)
        lines = passage.locator.lines if passage else None
        if passage and lines:
            first = lines[0] + passage.text[: passage.text.index(text)].count("\n")
            lines = (first, first + text.count("\n"))
        yield Citation(quote.source, text, lines)
