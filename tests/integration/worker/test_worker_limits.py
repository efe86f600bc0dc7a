"""Work that a provider's rate limit holds up: it is handed back, and neither counts nor looks slow for it."""

from __future__ import annotations

import asyncio

from worker_stage import KIND, Stage

from concertino.contracts.errors import RateLimited
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Begun, Finding, Result, ResultStatus, Returned, Spent, Subtask
from concertino.runtime.settings import Settings
from concertino.telemetry import metrics
from concertino.worker import Context
from kit.waiting import until


class Limited:
    """A handler whose model may not be asked for so many ``times``."""

    def __init__(self, times: int, after: float = 10.0) -> None:
        self._times, self._after = times, after
        self.attempts: list[bool] = []

    async def __call__(self, brief: Subtask, context: Context) -> list[Finding]:
        self.attempts.append(context.last_attempt)
        if len(self.attempts) <= self._times:
            raise RateLimited("the API limits the rate", after=self._after)
        return [Finding(claim="done")]


async def facts(stage: Stage, type_: type) -> list[Fact]:
    return [fact for fact in await stage.log.read("t1") if isinstance(fact.message, type_)]


async def test_it_comes_back_after_the_time_that_the_provider_asks_and_no_attempt_is_counted(stage: Stage) -> None:
    handler = Limited(times=7, after=3.0)
    await stage.replica(handler, settings=Settings(attempts=2))
    await stage.submit()
    await until(lambda: _returned(stage, 1))
    await stage.elapse(2.9)
    assert len(handler.attempts) == 1
    await stage.elapse(3.3)  # up to as long again is left to chance; twice that is less than a lease
    await until(lambda: len(handler.attempts) > 1)
    while len(handler.attempts) <= 7:
        begun = len(handler.attempts)
        await until(lambda begun=begun: _returned(stage, begun))  # type: ignore[misc]
        await stage.elapse(6.2)
        await until(lambda begun=begun: len(handler.attempts) > begun)  # type: ignore[misc]
    result = await stage.result()
    assert isinstance(result, Result)
    assert (result.status, result.attempts) == (ResultStatus.COMPLETE, 1)
    assert not any(handler.attempts)
    assert await _returned(stage, 7)
    assert {fact.message.why for fact in await facts(stage, Spent)} == {"the API limits the rate"}  # type: ignore[attr-defined]
    await stage.settled()


async def _returned(stage: Stage, times: int) -> bool:
    return len(await facts(stage, Returned)) >= times


async def test_where_that_is_too_late_it_fails_and_says_why(stage: Stage) -> None:
    await stage.replica(Limited(times=9, after=10.0))
    await stage.submit(deadline=8)
    result = await stage.result()
    assert result.error is not None
    assert (result.error.code, result.error.message) == ("rate_limited", "the API limits the rate")
    await stage.settled()


async def test_what_it_waits_in_its_place_is_no_time_of_work(stage: Stage) -> None:
    """Neither in its result, from which is learned what is slow, nor in the word that it is at work."""
    waiting, go = asyncio.Event(), asyncio.Event()

    async def patient(brief: Subtask, context: Context) -> None:
        context.waits.begin()
        waiting.set()
        await go.wait()
        context.waits.end()

    before = metrics.WORK_SECONDS.labels(KIND, "complete")._sum.get()
    await stage.replica(patient, told_after=0.05)
    await stage.submit()
    await waiting.wait()
    await asyncio.sleep(0.3)
    assert not await facts(stage, Begun)
    go.set()
    assert (await stage.result()).seconds < 0.2
    assert metrics.WORK_SECONDS.labels(KIND, "complete")._sum.get() - before < 0.2
