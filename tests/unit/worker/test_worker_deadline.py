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
