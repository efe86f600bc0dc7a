"""What is said while an attempt is made ready: it is not at work yet, and what it is about to do is of no use any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_worker_hedges import WORK, hedge, superseded
from test_worker_leaving import signal
from test_worker_resuming import Thinking, died
from worker_stage import Gate, Stage, Wire

from concertino.bus.memory import MemoryServer
from concertino.contracts.subjects import Subjects


class Held(Wire):
    """What it writes with ``name`` in its subject is on its way until it is let ``go``."""

    def __init__(self, subjects: Subjects, server: MemoryServer, name: str) -> None:
        super().__init__(subjects, server)
        self.name, self.reached, self.go = name, asyncio.Event(), asyncio.Event()

    async def write_once(self, subject: str, data: bytes, headers: Any = None) -> int | None:
        if self.name in subject:
            self.reached.set()
            await self.go.wait()
        return await super().write_once(subject, data, headers)


@pytest.mark.parametrize("said", [superseded, signal])
async def test_a_hedge_that_is_of_no_use_when_it_is_about_to_begin_does_not(stage: Stage, said: Any) -> None:
    first, second, wire = Gate(), Gate(), Held(stage.subjects, stage.server, ".begun.")
    await stage.replica(first, slots=1)
    work = await stage.submit()
    await first.until_begun()
    await stage.replica(second, wire=wire)
    await hedge(stage, work)
    await wire.reached.wait()
    await said(stage)
    await stage.elapse(0)
    wire.go.set()
    await stage.settled()
    assert (first.interrupted, second.began) == (1, 0)


async def test_a_hedge_whose_worker_leaves_when_it_is_about_to_begin_says_nothing_of_the_first(stage: Stage) -> None:
    first, second, wire = Gate(), Gate(), Held(stage.subjects, stage.server, ".begun.")
    await stage.replica(first, slots=1)
    work = await stage.submit()
    await first.until_begun()
    leaving = await stage.replica(second, wire=wire)
    await hedge(stage, work)
    await wire.reached.wait()
    draining = asyncio.create_task(leaving.drain(grace=3600))
    await stage.elapse(0)
    wire.go.set()
    await draining
    assert [str(fact.name) for fact in await stage.log.read("t1")] == [f"begun.{WORK}.2-1"]
    assert (second.began, await stage.queue()) == (0, (0, 1))


@pytest.mark.parametrize("leaves", [True, False])
async def test_who_takes_over_asks_nothing_where_it_is_told_to_go_before_it_begins(stage: Stage, leaves: bool) -> None:
    lost, other = Thinking(), Thinking()
    wire = Held(stage.subjects, stage.server, ".checkpoint.")
    lost.holds = {2}
    await stage.submit()
    await died(stage, lost, 2)
    runtime = await stage.replica(other, wire=wire)
    await wire.reached.wait()
    told = asyncio.create_task(runtime.drain(grace=3600) if leaves else signal(stage))
    await stage.elapse(0)
    wire.go.set()
    await told
    if leaves:
        then = Thinking()
        await stage.replica(then)
        assert ((await stage.result()).attempts, then.asked) == (2, [2, 3])
    await stage.settled()
    assert other.asked == []
