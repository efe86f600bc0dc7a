"""Work that runs out of time says what it was at, and what had kept it."""

from __future__ import annotations

import asyncio

import pytest

from concertino.bus.memory import MemoryBus
from concertino.contracts.messages import Settled, Subtask, Work
from concertino.model.extractive import Extractive
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.job import Job
from concertino.worker.middleware.deadline import TooLate, deadline

NOW = 1_000.0


@pytest.mark.parametrize(
    ("doing", "setback", "told"),
    [
        ("", "", ""),
        ("search: ports", "", ", while this went on: search: ports"),
        (
            "search: ports",
            "the API fails (HTTP 502)",
            ", while this went on: search: ports; before that, the API fails (HTTP 502)",
        ),
    ],
)
async def test_it_says_what_it_was_at_and_what_had_kept_it(doing: str, setback: str, told: str) -> None:
    async def say(_: str, __: str) -> None:
        return None

    work = Work(
        task="t1",
        id="result.s1",
        attempt=1,
        request="?",
        brief=Subtask(id="s1", kind="docs", objective="?"),
        deadline=NOW + 0.01,
    )
    context = Context(work, bus=MemoryBus(), model=Extractive(), settings=Settings(), say=say)

    async def never(_: Job) -> Settled:
        context.doing, context.setback = doing, setback
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(TooLate) as raised:
        await deadline(lambda: NOW)(Job(work, 1, context, "r1"), never)
    assert str(raised.value) == f"its time was up before it was done{told}"


@pytest.mark.parametrize("apart", [False, True])
async def test_it_ends_what_runs_and_not_who_waits_for_that(apart: bool) -> None:
    """A middleware around it may run what is inside of it in a task of its own, as ``asyncio.wait_for`` does."""

    async def say(_: str, __: str) -> None:
        return None

    brief = Subtask(id="s1", kind="docs", objective="?")
    work = Work(task="t1", id="result.s1", attempt=1, request="?", brief=brief, deadline=NOW + 0.01)
    job = Job(work, 1, Context(work, bus=MemoryBus(), model=Extractive(), settings=Settings(), say=say), "r1")
    middleware = deadline(lambda: NOW)

    async def never(_: Job) -> Settled:
        await asyncio.Event().wait()
        raise AssertionError

    async def around() -> Settled:
        inside = middleware(job, never)
        return await (asyncio.wait_for(inside, 60) if apart else inside)

    job.running = asyncio.create_task(around())
    with pytest.raises(TooLate):
        await job.running
