"""What a handler does is part of the trace of its task, in a process that records nothing."""

from __future__ import annotations

import asyncio

import pytest

from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.tasklog import TaskLog
from concertino.client import Client, Plan, Subtask
from concertino.contracts.messages import Submitted
from concertino.contracts.trace import Trace
from concertino.model.extractive import Extractive
from concertino.runtime.settings import Settings
from concertino.telemetry import tracing
from concertino.worker import Context, Worker
from kit.team import Team

THERE = Trace("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "vendor=1")


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_task_that_a_handler_submits_goes_on_in_its_trace(threaded: bool) -> None:
    settings, server = Settings(), MemoryServer()
    asker = Worker("asker", "Asks on. For tests.")

    async def ask(context: Context) -> None:
        client = Client(config=settings, bus=MemoryBus(settings.subjects, server=server))
        await client.submit("the second", task=f"after-{context.work.task}")

    async def awaits(brief: Subtask, context: Context) -> None:
        await ask(context)

    def computes(brief: Subtask, context: Context) -> None:
        asyncio.run_coroutine_threadsafe(ask(context), loop).result()

    loop = asyncio.get_running_loop()
    asker.handle(computes if threaded else awaits)

    async def connect() -> MemoryBus:
        return MemoryBus(settings.subjects, server=server)

    async with Team(connect, settings, [asker], lambda _: Extractive()) as client:
        plan = Plan(subtasks=(Subtask(id="s1", kind="asker", objective="ask on"),), synthesize=False)
        with tracing.carrying(THERE):
            assert await TaskLog(await connect(), settings.subjects).write("t1", "submitted", Submitted(request="?", plan=plan))
        assert (await client.wait("t1", 20)).status == "answered"
        assert (await client.state("after-t1")).trace == THERE
    assert not tracing.here()
