"""A replica that lags has not seen yet what the server says is there: that is no other task, and no answer either."""

from __future__ import annotations

import pytest

from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Stored
from concertino.bus.topology import installation
from concertino.client import Client
from concertino.contracts.errors import BusUnavailable, TaskExists
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import Settings


class Lagging(MemoryBus):
    """Reads nothing the first ``times`` times."""

    def __init__(self, subjects: Subjects, server: MemoryServer, times: int) -> None:
        super().__init__(subjects, server=server)
        self.times = times

    async def last(self, stream: str, subjects: str) -> list[Stored]:
        self.times -= 1
        return [] if self.times >= 0 else await super().last(stream, subjects)


async def client(subjects: Subjects, times: int) -> Client:
    bus = Lagging(subjects, MemoryServer(), 0)
    await bus.provision(installation(subjects))
    made = Client(config=Settings(prefix=subjects.prefix), bus=bus)
    await made.submit("Is it there?", task="t1")
    bus.times = times
    return made


async def test_the_same_task_again_is_harmless_before_every_replica_has_it(subjects: Subjects) -> None:
    assert await (await client(subjects, 2)).submit("Is it there?", task="t1") == "t1"


async def test_another_task_is_told_from_it_all_the_same(subjects: Subjects) -> None:
    with pytest.raises(TaskExists):
        await (await client(subjects, 2)).submit("Is another there?", task="t1")


async def test_where_nobody_has_it_yet_the_caller_is_to_try_again(subjects: Subjects) -> None:
    with pytest.raises(BusUnavailable, match="try again"):
        await (await client(subjects, 99)).submit("Is it there?", task="t1")
