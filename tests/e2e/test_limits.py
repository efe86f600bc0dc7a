"""Several processes of a worker, and a provider that limits the rate for all of them together."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from concertino.bus import topology
from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.contracts.messages import Result, ResultStatus, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.testing import Asked, Limits, MessagesApi, Say
from kit import script
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

WORKER = Path(__file__).parent.parent / "kit" / "asks.py"
PROCESSES, AT_ONCE = 3, 10
A_SECOND, AT_FIRST = 5, 15
PIECES = 90
PATIENCE = 200.0


@asynccontextmanager
async def replicas(environment: dict[str, str], *arguments: str) -> AsyncIterator[None]:
    made = [
        await asyncio.create_subprocess_exec(sys.executable, str(WORKER), *arguments, env={**os.environ, **environment})
        for _ in range(PROCESSES)
    ]
    try:
        yield
    finally:
        for process in made:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def answer(_: Asked) -> Say:
    await asyncio.sleep(0.2)
    return script.findings(gaps=["nothing"])


async def ran(api: MessagesApi, server: NatsServer, subjects: Subjects, *arguments: str) -> tuple[list[Result], float]:
    """All pieces of work done by all processes at once: their results, and the seconds from the first answer to the last."""
    times: list[float] = []

    async def timed(asked: Asked) -> Say:
        said = await answer(asked)
        times.append(time.monotonic())
        return said

    api.on("", every=timed)
    bus = await JetStream.connect(server.url, "test", subjects)
    log = TaskLog(bus, subjects)
    try:
        await bus.provision(topology.installation(subjects))
        await bus.provision(topology.queues(subjects, ["asks"]))
        for number in range(PIECES):
            brief = Subtask(id=f"s{number}", kind="asks", objective="Answer.")
            work = Work(task="t", id=brief.work_id, attempt=1, request="?", brief=brief, deadline=time.time() + PATIENCE)
            await log.enqueue("interactive", work)
        environment = {"CTN_NATS_URL": server.url, "CTN_PREFIX": subjects.prefix, "CTN_PORT": "0", **api.environment()}
        async with replicas(environment, *arguments):
            await until(lambda: _done(log), "all is done", PATIENCE)
        return [fact.message for fact in await log.read("t") if isinstance(fact.message, Result)], times[-1] - times[0]
    finally:
        await bus.close()


async def _done(log: TaskLog) -> bool:
    await asyncio.sleep(0.2)
    return sum(isinstance(fact.message, Result) for fact in await log.read("t")) == PIECES


async def test_all_together_come_near_the_limit_and_are_hardly_ever_refused(
    nats_server: NatsServer, subjects: Subjects
) -> None:
    async with MessagesApi(limits=Limits(requests=60 * A_SECOND, filled=AT_FIRST / (60 * A_SECOND))) as api:
        results, seconds = await ran(api, nats_server, subjects)
        refused = len(api.limited)
    assert {(result.status, result.attempts) for result in results} == {(ResultStatus.COMPLETE, 1)}
    assert refused <= 0.1 * PIECES
    assert seconds < 2 * (PIECES - AT_FIRST) / A_SECOND
    print(f"refused={refused} seconds={seconds:.1f}")


async def test_each_alone_would_be_a_storm(nats_server: NatsServer, subjects: Subjects) -> None:
    """What the test above is worth: the same, without a common limit."""
    async with MessagesApi(limits=Limits(requests=60 * A_SECOND, filled=AT_FIRST / (60 * A_SECOND))) as api:
        _, seconds = await ran(api, nats_server, subjects, "--alone")
        refused = len(api.limited)
    print(f"refused={refused} seconds={seconds:.1f}")
    assert refused > 0.5 * PIECES
