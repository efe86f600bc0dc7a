"""Where the model fails for good, a worker brings what can be quoted without it, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.contracts.errors import (
    ConcertinoError,
    DeadlineExceeded,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    Unusable,
)
from concertino.contracts.messages import Locator, Passage, Subtask, Usage, Work
from concertino.contracts.subjects import Subjects
from concertino.model.extractive import Extractive
from concertino.model.port import Answer, Call, Findings, Research
from concertino.retrieval.search import Hit, SearchResult
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.quoting import ANOTHER_TRY

LINE = "The relay waits thirty seconds before each retry."


class Failing(Extractive):
    """Spends a call, looks once, and fails."""

    name = "failing"

    def __init__(self, error: ConcertinoError) -> None:
        self._error = error

    async def research(self, job: Research) -> Answer[Findings]:
        job.hooks.on_call(Call("failing", Usage(model_calls=1), 1.0, self._error.code))
        if any(spec.name == "search" for spec in job.tools.specs):
            await job.tools.call("search", query="relay waits retry")
        raise self._error


async def search(query: str, limit: int = 20) -> SearchResult:
    """Find passages."""
    passage = Passage(source="relay.md", text=LINE, locator=Locator(lines=(1, 1)))
    words = dict.fromkeys(query.split(), 1)
    return SearchResult(hits=(Hit(passage=passage, score=1.0),), frequencies=words, passages=1)


NOW = 1_000.0


async def context(error: ConcertinoError, *tools: Any, last: bool = False, left: float = 1e12, **brief: Any) -> Context:
    asked = Subtask(id="s1", kind="docs", objective="How long does the relay wait before a retry?", **brief)
    work = Work(task="t1", id="result.s1", attempt=1, request="?", brief=asked, deadline=NOW + left)
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))

    async def say(_: str, __: str) -> None:
        return None

    made = Context(work, bus=bus, model=Failing(error), settings=Settings(), say=say, last_attempt=last, clock=lambda: NOW)
    made.tools.add(*tools)
    return made


@pytest.mark.parametrize(("left", "waits"), [(ANOTHER_TRY + 10, True), (ANOTHER_TRY + 60, False)])
async def test_a_rate_limit_is_waited_for_where_it_is_too_late_to_come_again(left: float, waits: bool) -> None:
    limiter = (await context(ModelRejected("unasked"), left=left)).hooks.limiter
    assert limiter is not None
    await limiter.turn("m", "work", 1, 1, None).failed(429, 20.0, {}, NOW)
    wait = await limiter.turn("m", "work", 1, 1, None).take(NOW)
    assert wait is not None
    assert wait.booked == waits


@pytest.mark.parametrize("error", [ModelRejected("no key"), ModelRefused("no"), Unusable("cut off"), DeadlineExceeded("late")])
async def test_what_fails_for_good_is_done_without(error: ConcertinoError) -> None:
    made = await context(error, search)
    answer = await made.research()
    assert answer.shortfall is not None
    assert (answer.shortfall.code, answer.shortfall.retryable) == (error.code, False)
    assert answer.shortfall.message == f"quoted, as no model read it: {error}"
    assert answer.model == "failing+extractive"
    assert answer.prompt.startswith("research-")
    assert [claim.quotes[0].text for claim in answer.value.claims] == [LINE]


async def test_what_passes_is_waited_for_until_the_last_attempt() -> None:
    away = ModelUnavailable("away")
    with pytest.raises(ModelUnavailable):
        await (await context(away, search)).research()
    answer = await (await context(away, search, last=True)).research()
    assert answer.shortfall is not None
    assert answer.value.claims


async def test_what_would_be_back_too_late_is_done_without_at_once() -> None:
    answer = await (await context(ModelUnavailable("away", after=1e12), search)).research()
    assert answer.value.claims
    with pytest.raises(ModelUnavailable):
        await (await context(ModelUnavailable("away", after=70.0), search)).research()


async def test_where_there_is_no_time_for_another_attempt_what_passes_is_done_without() -> None:
    away = ModelUnavailable("away")
    made = await context(away, search, left=ANOTHER_TRY - 1)
    answer = await made.research()
    assert [claim.quotes[0].text for claim in answer.value.claims] == [LINE]
    assert made.setback == "away"
    with pytest.raises(ModelUnavailable):
        await (await context(away, search, left=ANOTHER_TRY + 1)).research()


async def test_where_nothing_can_be_searched_the_failure_stands() -> None:
    with pytest.raises(ModelRefused, match="no"):
        await (await context(ModelRefused("no"))).research()


async def test_where_no_calls_are_left_the_failure_stands() -> None:
    with pytest.raises(Unusable, match="cut off"):
        await (await context(Unusable("cut off"), search, max_calls=1)).research()
