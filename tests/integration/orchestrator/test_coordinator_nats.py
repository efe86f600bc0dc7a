"""What only the real server shows: volume, and names that it takes and that we do not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from orchestra import good_work, subtask

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.jetstream import JetStream
from concertino.bus.port import Delivery
from concertino.bus.tasklog import TaskLog
from concertino.contracts.codec import decode
from concertino.contracts.messages import Announcement, Outcome, Plan, Submitted
from concertino.contracts.subjects import Header, Subjects
from concertino.orchestrator.coordinator import Coordinator
from concertino.runtime.nats_server import NatsServer
from kit.waiting import until

pytestmark = pytest.mark.nats


@pytest.fixture
async def bus(subjects: Subjects, nats_server: NatsServer) -> AsyncIterator[JetStream]:
    """A connection, with a coordinator on it."""
    bus = await JetStream.connect(nats_server.url, "test", subjects, patience=2.0)
    await bus.provision(topology.installation(subjects))
    Coordinator(bus, subjects, time.time).start()
    yield bus
    await bus.close()


async def test_ids_that_are_none_end_and_no_other_task_is_read_for_them(bus: JetStream, subjects: Subjects) -> None:
    """The server takes `*` and `>` in the subject of a message: reading such a task would read every task."""
    tasks = ["*", ">", "größe", "x" * 80]
    for task in tasks:
        assert await bus.write_once(subjects.fact(task, "submitted"), b'{"request": "What is it?"}')
    found: dict[str, Outcome] = {}

    async def all_ended() -> bool:
        for stored in await bus.read(subjects.tasks_stream, f"{subjects.prefix}.task.>"):
            task, name = subjects.parse_fact(stored.subject)
            if name.type == "outcome":
                found[task] = decode(Outcome, stored.data)
        return set(found) == set(tasks)

    await until(all_ended, "every task has its outcome")
    assert all("is no id" in outcome.reason for outcome in found.values())


async def test_a_plan_of_five_thousand(bus: JetStream, subjects: Subjects) -> None:
    log, delivered = TaskLog(bus, subjects), list[str]()

    async def work(delivery: Delivery) -> None:
        delivered.append(delivery.message.headers[Header.MESSAGE_ID])
        found = await log.work_in(delivery.message)
        await log.write(found.task, found.id, good_work(found))
        await delivery.ack()

    await announce(bus, subjects, Announcement(kind="web", description="scripted", replica="r1"))
    bus.consume(topology.work(subjects, "web", "interactive"), work, 256)
    many = Plan(subtasks=tuple(subtask(f"s{i}") for i in range(5000)), synthesize=False)

    assert await log.write("t", "submitted", Submitted(request="What is it?", plan=many))

    async def outcome() -> bool:
        return await log.read_one("t", "outcome") is not None

    await until(outcome, "the outcome", seconds=60)
    fact = await log.read_one("t", "outcome")
    assert fact
    assert isinstance(fact.message, Outcome)
    assert (fact.message.status, fact.message.reason) == ("answered", "5000 subtasks done")
    assert len(delivered) == len(set(delivered)) == 5000
    waves = await bus.read(subjects.tasks_stream, subjects.fact("t", "dispatched.*"))
    assert len(waves) == 1
