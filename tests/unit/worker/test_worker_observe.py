"""What is under way in a process is told while it is, whichever replica of a kind does it."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from concertino.bus.memory import MemoryBus
from concertino.contracts.messages import Result, Settled, Subtask, Work
from concertino.model.extractive import Extractive
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.job import Job
from concertino.worker.middleware.observe import observe

KIND = "observed"


def in_flight() -> float | None:
    return REGISTRY.get_sample_value("concertino_in_flight", {"kind": KIND})


def job() -> Job:
    async def say(_: str, __: str) -> None:
        return None

    brief = Subtask(id="s1", kind=KIND, objective="?")
    work = Work(task="t1", id=brief.work_id, attempt=1, request="?", brief=brief, deadline=time.time() + 600)
    context = Context(work, bus=MemoryBus(), model=Extractive(), settings=Settings(), say=say)
    return Job(work, 1, context, "r1", "interactive")


async def test_what_is_under_way_is_the_sum_of_all_replicas_and_nothing_once_they_have_ended() -> None:
    one, other = (observe(KIND, time.time, time.monotonic) for _ in range(2))
    assert in_flight() == 0
    end = asyncio.Event()

    async def work(_: Job) -> Settled:
        await end.wait()
        return Result()

    async def fail(_: Job) -> Settled:
        await end.wait()
        raise ValueError

    tasks = [asyncio.create_task(one(job(), work)), asyncio.create_task(other(job(), fail))]
    await asyncio.sleep(0)
    assert in_flight() == 2
    end.set()
    await tasks[0]
    with pytest.raises(ValueError):
        await tasks[1]
    assert in_flight() == 0
