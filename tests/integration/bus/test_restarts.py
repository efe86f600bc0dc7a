"""Servers that crash, freeze and come back; connections that break: nothing is lost, and work goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import nats
import pytest
from structlog.testing import capture_logs

from concertino.bus.jetstream import JetStream
from concertino.bus.port import Delivery, Parcel
from concertino.bus.topology import Topology, installation, queues, work
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from kit.inbox import Deliveries, Heard, ack
from kit.proxy import Proxy
from kit.waiting import PATIENCE, until

pytestmark = pytest.mark.nats


HEARTBEAT = 14.0
"""Nearly the longest that the server takes. What a consumer only finds out by silence takes it half a minute and more, so that
what it does at once is told from that on however busy a machine."""


async def connected(url: str, subjects: Subjects, heartbeat: float = HEARTBEAT) -> JetStream:
    bus = await JetStream.connect(url, "test", subjects, heartbeat=heartbeat)
    await bus.provision(installation(subjects))
    return bus


async def test_nothing_is_lost_when_the_server_is_killed_under_load(own_server: NatsServer, subjects: Subjects) -> None:
    """Facts and work are written by one client and consumed by another while the server is killed three times."""
    writer, reader = await connected(own_server.url, subjects), await connected(own_server.url, subjects)
    done: set[str] = set()
    written: dict[str, int | None] = {}

    async def handle(delivery: Delivery) -> None:
        await delivery.ack()
        done.add(delivery.message.data.decode())

    async def write(name: str) -> None:
        written[name] = await writer.write_once(subjects.fact("a", f"result.web.{name}"), name.encode())
        await writer.enqueue(subjects.work("batch", "web"), name.encode(), name)

    async def write_all() -> None:
        for first in range(0, 3000, 20):
            await asyncio.gather(*(write(f"s{i}") for i in range(first, first + 20)))

    reader.consume(work(subjects, "web", "batch", lease=2.0), handle, 16)
    writing = asyncio.create_task(write_all())
    for goal in (300, 1000, 2000):
        await until(lambda goal=goal: len(written) >= goal)  # type: ignore[misc]
        own_server.kill()
        await own_server.start()
    await asyncio.wait_for(writing, 60)

    names = {f"s{i}" for i in range(3000)}
    await until(lambda: done == names, "all work was done")
    facts = await reader.read(subjects.tasks_stream, subjects.task("a"))
    assert {f.data.decode(): f.sequence for f in facts} == written, "each writer knows the sequence of its fact"
    await writer.close()
    await reader.close()


@pytest.mark.parametrize("turns", range(12))
async def test_who_leaves_as_the_server_dies_leaves_in_order(own_server: NatsServer, subjects: Subjects, turns: int) -> None:
    bus = await connected(own_server.url, subjects)
    await bus.subscribe("ctn.nothing", Heard())
    before = asyncio.all_tasks()
    own_server.kill()
    for _ in range(turns):
        await asyncio.sleep(0)  # the loop may have heard of it, and the client not yet
    with contextlib.suppress(BusUnavailable):
        await bus.publish("ctn.nothing", b"still to be sent")
    await bus.close()
    await until(lambda: all(task.done() for task in before - {asyncio.current_task()}), "nothing is left of the client")
    await own_server.start()


async def test_a_consumer_goes_on_within_seconds_of_a_restart(own_server: NatsServer, subjects: Subjects) -> None:
    bus, got = await connected(own_server.url, subjects), Deliveries(ack)
    back: list[None] = []
    bus.on_reconnect(lambda: back.append(None))
    consumption = bus.consume(work(subjects, "web", "batch"), got, 4)
    await bus.enqueue(subjects.work("batch", "web"), b"1", "1")
    await got.next()

    own_server.kill()
    await until(lambda: not bus.connected)
    await own_server.start()
    await bus.enqueue(subjects.work("batch", "web"), b"2", "2")

    # What was acknowledged just before a crash may come again: the server writes acknowledgements out every tenth of a second.
    await until(lambda: b"2" in [data for data, _ in got.seen], "it goes on", seconds=12)
    assert back == [None]
    assert consumption.alive
    await bus.close()


async def test_a_subscription_goes_on_after_a_restart(own_server: NatsServer, subjects: Subjects) -> None:
    bus, heard = await connected(own_server.url, subjects), Heard()
    back = asyncio.Event()
    bus.on_reconnect(back.set)
    await bus.subscribe(subjects.signal("*"), heard)

    own_server.kill()
    await own_server.start()
    await asyncio.wait_for(back.wait(), PATIENCE)
    await bus.publish(subjects.signal("a"), b"1")

    await until(lambda: heard.data == [b"1"])
    await bus.close()


async def test_a_consumer_that_was_deleted_is_made_anew(own_server: NatsServer, subjects: Subjects) -> None:
    bus, got = await connected(own_server.url, subjects), Deliveries(ack)
    consumer = work(subjects, "web", "batch")
    bus.consume(consumer, got, 4)
    await bus.enqueue(subjects.work("batch", "web"), b"1", "1")
    await got.next()

    admin = await nats.connect(own_server.url)
    await admin.jetstream().delete_consumer(consumer.stream, consumer.name)
    await admin.close()
    await bus.enqueue(subjects.work("batch", "web"), b"2", "2")

    async with asyncio.timeout(12):
        assert (await got.next()).message.data == b"2"
    await bus.close()


async def test_streams_that_were_deleted_are_made_anew(own_server: NatsServer, subjects: Subjects) -> None:
    """By whoever needs them, and with what knew of the old ones not deceived."""
    bus, got = await connected(own_server.url, subjects), Deliveries(ack)
    admin = await nats.connect(own_server.url)
    bus.consume(work(subjects, "web", "batch"), got, 4)
    digest = await bus.put_blob("web", b"old")
    revision = await bus.swap_key(subjects.budget_bucket, "a", b"1", 0)
    before = await bus.write_once(subjects.fact("a", "submitted"), b"old")
    assert before
    assert revision

    for stream in await admin.jetstream().streams_info():
        await admin.jetstream().delete_stream(stream.config.name or "")

    after = await bus.write_once(subjects.fact("a", "submitted"), b"new")
    assert after
    assert after > before
    found = await bus.read(subjects.tasks_stream, subjects.task("a"), after=before, reach=after)
    assert [(fact.data, fact.sequence) for fact in found] == [(b"new", after)]
    await bus.enqueue(subjects.work("batch", "web"), b"1", "1")
    assert (await got.next()).message.data == b"1"
    assert await bus.get_blob("web", digest) is None
    assert await bus.put_blob("web", b"old") == digest
    assert await bus.swap_key(subjects.budget_bucket, "a", b"2", revision) is None, "it is another one's now"
    assert (await bus.get_key(subjects.budget_bucket, "a")).value is None
    await bus.provision(installation(subjects))
    assert await bus.read(subjects.tasks_stream, subjects.task("a"), after=before), "who starts then keeps what there is"
    await admin.close()
    await bus.close()


async def test_what_is_there_is_left_as_a_newer_release_made_it(own_server: NatsServer, subjects: Subjects) -> None:
    bus, newer = await connected(own_server.url, subjects), await JetStream.connect(own_server.url, "newer", subjects)
    await newer.provision(installation(subjects, keep=3600.0))
    admin = await nats.connect(own_server.url)
    await admin.jetstream().delete_stream(subjects.blobs_stream)
    await bus.put_blob("web", b"new")
    kept = (await admin.jetstream().stream_info(subjects.tasks_stream)).config.max_age
    assert kept == 3600.0
    await admin.close()
    await bus.close()
    await newer.close()


async def test_who_may_not_make_what_is_gone_says_that_nothing_comes(own_server: NatsServer, subjects: Subjects) -> None:
    job, consumer, got = await connected(own_server.url, subjects), work(subjects, "web", "batch"), Deliveries(ack)
    await job.provision(Topology(consumers=(consumer,)))
    bus = await JetStream.connect(own_server.url, "test", subjects, heartbeat=0.2, provisions=False)
    consumption = bus.consume(consumer, got, 4)
    await job.enqueue(subjects.work("batch", "web"), b"1", "1")
    await got.next()
    admin = await nats.connect(own_server.url)
    with capture_logs() as logs:
        await admin.jetstream().delete_stream(subjects.work_stream)
        await until(lambda: not consumption.alive, "it is noticed")
        await until(lambda: any("concertino.runtime.provision" in log.get("error", "") for log in logs), "what to do is said")
    await job.provision(installation(subjects))
    await job.provision(Topology(consumers=(consumer,)))
    await until(lambda: consumption.alive, "it goes on", seconds=60)
    await job.enqueue(subjects.work("batch", "web"), b"2", "2")
    assert (await got.next()).message.data == b"2"
    await admin.close()
    await bus.close()
    await job.close()


async def test_a_slot_is_not_idle_because_another_one_waits(nats_server: NatsServer, subjects: Subjects) -> None:
    """Two slots came free one after the other, so a request for one message is open: when it is used up, the other asks."""
    bus, ends = await connected(nats_server.url, subjects), {name: asyncio.Event() for name in "abcdefghij"}
    got = Deliveries(lambda delivery: ends[delivery.message.data.decode()].wait())
    bus.consume(work(subjects, "web", "batch", lease=60), got, 8)
    for name in "abcdefgh":
        await bus.enqueue(subjects.work("batch", "web"), name.encode(), name)
    deliveries = [await got.next() for _ in range(8)]

    for delivery in deliveries[:2]:
        await delivery.ack(confirm=True)
        ends[delivery.message.data.decode()].set()
        await bus.depth(work(subjects, "web", "batch"))  # a round trip: what was asked for has arrived there
    for name in "ij":
        await bus.enqueue(subjects.work("batch", "web"), name.encode(), name)
        await until(lambda name=name: (name.encode(), 1) in got.seen, f"{name} runs", seconds=5)  # type: ignore[misc]
    await bus.close()
    for end in ends.values():
        end.set()


async def test_what_is_on_the_wire_when_a_replica_stops_goes_back(nats_server: NatsServer, subjects: Subjects) -> None:
    """Long before its lease ends: the replica takes it off the wire and hands it back."""
    consumer, stays = work(subjects, "web", "batch", lease=60), await connected(nats_server.url, subjects)
    leaving, other = Deliveries(ack), Deliveries(ack)
    async with Proxy(nats_server.url) as proxy:
        bus = await JetStream.connect(proxy.url, "test", subjects)
        consumption = bus.consume(consumer, leaving, 4)
        await stays.enqueue(subjects.work("batch", "web"), b"0", "0")
        await leaving.next()
        proxy.hold()
        for i in range(1, 4):
            await stays.enqueue(subjects.work("batch", "web"), b"%d" % i, str(i))

        async def on_the_wire() -> bool:
            return await stays.depth(consumer) == (0, 3)

        await until(on_the_wire)
        stopping = asyncio.create_task(consumption.stop())
        await asyncio.sleep(0)
        proxy.release()
        await stopping

        stays.consume(consumer, other, 4)
        await until(lambda: {data for data, _ in other.seen} == {b"1", b"2", b"3"}, "another one has them")
        assert leaving.seen == [(b"0", 1)]
        await bus.close()
    await stays.close()


async def test_a_queue_that_is_provisioned_later_is_consumed_then(own_server: NatsServer, subjects: Subjects) -> None:
    """A worker may be there before the job that provisions."""
    bus, got = await JetStream.connect(own_server.url, "test", subjects, patience=0.1), Deliveries(ack)
    bus.consume(work(subjects, "web", "batch"), got, 4)
    late = await connected(own_server.url, subjects)
    await late.enqueue(subjects.work("batch", "web"), b"1", "1")

    assert (await got.next()).message.data == b"1"
    await bus.close()
    await late.close()


async def test_who_may_not_make_a_consumer_says_no_more_than_that_it_is_there(
    own_server: NatsServer, subjects: Subjects
) -> None:
    """It is there, made by others: as after all servers were away, when for a while nobody answers for it."""
    job, consumer, got = await connected(own_server.url, subjects), work(subjects, "web", "batch"), Deliveries(ack)
    there = Topology(consumers=(consumer,))
    await job.provision(there)
    async with Proxy(own_server.url) as proxy:
        bus = await JetStream.connect(proxy.url, "test", subjects, heartbeat=HEARTBEAT, provisions=False)
        bus.consume(consumer, got, 4)
        await job.enqueue(subjects.work("batch", "web"), b"1", "1")
        await got.next()
        with capture_logs() as logs:
            proxy.hold()
            admin = await nats.connect(own_server.url)
            await admin.jetstream().delete_consumer(consumer.stream, consumer.name)
            await admin.close()
            await job.provision(there)
            await job.enqueue(subjects.work("batch", "web"), b"2", "2")
            proxy.release()
            async with asyncio.timeout(12):
                assert (await got.next()).message.data == b"2"
        assert [log["event"] for log in logs] == ["nobody answered for a consumer; it is there now"]
        await bus.close()
    await job.close()


async def test_a_server_that_froze_is_noticed_and_so_is_its_return(own_server: NatsServer, subjects: Subjects) -> None:
    bus, got = await connected(own_server.url, subjects, heartbeat=0.2), Deliveries(ack)
    consumption = bus.consume(work(subjects, "web", "batch"), got, 2)
    await bus.enqueue(subjects.work("batch", "web"), b"1", "1")
    await got.next()
    pid = own_server.pid
    assert pid

    os.kill(pid, signal.SIGSTOP)
    await until(lambda: not consumption.alive, "it noticed the silence")
    os.kill(pid, signal.SIGCONT)
    await until(lambda: consumption.alive, "it noticed the return")

    await bus.enqueue(subjects.work("batch", "web"), b"2", "2")
    assert (await got.next()).message.data == b"2"
    await bus.close()


async def test_a_replica_whose_slots_are_all_busy_is_alive(nats_server: NatsServer, subjects: Subjects) -> None:
    """It asks for nothing and hears nothing, and that is right; nor is it taken for dead in the moment it is free again."""
    bus, gate = await connected(nats_server.url, subjects, heartbeat=0.1), asyncio.Event()
    got = Deliveries(lambda _: gate.wait())
    consumption = bus.consume(work(subjects, "web", "batch"), got, 1)
    await bus.enqueue(subjects.work("batch", "web"), b"1", "1")
    delivery = await got.next()
    silence = asyncio.get_running_loop().time() + 0.5
    await until(lambda: asyncio.get_running_loop().time() > silence)

    assert consumption.alive
    gate.set()
    for _ in range(10):  # in which the slot comes free
        await asyncio.sleep(0)
        assert consumption.alive
    await delivery.ack(confirm=True)
    await bus.close()


async def test_what_was_asked_for_is_taken_back_when_another_lane_fills_the_slots(
    nats_server: NatsServer, subjects: Subjects
) -> None:
    """A replica at rest asks for work of both lanes. Busy with the one, it must not be given what others could do of the other;
    and it asks again when it is free."""
    bus, gate = await connected(nats_server.url, subjects, heartbeat=0.2), asyncio.Event()
    other, batch = await connected(nats_server.url, subjects), work(subjects, "web", "batch", lease=60)

    async def hold(delivery: Delivery) -> None:
        await gate.wait()
        await delivery.ack()

    here, there = Deliveries(ack), Deliveries(ack)
    await bus.provision(queues(subjects, ["web"], lease=60))
    first = bus.consume(work(subjects, "web", "interactive", lease=60), hold, 2)
    second = bus.consume(batch, here, 2, first)
    admin = await nats.connect(nats_server.url)

    async def asked() -> int:
        return (await admin.jetstream().consumer_info(batch.stream, batch.name)).num_waiting or 0

    async def asks() -> bool:
        return await asked() == 1

    async def asks_nothing() -> bool:
        return await asked() == 0

    await until(asks)
    for name in "ab":
        await bus.enqueue(subjects.work("interactive", "web"), name.encode(), name)
    await until(lambda: first.running == 2)
    await until(asks_nothing)
    silence = asyncio.get_running_loop().time() + 1.0
    await until(lambda: asyncio.get_running_loop().time() > silence)
    assert second.alive, "who may ask for nothing hears nothing"
    takes = other.consume(batch, there, 1)
    for name in "cdef":
        await bus.enqueue(subjects.work("batch", "web"), name.encode(), name)
    await until(lambda: len(there.seen) == 4)
    assert here.seen == []

    await takes.stop()
    gate.set()
    await bus.enqueue(subjects.work("batch", "web"), b"g", "g")
    assert (await here.next()).message.data == b"g"
    await admin.close()
    await bus.close()
    await other.close()


async def test_a_writer_whose_answer_was_lost_learns_that_it_won(nats_server: NatsServer, subjects: Subjects) -> None:
    watcher = await connected(nats_server.url, subjects)
    async with Proxy(nats_server.url) as proxy:
        bus = await JetStream.connect(proxy.url, "test", subjects)
        proxy.mute = True
        writing = asyncio.create_task(bus.write_once(subjects.fact("a", "outcome"), b"mine"))

        async def stored() -> bool:
            return bool(await watcher.read(subjects.tasks_stream, subjects.task("a")))

        await until(stored)
        proxy.mute = False
        proxy.cut()

        assert await asyncio.wait_for(writing, PATIENCE) == 1
        assert await bus.write_once(subjects.fact("a", "outcome"), b"mine") is None
        await bus.close()
    await watcher.close()


async def test_what_was_asked_for_before_a_connection_broke_does_not_exceed_the_slots(
    nats_server: NatsServer, subjects: Subjects
) -> None:
    """The server survives, and with it the request that was open: what it brings on top goes to others."""
    helper, gate, consumer = (
        await connected(nats_server.url, subjects),
        asyncio.Event(),
        work(subjects, "web", "batch", lease=60),
    )
    got, others = Deliveries(lambda _: gate.wait()), Deliveries(ack)
    async with Proxy(nats_server.url) as proxy:
        bus = await JetStream.connect(proxy.url, "test", subjects)
        back = asyncio.Event()
        bus.on_reconnect(back.set)
        bus.consume(consumer, got, 4)
        await bus.enqueue(subjects.work("batch", "web"), b"first", "first")
        await (await got.next()).ack(confirm=True)
        proxy.cut()
        await asyncio.wait_for(back.wait(), PATIENCE)
        await bus.depth(consumer)
        for i in range(20):
            await helper.enqueue(subjects.work("batch", "web"), b"%d" % i, str(i))
        await until(lambda: len(got.seen) == 4)

        helper.consume(consumer, others, 4)
        await until(lambda: len({data for data, _ in others.seen}) == 17, "others do what does not fit")
        assert len(got.seen) == 4
        gate.set()
        await bus.close()
    await helper.close()


async def test_a_broken_connection_neither_loses_work_nor_exceeds_the_slots(
    nats_server: NatsServer, subjects: Subjects
) -> None:
    """The server survives, and with it what was asked for over the connection that broke."""
    helper = await connected(nats_server.url, subjects)
    most, running, done = 0, 0, set()

    async def handle(delivery: Delivery) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        await delivery.ack()
        done.add(delivery.message.data)

    async with Proxy(nats_server.url) as proxy:
        bus = await JetStream.connect(proxy.url, "test", subjects)
        bus.consume(work(subjects, "web", "batch", lease=1.0), handle, 8)
        for i in range(400):
            await helper.enqueue(subjects.work("batch", "web"), b"%d" % i, str(i))
            if i % 100 == 50:
                proxy.cut()

        await until(lambda: len(done) == 400)
        assert most <= 8
        await bus.close()
    await helper.close()


async def test_of_many_messages_none_is_lost_where_the_server_was_away(own_server: NatsServer, subjects: Subjects) -> None:
    bus = await connected(own_server.url, subjects)
    queue = subjects.work("batch", "web")
    parcels = [Parcel(queue, b"%d" % i, f"a.s{i}.1", {}) for i in range(300)]
    assert await bus.enqueue_each(parcels[:100]) == [None] * 100

    own_server.kill()
    storing = asyncio.create_task(bus.enqueue_each(parcels))
    await own_server.start()

    assert await asyncio.wait_for(storing, 60) == [None] * 300
    assert sorted(int(m.data) for m in await bus.read(subjects.work_stream, queue)) == list(range(300))
    await bus.close()
