"""The newest tasks are listed, and no more of the log is held than these."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import pytest

from concertino.bus import topology
from concertino.bus.memory import MemoryBus
from concertino.bus.port import Stored
from concertino.bus.tasklog import TaskLog
from concertino.client import Client
from concertino.contracts.codec import encode
from concertino.contracts.messages import Outcome, OutcomeStatus, Submitted
from concertino.contracts.subjects import Subjects

SUBJECTS = Subjects()
ANSWERED = Outcome(status=OutcomeStatus.ANSWERED, reason="all was done")


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(SUBJECTS)
    await bus.provision(topology.installation(SUBJECTS))
    yield bus
    await bus.close()


async def test_the_newest_come_first_with_what_became_of_them(bus: MemoryBus) -> None:
    log, long = TaskLog(bus, SUBJECTS), "ü" * 90_000
    for number in range(5):
        await log.write(f"t{number}", "submitted", Submitted(request=long if number == 3 else f"What is {number}?"))
    for number in (0, 3):
        await log.write(f"t{number}", "outcome", ANSWERED)
    await bus.write_once(SUBJECTS.fact("t2", "outcome"), b"garbage")
    await bus.write_once(SUBJECTS.fact("t5", "submitted"), b"garbage")
    found = await Client(bus=bus).tasks()
    assert [(one.task, one.status, one.request) for one in found] == [
        ("t5", "running", "(unreadable)"),
        ("t4", "running", "What is 4?"),
        ("t3", "answered", long),
        ("t2", "failed", "What is 2?"),
        ("t1", "running", "What is 1?"),
        ("t0", "answered", "What is 0?"),
    ]
    assert await Client(bus=bus).tasks(most=3) == found[:3]
    assert await Client(bus=bus).tasks(0.0) == []


class Written(MemoryBus):
    """A log with more in it than is held at once: it comes as it is read."""

    log: Sequence[tuple[str, bytes]] = ()

    async def pages(self, stream: str, subjects: str, since: float) -> AsyncIterator[Sequence[Stored]]:
        name = subjects.rpartition(".")[2]
        for first in range(0, 4000, 20):
            yield [
                Stored(SUBJECTS.fact(f"t{n}", name), self.data(name, n), {}, n, time.time()) for n in range(first, first + 20)
            ]

    def data(self, name: str, number: int) -> bytes:
        text = f"{number}" + "x" * 20_000
        return encode(Submitted(request=text) if name == "submitted" else Outcome(status=OutcomeStatus.PARTIAL, reason=text))


async def test_of_a_long_log_only_what_is_listed_is_held() -> None:
    client = Client(bus=Written(SUBJECTS))
    tracemalloc.start()
    try:
        found = await client.tasks(most=10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [(one.task, one.status) for one in found] == [(f"t{n}", "partial") for n in range(3999, 3989, -1)]
    assert peak < 8_000_000, "of 160 MB in the log"


async def test_what_was_written_twice_counts_as_it_was_first(bus: MemoryBus) -> None:
    """As somebody may do who publishes without the header that forbids it."""
    log = TaskLog(bus, SUBJECTS)
    await log.write("t1", "submitted", Submitted(request="What?"))
    await log.write("t1", "outcome", ANSWERED)
    failed = Outcome(status=OutcomeStatus.FAILED, reason="no")
    for name, message in (("submitted", Submitted(request="Else?")), ("outcome", failed)):
        bus.server.stream(SUBJECTS.tasks_stream).append(SUBJECTS.fact("t1", name), encode(message), {}, time.time())
    [one] = await Client(bus=bus).tasks()
    assert (one.status, one.request) == ("answered", "What?")
