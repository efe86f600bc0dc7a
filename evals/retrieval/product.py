"""Concertino itself: the task goes over NATS, through the client, to services that run as processes."""

from __future__ import annotations

from concertino.client import Client
from concertino.contracts.errors import Transient
from concertino.contracts.messages import Source
from concertino.contracts.view import TaskView
from evals.retrieval.answerer import Citation, Reply
from evals.retrieval.corpus import Corpus


class Product:
    """``client`` is connected to a bus with services."""

    name = "Concertino"

    def __init__(self, client: Client) -> None:
        self._client = client

    async def prepare(self, corpus: Corpus) -> None:
        """Nothing: the first question about a source has it indexed, and that time counts."""

    async def ask(self, question: str, corpus: Corpus) -> Reply:
        return reply(await ask(self._client, question, (Source(kind=corpus.kind, location=str(corpus.root)),)))


async def ask(client: Client, question: str, sources: tuple[Source, ...]) -> TaskView:
    """A task from submission to outcome. Raises :class:`Transient` where it ends without a report."""
    view = await client.ask(question, sources=sources)
    if view.report is None:
        raise Transient(f"task {view.task} ended {view.status} without a report: {view.reason}")
    return view


def reply(view: TaskView) -> Reply:
    """The citations of a report, in its order, in the terms of the judge."""
    assert view.report is not None
    return Reply(tuple(Citation(c.source, c.quote, c.locator.lines) for c in view.report.citations))
