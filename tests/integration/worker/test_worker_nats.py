"""The same promises where they count: replicas with connections of their own to the real server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from worker_stage import KIND, Gate

from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.contracts.codec import encode
from concertino.contracts.messages import Announcement, Settled, Signal, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.model.extractive import Extractive
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from concertino.worker.runtime import Runtime
from kit.waiting import until
from kit.worlds import NatsWorld, provisioned

pytestmark = pytest.mark.nats


class Place:
    def __init__(self, world: NatsWorld, bus: Bus) -> None:
        self.world, self.bus, self.log = world, bus, TaskLog(bus, world.subjects)

    async def replica(self, name: str, handler: Any, **settings: Any) -> Runtime:
        runtime = Runtime(
            Announcement(kind=KIND, description="Echoes.", replica=name, slots=2),
            handler,
            bus=await self.world.connect(),
            model=Extractive(),
            settings=Settings(prefix=self.world.subjects.prefix, **settings),
        )
        await runtime.start()
        return runtime

    async def submit(self) -> None:
        brief = Subtask(id="s1", kind=KIND, objective="say it")
        work = Work(task="t1", id="result.echo.s1", attempt=1, request="say it", brief=brief, deadline=time.time() + 60)
        await self.log.enqueue("interactive", work)

    async def result(self) -> Settled:
        fact = None

        async def there() -> bool:
            nonlocal fact
            fact = await self.log.read_one("t1", "result.echo.s1")
            return fact is not None

        await until(there, "a result")
        assert fact is not None
        assert isinstance(fact.message, Settled)
        return fact.message


@pytest.fixture
async def place(nats_server: NatsServer, subjects: Subjects) -> AsyncIterator[Place]:
    world = NatsWorld(subjects, nats_server.url)
    yield Place(world, await provisioned(world))
    for client in world.clients:
        await client.close()


async def test_a_replica_that_leaves_hands_back_what_another_does(place: Place) -> None:
    slow, other = Gate(), Gate()
    other.open.set()
    leaving = await place.replica("r1", slow)
    await place.submit()
    await slow.until_begun()
    staying = await place.replica("r2", other)
    await leaving.drain(grace=0)
    result = await place.result()
    assert (result.worker, result.attempts, slow.interrupted) == ("r2", 1, 1)
    await staying.drain(grace=0)


async def test_a_lease_is_kept_for_longer_than_it_is(place: Place) -> None:
    first, other = Gate(), Gate()
    runtime = await place.replica("r1", first, lease=1.5)
    await place.submit()
    await first.until_begun()
    idle = await place.replica("r2", other, lease=1.5)
    began = time.monotonic()
    await until(lambda: time.monotonic() - began > 3.5, "more than two leases")
    first.open.set()
    result = await place.result()
    assert (result.worker, result.attempts, other.began) == ("r1", 1, 0)
    await runtime.drain(grace=1)
    await idle.drain(grace=0)


async def test_a_signal_stops_what_runs(place: Place) -> None:
    gate = Gate()
    runtime = await place.replica("r1", gate)
    await place.submit()
    await gate.until_begun()
    await place.bus.publish(place.world.subjects.signal("t1"), encode(Signal(reason="enough")))
    await until(lambda: gate.interrupted == 1)
    await runtime.drain(grace=1)
    assert await place.log.read_one("t1", "result.echo.s1") is None
