"""Many facts, many writers, many provisioners."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import nats
import pytest

from concertino.bus import calls
from concertino.bus.jetstream import JetStream
from concertino.bus.topology import Consumer, Stream, Topology, coordinator, installation, queues, work
from concertino.contracts.errors import Refused
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from kit.inbox import Deliveries, ack

pytestmark = pytest.mark.nats


@pytest.fixture
async def bus(nats_server: NatsServer, subjects: Subjects) -> JetStream:
    bus = await JetStream.connect(nats_server.url, "test", subjects)
    await bus.provision(installation(subjects))
    return bus


async def test_a_thousand_facts_written_at_once_are_all_there(bus: JetStream, subjects: Subjects) -> None:
    sequences = await asyncio.gather(*(bus.write_once(subjects.fact("a", f"result.web.s{i}"), b"x") for i in range(1000)))

    assert sorted(s or 0 for s in sequences) == list(range(1, 1001))
    assert len(await bus.read(subjects.tasks_stream, subjects.task("a"))) == 1000
    await bus.close()


async def test_no_more_is_asked_for_at_once_than_the_server_keeps_for_who_reads_slowly(
    bus: JetStream, subjects: Subjects
) -> None:
    """12 MB of work: the server cuts off whoever it has 64 MiB for, and a request has no more than 8 of it."""
    await bus.provision(queues(subjects, ["web"]))
    for first in range(0, 40, 10):
        await asyncio.gather(
            *(bus.enqueue(subjects.work("batch", "web"), b"%300000d" % i, f"m{i}") for i in range(first, first + 10))
        )
    asked: list[bytes] = []
    consumer = work(subjects, "web", "batch")
    publish = bus._nc.publish

    async def noted(subject: str, payload: bytes = b"", reply: str = "", **rest: Any) -> None:
        if subject == calls.pull(consumer):
            asked.append(payload)
        await publish(subject, payload, reply, **rest)

    bus._nc.publish = noted  # type: ignore[assignment,method-assign]
    came = Deliveries(ack)
    consumption = bus.consume(consumer, came, 200)
    for _ in range(40):
        await came.next()

    assert sorted((int(data), attempt) for data, attempt in came.seen) == [(i, 1) for i in range(40)]
    assert len(asked) >= 2, "one request has not room for all of it"
    await consumption.stop()
    await bus.close()


async def test_a_log_larger_than_one_answer_is_read_whole(bus: JetStream, subjects: Subjects) -> None:
    """5,000 facts of 4 KB, with another task's between: more than the server sends for one request."""
    for first in range(0, 5000, 500):
        await asyncio.gather(
            *(bus.write_once(subjects.fact("a", f"result.web.s{i}"), b"%4096d" % i) for i in range(first, first + 500)),
            *(bus.write_once(subjects.fact("b", f"result.web.s{i}"), b"") for i in range(first, first + 500, 10)),
        )
    answers = 0
    direct = bus._api.direct

    async def counted(stream: str, request: dict[str, object]) -> object:
        nonlocal answers
        answers += 1
        return await direct(stream, request)

    bus._api.direct = counted  # type: ignore[assignment,method-assign]
    facts = await bus.read(subjects.tasks_stream, subjects.task("a"))
    taken = answers

    assert sorted(int(f.data) for f in facts) == list(range(5000))
    assert [f.sequence for f in facts] == sorted(f.sequence for f in facts)
    assert 3 <= taken <= 5, "each answer is as large as allowed"
    tail = await bus.read(subjects.tasks_stream, subjects.task("a"), after=facts[2499].sequence)
    assert [f.sequence for f in tail] == [f.sequence for f in facts[2500:]]
    assert len(await bus.read(subjects.tasks_stream, subjects.task("a"), since=facts[0].time)) == 5000
    await bus.close()


async def test_reading_while_others_write_never_skips(bus: JetStream, subjects: Subjects) -> None:
    """Whatever a read returns is everything up to its last fact, and it goes as far as it was told to."""
    top, stream = 0, subjects.tasks_stream

    async def write(writer: int) -> None:
        nonlocal top
        for i in range(300):
            top = max(top, await bus.write_once(subjects.fact("a", f"result.web.w{writer}s{i}"), b"") or 0)

    writing = asyncio.gather(*(write(writer) for writer in range(4)))
    reads, seen = 0, 0
    while not writing.done():
        goal = top
        facts = await bus.read(stream, subjects.task("a"), after=seen, reach=goal)
        assert [f.sequence for f in facts] == list(range(seen + 1, seen + 1 + len(facts)))
        seen = max(seen, facts[-1].sequence if facts else 0)
        assert seen >= goal
        reads += 1
    assert reads > 10
    await bus.close()


async def test_provisioning_with_a_changed_setting_changes_it(
    bus: JetStream, subjects: Subjects, nats_server: NatsServer
) -> None:
    consumer = work(subjects, "web", "batch", lease=15)
    await bus.provision(Topology(consumers=(consumer,)))
    await bus.provision(installation(subjects, keep=7200))
    await bus.provision(Topology(consumers=(work(subjects, "web", "batch", lease=33),)))

    admin = await nats.connect(nats_server.url)
    js = admin.jetstream()
    assert (await js.stream_info(subjects.tasks_stream)).config.max_age == 7200
    assert (await js.consumer_info(consumer.stream, consumer.name)).config.ack_wait == 33
    assert (await js.consumer_info(subjects.tasks_stream, "coordinator")).config.filter_subjects == list(
        coordinator(subjects).filters
    )
    await admin.close()
    await bus.close()


async def test_what_the_server_does_not_change_is_refused_with_its_reason(bus: JetStream, subjects: Subjects) -> None:
    other = Stream(name=subjects.work_stream, subjects=(subjects.work("*", "*"),), max_age=60)
    with pytest.raises(Refused, match=rf"{subjects.work_stream} cannot be provisioned: .*retention"):
        await bus.provision(Topology(streams=(other,)))

    overlapping = Consumer(subjects.work_stream, "overlapping", (subjects.work("*", "web"),), 5.0)
    await bus.provision(Topology(consumers=(work(subjects, "web", "batch"),)))
    with pytest.raises(Refused, match="overlapping cannot be provisioned"):
        await bus.provision(Topology(consumers=(overlapping,)))
    await bus.close()


async def test_processes_that_provision_at_once_do_not_hinder_each_other(nats_server: NatsServer, subjects: Subjects) -> None:
    program = """if True:
        import asyncio, sys
        from concertino.bus.jetstream import JetStream
        from concertino.bus.topology import installation, queues
        from concertino.contracts.subjects import Subjects
        async def main():
            subjects = Subjects(sys.argv[2])
            bus = await JetStream.connect(sys.argv[1], "test", subjects)
            for _ in range(5):
                await bus.provision(installation(subjects))
                await bus.provision(queues(subjects, ["plan", "web", "docs"]))
            await bus.close()
        asyncio.run(main())
    """
    command = [sys.executable, "-c", program, nats_server.url, subjects.prefix]
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(4)]
    assert [await p.wait() for p in processes] == [0, 0, 0, 0]

    admin = await nats.connect(nats_server.url)
    names = json.loads((await admin.request(f"$JS.API.CONSUMER.NAMES.{subjects.work_stream}")).data)["consumers"]
    assert len(names) == 6
    await admin.close()
