"""Deliveries: leases, attempts, slots, and who gets what is handed back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from concertino.bus.port import Bus, Delivery
from concertino.bus.topology import Consumer, coordinator, queues, work
from concertino.contracts.errors import ConcertinoError
from kit.inbox import Deliveries, ack
from kit.waiting import until
from kit.worlds import World

LEASE = 0.4


@pytest.fixture
async def queue(world: World, bus: Bus) -> Consumer:
    return work(world.subjects, "web", "batch", lease=LEASE)


async def enqueue(world: World, bus: Bus, *names: str) -> None:
    for name in names:
        await bus.enqueue(world.subjects.work("batch", "web"), name.encode(), name)


async def test_a_delivery_says_what_it_is(world: World, bus: Bus, queue: Consumer) -> None:
    got = Deliveries(ack)
    bus.consume(queue, got, 1)
    await bus.enqueue(world.subjects.work("batch", "web"), b"x", "a.s1.1", {"traceparent": "00-1"})

    delivery = await got.next()

    assert delivery.attempt == 1
    assert (delivery.message.subject, delivery.message.sequence) == (world.subjects.work("batch", "web"), 1)
    assert delivery.message.headers["traceparent"] == "00-1"
    assert abs(delivery.message.time - world.now()) < 5


async def test_what_is_acknowledged_is_gone_and_not_delivered_again(world: World, bus: Bus, queue: Consumer) -> None:
    got = Deliveries(ack)
    bus.consume(queue, got, 2)
    await enqueue(world, bus, "1", "2", "3")
    for _ in range(3):
        await got.next()

    async def empty() -> bool:
        return await bus.read(world.subjects.work_stream, world.subjects.work("*", "*")) == []

    await until(empty, "the queue is empty")
    assert await bus.depth(queue) == (0, 0)
    await world.elapse(LEASE * 2)
    assert got.seen == [(b"1", 1), (b"2", 1), (b"3", 1)]


async def test_a_confirmed_acknowledgement_has_happened(world: World, bus: Bus, queue: Consumer) -> None:
    got = Deliveries()
    bus.consume(queue, got, 1)
    await enqueue(world, bus, "1")
    delivery = await got.next()

    await delivery.ack(confirm=True)

    assert await bus.depth(queue) == (0, 0)
    assert await bus.read(world.subjects.work_stream, ">") == []
    await delivery.ack(confirm=True)  # a repetition, as after a lost answer


async def test_a_fact_stays_in_the_log_when_its_delivery_is_acknowledged(world: World, bus: Bus) -> None:
    subjects, got = world.subjects, Deliveries(ack)
    consumer = msgspec.structs.replace(coordinator(subjects), ack_wait=LEASE)
    bus.consume(consumer, got, 10)
    for name in ("submitted", "dispatched.0", "result.web.s1"):  # the second is no trigger
        await bus.write_once(subjects.fact("a", name), name.encode())

    assert {(await got.next()).message.data for _ in range(2)} == {b"submitted", b"result.web.s1"}
    assert len(await bus.read(subjects.tasks_stream, subjects.task("a"))) == 3
    await world.elapse(LEASE * 2)
    assert len(got.seen) == 2
    assert await bus.depth(consumer) == (0, 0)


async def test_an_empty_message_with_a_header_of_the_server_s_is_delivered_like_any_other(world: World, bus: Bus) -> None:
    got = Deliveries(ack)
    bus.consume(coordinator(world.subjects), got, 1)
    for i, status in enumerate(("100", "404", "409", "503")):
        await bus.publish(
            world.subjects.fact("a", f"result.web.s{i}"), b"", {"Status": status, "Description": "Consumer Deleted"}
        )

    assert [(await got.next()).message.headers["Status"] for _ in range(4)] == ["100", "404", "409", "503"]


async def test_what_is_handed_back_comes_again_and_counts(world: World, bus: Bus, queue: Consumer) -> None:
    got = Deliveries()
    bus.consume(queue, got, 1)
    await enqueue(world, bus, "1")

    for attempt in (1, 2, 3):
        delivery = await got.next()
        assert (delivery.message.data, delivery.attempt) == (b"1", attempt)
        await delivery.nak()


async def test_what_is_handed_back_with_a_delay_waits(world: World, bus: Bus) -> None:
    got = Deliveries()
    bus.consume(work(world.subjects, "web", "batch", lease=30), got, 1)
    await enqueue(world, bus, "1")
    began = world.now()
    await (await got.next()).nak(0.3)

    await world.elapse(0.15)
    assert len(got.seen) == 1 or world.now() - began >= 0.3
    await world.elapse(0.2)
    assert (await got.next()).attempt == 2
    assert world.now() - began >= 0.29


async def test_a_lease_that_ends_gives_the_message_to_another(world: World, bus: Bus, queue: Consumer) -> None:
    silent, other = Deliveries(), Deliveries(ack)
    first = bus.consume(queue, silent, 1)
    await enqueue(world, bus, "1")
    began = world.now()
    await silent.next()
    await first.stop()
    (await world.connect()).consume(queue, other, 1)

    await world.elapse(LEASE / 2)
    assert other.seen == [] or world.now() - began >= LEASE
    await world.elapse(LEASE)
    assert (await other.next()).attempt == 2


async def test_a_lease_is_kept_by_progress(world: World, bus: Bus) -> None:
    got, lease = Deliveries(), 1.2  # much longer than the real server and this test may be held up
    bus.consume(work(world.subjects, "web", "batch", lease=lease), got, 2)
    await enqueue(world, bus, "1")
    delivery = await got.next()

    for _ in range(7):
        await world.elapse(lease / 6)
        await delivery.in_progress()
    assert len(got.seen) == 1

    await delivery.ack(confirm=True)
    await world.elapse(lease * 1.1)
    assert len(got.seen) == 1


async def test_an_acknowledgement_after_the_lease_still_counts(world: World, bus: Bus, queue: Consumer) -> None:
    got = Deliveries()
    consumption = bus.consume(queue, got, 1)
    await enqueue(world, bus, "1")
    delivery = await got.next()
    await consumption.stop()
    await world.elapse(LEASE * 1.5)

    await delivery.ack(confirm=True)

    assert await bus.depth(queue) == (0, 0)


async def test_the_message_of_a_handler_that_raises_comes_again(
    world: World, bus: Bus, queue: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_once(delivery: Delivery) -> None:
        if delivery.attempt == 1:
            raise ValueError("on purpose")
        await delivery.ack()

    got = Deliveries(fail_once)
    bus.consume(work(world.subjects, "web", "batch", lease=30), got, 1)
    await enqueue(world, bus, "1")

    await got.next()
    await world.elapse(1.1)
    assert (await got.next()).attempt == 2


async def test_no_more_than_its_slots_run_at_once_and_all_of_them_do(world: World, bus: Bus) -> None:
    running = most = done = 0
    gate = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        done += 1
        await delivery.ack()

    await enqueue(world, bus, *[str(i) for i in range(20)])
    bus.consume(work(world.subjects, "web", "batch", lease=30), handle, 4)

    await until(lambda: running == 4, "all slots in use")
    gate.set()
    await until(lambda: done == 20, "all done")
    assert most == 4


async def test_a_freed_slot_is_used_while_the_others_are_still_busy(world: World, bus: Bus) -> None:
    """Eight slots, seven taken by long work: short work flows through the eighth."""
    got, gate = Deliveries(), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        await got(delivery)
        if delivery.message.data.startswith(b"long"):
            await gate.wait()
        await delivery.ack()

    await enqueue(world, bus, *[f"long{i}" for i in range(7)], *[f"short{i}" for i in range(30)])
    bus.consume(work(world.subjects, "web", "batch", lease=60), handle, 8)
    # A slot that were only looked at when nothing else happens, each half heartbeat, would take 75 s for them.
    await until(lambda: len(got.seen) == 37, "all short work done")
    gate.set()


async def test_the_second_lane_gets_what_the_first_leaves(world: World, bus: Bus) -> None:
    """Two slots: while the first lane has one, the second has the other, and whatever comes free when the first is done."""
    subjects, interactive, batch = world.subjects, Deliveries(), Deliveries()
    ends = {name: asyncio.Event() for name in ("i1", "b1", "b2", "b3")}

    def handler(got: Deliveries) -> Callable[[Delivery], Awaitable[None]]:
        async def handle(delivery: Delivery) -> None:
            await got(delivery)
            await ends[delivery.message.data.decode()].wait()
            await delivery.ack()

        return handle

    await bus.enqueue(subjects.work("interactive", "web"), b"i1", "i1")
    first = bus.consume(work(subjects, "web", "interactive", lease=60), handler(interactive), 2)
    await interactive.next()
    queue = work(subjects, "web", "batch", lease=60)
    bus.consume(queue, handler(batch), 2, first)
    await enqueue(world, bus, "b1", "b2", "b3")
    await batch.next()

    async def waiting(depth: tuple[int, int]) -> bool:
        return await bus.depth(queue) == depth

    await until(lambda: waiting((2, 1)))
    assert (first.running, batch.seen) == (1, [(b"b1", 1)])
    ends["i1"].set()
    assert (await batch.next()).message.data == b"b2"
    await until(lambda: waiting((1, 2)))
    ends["b1"].set()
    assert (await batch.next()).message.data == b"b3"
    for end in ends.values():
        end.set()


async def test_the_first_lane_does_not_wait_for_the_second(world: World, bus: Bus) -> None:
    subjects, interactive, batch, gate = world.subjects, Deliveries(), Deliveries(), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        await batch(delivery)
        await gate.wait()
        await delivery.ack()

    first = bus.consume(work(subjects, "web", "interactive", lease=60), interactive, 2)
    bus.consume(work(subjects, "web", "batch", lease=60), handle, 2, first)
    await enqueue(world, bus, "b1", "b2")
    for _ in range(2):
        await batch.next()
    await bus.enqueue(subjects.work("interactive", "web"), b"i1", "i1")
    await (await interactive.next()).ack(confirm=True)
    gate.set()


async def test_clients_share_a_queue_and_each_message_is_done_once(world: World, bus: Bus) -> None:
    consumer = work(world.subjects, "web", "batch", lease=30)
    clients = [(await world.connect(), Deliveries(ack)) for _ in range(3)]
    for client, got in clients:
        client.consume(consumer, got, 2)
    await enqueue(world, bus, *[str(i) for i in range(60)])

    await until(lambda: sum(len(got.seen) for _, got in clients) == 60)
    assert len({data for _, got in clients for data, _ in got.seen}) == 60


async def test_stopping_lets_handlers_finish_and_takes_nothing_more(world: World, bus: Bus) -> None:
    gate, got = asyncio.Event(), Deliveries()

    async def handle(delivery: Delivery) -> None:
        await got(delivery)
        await gate.wait()
        await delivery.ack(confirm=True)

    consumer = work(world.subjects, "web", "batch", lease=30)
    consumption = bus.consume(consumer, handle, 1)
    await enqueue(world, bus, "1", "2")
    await got.next()

    await consumption.stop()
    await consumption.stop()
    gate.set()

    async def finished() -> bool:
        return await bus.depth(consumer) == (1, 0)

    await until(finished, "the first is acknowledged, the second was never taken")
    assert got.seen == [(b"1", 1)]


async def test_what_was_on_its_way_to_one_that_stops_goes_to_others_at_once(world: World, bus: Bus) -> None:
    consumer = work(world.subjects, "web", "batch", lease=60)
    done: set[bytes] = set()

    async def handle(delivery: Delivery) -> None:
        await delivery.ack(confirm=True)
        done.add(delivery.message.data)

    leaving = await world.connect()
    consumption = leaving.consume(consumer, handle, 50)
    stay = bus.consume(consumer, handle, 2)
    names = [str(i) for i in range(200)]
    filling = asyncio.gather(*(bus.enqueue(world.subjects.work("batch", "web"), n.encode(), n) for n in names))
    await until(lambda: len(done) > 20)
    await consumption.stop()
    await filling

    await until(lambda: len(done) == 200, "everything is done long before a lease ends")
    await stay.stop()


async def test_depth_tells_waiting_from_running(world: World, bus: Bus, queue: Consumer) -> None:
    gate = asyncio.Event()
    got = Deliveries(lambda _: gate.wait())
    assert await bus.depth(queue) == (0, 0)  # there is no such consumer yet
    await enqueue(world, bus, "1", "2", "3", "4", "5")
    consumption = bus.consume(work(world.subjects, "web", "batch", lease=30), got, 2)
    await got.next()
    await got.next()

    assert await bus.depth(queue) == (3, 2)
    assert await bus.depths(world.subjects.work_stream) == {queue.name: (3, 2)}
    assert consumption.alive
    gate.set()


async def test_every_consumer_of_a_stream_is_listed(world: World, bus: Bus) -> None:
    kinds = [f"k{i}" for i in range(150)]  # with both lanes more than the server lists at once
    assert await bus.depths("NO_SUCH_STREAM") == {}
    await bus.provision(queues(world.subjects, kinds))
    await bus.enqueue(world.subjects.work("batch", "k149"), b"w", "1")

    async def waits() -> bool:
        found = await bus.depths(world.subjects.work_stream)
        assert len(found) == 300
        return {name: depth for name, depth in found.items() if depth != (0, 0)} == {"batch-k149": (1, 0)}

    await until(waits, "the queue knows of what the server has stored")


async def test_consumers_take_their_own_subjects_only(world: World, bus: Bus) -> None:
    subjects, web, docs = world.subjects, Deliveries(ack), Deliveries(ack)
    bus.consume(work(subjects, "web", "batch"), web, 5)
    bus.consume(work(subjects, "docs", "batch"), docs, 5)
    await bus.enqueue(subjects.work("batch", "docs"), b"d", "1")
    await bus.enqueue(subjects.work("batch", "web"), b"w", "2")
    await bus.enqueue(subjects.work("interactive", "web"), b"nobody's", "3")

    await docs.next()
    await web.next()
    assert (docs.seen, web.seen) == ([(b"d", 1)], [(b"w", 1)])


async def test_after_closing_every_call_says_so(world: World, bus: Bus) -> None:
    await bus.close()
    await bus.close()
    assert not bus.connected
    with pytest.raises(ConcertinoError):
        await bus.write_once(world.subjects.fact("a", "submitted"), b"")
    with pytest.raises(ConcertinoError):
        await bus.publish(world.subjects.signal("a"), b"")
