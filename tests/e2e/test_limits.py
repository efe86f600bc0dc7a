"""Several processes of a worker, and a provider that limits the rate for all of them together."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from concertino.bus import topology
from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.contracts.codec import decode
from concertino.contracts.messages import Result, ResultStatus, Subtask, Work
from concertino.contracts.rates import Rates
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.testing import Asked, Fault, Limits, MessagesApi, Say
from kit import script
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

WORKER = Path(__file__).parent.parent / "kit" / "asks.py"
PROCESSES, AT_ONCE = 3, 10
A_SECOND, AT_FIRST = 5, 15
PIECES = 90
PATIENCE = 200.0
LEASE, SHORT_LEASE = 15.0, 4.0


class Replicas:
    """Processes of the worker."""

    def __init__(self, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
        self._environment, self._arguments = {**os.environ, **environment}, arguments
        self._processes: list[asyncio.subprocess.Process] = []

    async def begin(self) -> None:
        command = (sys.executable, str(WORKER), *self._arguments)
        self._processes.append(await asyncio.create_subprocess_exec(*command, env=self._environment))

    async def kill(self) -> None:
        """The oldest of them."""
        process = self._processes.pop(0)
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def end(self) -> None:
        while self._processes:
            await self.kill()


@asynccontextmanager
async def replicas(environment: dict[str, str], *arguments: str) -> AsyncIterator[Replicas]:
    made = Replicas(environment, arguments)
    try:
        for _ in range(PROCESSES):
            await made.begin()
        yield made
    finally:
        await made.end()


async def answer(_: Asked) -> Say:
    await asyncio.sleep(0.2)
    return script.findings(gaps=["nothing"])


async def ran(
    api: MessagesApi,
    server: NatsServer,
    subjects: Subjects,
    *arguments: str,
    kills: tuple[int, ...] = (),
    overloaded: Callable[[int], bool] = lambda _: False,
) -> tuple[list[Result], float]:
    """All pieces of work done by all processes at once: their results, and the seconds from the first answer to the last. A
    process is killed, and another begun, after each number of answers in ``kills``; for its n-th call it is ``overloaded``.
    """
    times: list[float] = []
    calls, lease = itertools.count(1), SHORT_LEASE if kills else LEASE

    async def timed(asked: Asked) -> Say | Fault:
        if overloaded(next(calls)):
            return Fault(529)
        said = await answer(asked)
        times.append(time.monotonic())
        return said

    api.on("", every=timed)
    bus = await JetStream.connect(server.url, "test", subjects)
    log = TaskLog(bus, subjects)
    try:
        await bus.provision(topology.installation(subjects))
        await bus.provision(topology.queues(subjects, ["asks"], lease))
        for number in range(PIECES):
            brief = Subtask(id=f"s{number}", kind="asks", objective="Answer.")
            work = Work(task="t", id=brief.work_id, attempt=1, request="?", brief=brief, deadline=time.time() + PATIENCE)
            await log.enqueue("interactive", work)
        environment = {
            "CTN_NATS_URL": server.url,
            "CTN_PREFIX": subjects.prefix,
            "CTN_PORT": "0",
            "CTN_LEASE": str(lease),
            "CTN_ATTEMPTS": str(len(kills) + 3),
            **api.environment(),
        }
        async with replicas(environment, *arguments) as made:
            for number in kills:
                await until(lambda number=number: len(times) >= number, f"{number} are answered", PATIENCE)  # type: ignore[misc]
                await made.kill()
                await made.begin()
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


async def test_a_usual_day_stops_nobody_refusals_here_and_there_and_workers_that_die(
    nats_server: NatsServer, subjects: Subjects
) -> None:
    async with MessagesApi(limits=Limits(requests=60 * A_SECOND, filled=AT_FIRST / (60 * A_SECOND))) as api:
        results, seconds = await ran(
            api, nats_server, subjects, kills=(20, 40, 60), overloaded=lambda number: number % 20 == 10
        )
        refused = len(api.limited)
    bus = await JetStream.connect(nats_server.url, "test", subjects)
    (key,) = await bus.keys(subjects.rates_bucket)
    known = decode(Rates, (await bus.get_key(subjects.rates_bucket, key)).value or b"")
    await bus.close()
    print(f"refused={refused} stops={known.stops} seconds={seconds:.1f}")
    assert {result.status for result in results} == {ResultStatus.COMPLETE}
    assert refused <= 0.3 * PIECES
    assert known.stops <= refused  # no 529 stopped anybody


async def test_each_alone_would_be_a_storm(nats_server: NatsServer, subjects: Subjects) -> None:
    """What the test above is worth: the same, without a common limit."""
    async with MessagesApi(limits=Limits(requests=60 * A_SECOND, filled=AT_FIRST / (60 * A_SECOND))) as api:
        _, seconds = await ran(api, nats_server, subjects, "--alone")
        refused = len(api.limited)
    print(f"refused={refused} seconds={seconds:.1f}")
    assert refused > 0.5 * PIECES
