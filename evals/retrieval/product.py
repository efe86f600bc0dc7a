"""Concertino itself, through its command line: the task goes over NATS to services that run as processes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
from evals.retrieval.answerer import Citation, Reply
from evals.retrieval.corpus import Corpus
from msgspec import Struct

from concertino.contracts.errors import InvalidMessage, Transient

ANSWERED, PARTIAL = 0, 3
"""The exit statuses that come with a report."""


class _Locator(Struct, frozen=True):
    lines: tuple[int, int] | None = None


class _Citation(Struct, frozen=True):
    source: str
    quote: str
    locator: _Locator = _Locator()


class _Report(Struct, frozen=True):
    citations: tuple[_Citation, ...] = ()


class _Outcome(Struct, frozen=True):
    """The part of ``concertino ask --json`` that is judged."""

    status: str
    reason: str = ""
    report: _Report | None = None


class Product:
    """``nats`` is the bus of a running ``concertino up``; without it each question brings everything up and down again."""

    name = "Concertino"

    def __init__(self, nats: str | None = None) -> None:
        self._bus = ("--nats", nats) if nats else ()

    async def prepare(self, corpus: Corpus) -> None:
        """The index of a source is made by the first question about it, and its time counts."""

    async def ask(self, question: str, corpus: Corpus) -> Reply:
        command = Path(sys.executable).with_name("concertino")
        asking = await asyncio.create_subprocess_exec(
            *(command, "ask", question, f"--{corpus.kind}", corpus.root, "--json", *self._bus),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asking.communicate()
        if asking.returncode not in (ANSWERED, PARTIAL):
            last = (err or out).decode(errors="replace").strip().splitlines()[-1:]
            raise Transient(f"`concertino ask` ended with {asking.returncode}: {' '.join(last) or 'it says no reason'}")
        return reply(out)


def reply(printed: bytes) -> Reply:
    """What ``--json`` printed, in the terms of the judge."""
    try:
        outcome = msgspec.json.decode(printed, type=_Outcome)
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise InvalidMessage(f"`concertino ask --json` does not print what it promises: {e}") from e
    if outcome.report is None:
        raise Transient(f"the task ended without a report, {outcome.status}: {outcome.reason}")
    return Reply(tuple(Citation(c.source, c.quote, c.locator.lines) for c in outcome.report.citations))
