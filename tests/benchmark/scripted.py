"""A model API in a process of its own: what is measured beside it is not what it takes itself."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeAlias

from tests.kit import script

from concertino.testing import MessagesApi, Tool

Rules: TypeAlias = Callable[[MessagesApi], None]
"""Tells the API what to answer. It is called in the API's own process, so it has to be known by its name."""


def quickly(api: MessagesApi) -> None:
    """What it says to each question: two workers, four calls of tools each, a finding, a report."""
    briefs = (script.brief(kind, kind, f"What {kind} says", sources=str(n)) for n, kind in enumerate(("docs", "code"), start=1))
    api.on(script.of("plan"), every=script.split(*briefs))
    words = ("lease of a worker", "citation checked", "cost of a task", "settings")
    searches = [Tool("search", query=query) for query in words]
    found = script.findings(script.claim("A fact is written once.", ("concepts.md", "the first one counts")))
    nothing = script.findings(gaps=["What the code says about it."])
    api.on(script.researching("What docs says"), every=script.works(*searches, then=found))
    api.on(script.of("research"), every=script.works(*searches, then=nothing))
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


async def _serve(told: Connection, rules: Rules) -> None:
    async with MessagesApi() as api:
        rules(api)
        told.send(json.dumps(api.environment()))
        await asyncio.to_thread(told.recv)  # until the other end is closed


def _process(told: Connection, rules: Rules) -> None:
    try:
        asyncio.run(_serve(told, rules))
    except (EOFError, KeyboardInterrupt):
        return


class Api:
    """``with Api(rules) as api``: its address and key are in ``environment``."""

    MATERIAL: ClassVar[Path] = Path(__file__).parents[2]

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._running = context.Process(target=_process, args=(theirs, self._rules), daemon=True)
        self._running.start()
        theirs.close()
        self.environment: dict[str, str] = json.loads(self._line.recv())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._line.close()
        self._running.join(5)
        self._running.kill()
