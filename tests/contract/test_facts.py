"""What is written once, what is read back, and what a schedule brings."""

from __future__ import annotations

import asyncio

import pytest

from concertino.bus.port import Bus, Parcel
from concertino.bus.topology import installation
from concertino.contracts.codec import MAX_MESSAGE
from concertino.contracts.errors import BusUnavailable, MessageTooLarge, QueueFull, Refused
from kit.inbox import Heard
from kit.waiting import until
from kit.worlds import World, provisioned

LATE = 0.6
"""Seconds within which the real server fires what is due, where it has nothing else to do."""


async def only_due(world: World, bus: Bus, name: str) -> bool:
    """Whether the timer ``name`` of task ``a`` has fired, once, no other is set, and the log says so, too."""
    due, everything = world.subjects.due("a", name), world.subjects.task("a")
    timers = await bus.read(world.subjects.timers_stream, everything)
    log = [m.subject for m in await bus.read(world.subjects.tasks_stream, everything)]
    return [m.subject for m in timers] == [due] and [s for s in log if s != world.subjects.timer("a", name)][-1:] == [due]


async def test_the_first_to_write_a_fact_wins_and_the_second_is_told(world: World, bus: Bus) -> None:
    fact, stream = world.subjects.fact("a", "outcome"), world.subjects.tasks_stream

    first = await bus.write_once(fact, b"first")
    second = await bus.write_once(fact, b"second")

    assert first == 1
    assert second is None
    assert [m.data for m in await bus.read(stream, fact)] == [b"first"]


async def test_of_many_writers_at_once_exactly_one_wins(world: World, bus: Bus) -> None:
    others = [bus, *[await world.connect() for _ in range(3)]]
    fact = world.subjects.fact("a", "result.web.s1")

    sequences = await asyncio.gather(*(other.write_once(fact, b"%d" % i) for i, other in enumerate(others * 10)))

    [winner] = [i for i, sequence in enumerate(sequences) if sequence is not None]
    [stored] = await bus.read(world.subjects.tasks_stream, fact)
    assert (stored.data, stored.sequence) == (b"%d" % winner, sequences[winner])


async def test_a_message_id_stores_once(world: World, bus: Bus) -> None:
    work, stream = world.subjects.work("batch", "web"), world.subjects.work_stream

    for message_id in ("a.s1.1", "a.s1.1", "a.s1.2", "a.s1.1"):
        await bus.enqueue(work, message_id.encode(), message_id)

    assert [m.data for m in await bus.read(stream, work)] == [b"a.s1.1", b"a.s1.2"]


async def test_a_message_comes_back_as_it_was_stored(world: World, bus: Bus) -> None:
    fact, before = world.subjects.fact("a", "submitted"), world.now()

    sequence = await bus.write_once(fact, b"\x00\xff", {"Ctn-Schema": "submitted/1", "Ctn-Note": "Grüße"})

    [stored] = await bus.read(world.subjects.tasks_stream, world.subjects.task("a"))
    assert (stored.subject, stored.data, stored.sequence) == (fact, b"\x00\xff", sequence)
    assert (stored.headers["Ctn-Schema"], stored.headers["Ctn-Note"]) == ("submitted/1", "Grüße")
    assert before - 0.01 <= stored.time <= world.now() + 0.01


async def test_reading_is_in_order_after_a_sequence_and_by_wildcard(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.tasks_stream
    for task, name in (("a", "submitted"), ("b", "submitted"), ("a", "plan.0"), ("a", "result.web.s1"), ("b", "outcome")):
        await bus.write_once(subjects.fact(task, name), name.encode())

    async def names(pattern: str, after: int = 0) -> list[bytes]:
        return [m.data for m in await bus.read(stream, pattern, after)]

    assert await names(subjects.task("a")) == [b"submitted", b"plan.0", b"result.web.s1"]
    assert await names(subjects.task("a"), after=1) == [b"plan.0", b"result.web.s1"]
    assert await names(subjects.task("a"), after=4) == []
    assert await names(subjects.fact("*", "submitted")) == [b"submitted", b"submitted"]
    assert await names(subjects.task("nobody")) == []


async def test_reading_since_leaves_out_what_is_older(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.tasks_stream
    await bus.write_once(subjects.fact("a", "submitted"), b"old")
    await world.elapse(0.05)
    moment = world.now()
    await world.elapse(0.05)
    await bus.write_once(subjects.fact("b", "submitted"), b"new")
    await bus.write_once(subjects.fact("c", "submitted"), b"newer")

    pattern = subjects.fact("*", "submitted")
    assert [m.data for m in await bus.read(stream, pattern, since=moment)] == [b"new", b"newer"]
    assert [m.data for m in await bus.read(stream, pattern, after=2, since=moment)] == [b"newer"]
    assert await bus.read(stream, pattern, since=world.now() + 60) == []
    for long_ago in (0, -1e13, float("-inf")):
        assert len(await bus.read(stream, pattern, since=long_ago)) == 3


async def test_pages_hold_what_reading_since_does(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.tasks_stream
    await bus.write_once(subjects.fact("old", "submitted"), b"old")
    await world.elapse(0.05)
    moment = world.now()
    await world.elapse(0.05)
    await asyncio.gather(*(bus.write_once(subjects.fact(f"t{i}", "submitted"), b"%d" % i) for i in range(250)))
    await bus.write_once(subjects.fact("t0", "outcome"), b"")

    pattern = subjects.fact("*", "submitted")
    paged = [stored async for page in bus.pages(stream, pattern, moment) for stored in page]
    assert paged == await bus.read(stream, pattern, since=moment)
    assert len(paged) == 250
    assert [page async for page in bus.pages(stream, pattern, world.now() + 60)] == []


async def test_a_read_reaches_what_it_was_told_to(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.tasks_stream
    await bus.write_once(subjects.fact("a", "submitted"), b"")
    sequence = await bus.write_once(subjects.fact("a", "plan.0"), b"") or 0

    assert len(await bus.read(stream, subjects.task("a"), reach=sequence)) == 2
    assert await bus.read(stream, subjects.task("a"), after=sequence, reach=sequence) == []
    with pytest.raises(BusUnavailable):
        await bus.read(stream, subjects.task("a"), reach=sequence + 1)


async def test_a_read_ends_where_what_it_should_reach_was_removed(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.timers_stream
    await bus.schedule(subjects.timer("a", "join"), world.now() + 60, subjects.due("a", "join"))
    await bus.schedule(subjects.timer("a", "deadline"), world.now() + 60, subjects.due("a", "deadline"))
    [_, timer] = await bus.read(stream, subjects.task("a"))
    await bus.unschedule(timer.subject)

    assert [m.sequence for m in await bus.read(stream, subjects.task("a"), reach=timer.sequence)] == [1]


async def test_the_newest_message_of_a_subject(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.tasks_stream
    for data in (b"1", b"2"):
        await bus.publish(subjects.fact("a", "result.web.s1"), data)  # as a raw client may, who does not say "once"
    await bus.write_once(subjects.fact("a", "outcome"), b"3")

    found = await bus.newest(stream, subjects.fact("a", "result.web.s1"))
    [_, same, _] = await bus.read(stream, subjects.task("a"))
    assert found is not None
    assert (found.data, found.subject, found.sequence, found.time) == (b"2", same.subject, same.sequence, same.time)
    assert await bus.newest(stream, subjects.fact("a", "cancel")) is None


async def test_a_bucket_may_have_very_many_keys(world: World, bus: Bus) -> None:
    bucket = world.subjects.workers_bucket
    await asyncio.gather(*(bus.put_key(bucket, f"web.{i}", b"%d" % i) for i in range(1100)))

    assert sorted(map(int, (await bus.keys(bucket)).values())) == list(range(1100))


@pytest.mark.parametrize("status", ["204", "404", "503"])
async def test_a_writer_s_headers_do_not_pass_for_the_server_s(world: World, bus: Bus, status: str) -> None:
    subjects = world.subjects
    await bus.write_once(subjects.fact("a", "submitted"), b"", {"Status": status, "Nats-Num-Pending": "7"})
    await bus.write_once(subjects.fact("a", "plan.0"), b"x")

    found = await bus.read(subjects.tasks_stream, subjects.task("a"))

    assert [m.sequence for m in found] == [1, 2]
    assert found[0].headers["Status"] == status


async def test_what_no_stream_takes_is_not_silently_lost(world: World) -> None:
    bus = await world.connect()
    with pytest.raises(BusUnavailable, match="provision"):
        await bus.write_once(world.subjects.fact("a", "submitted"), b"{}")
    with pytest.raises(BusUnavailable, match="provision"):
        await bus.read(world.subjects.tasks_stream, world.subjects.task("a"))


async def test_what_is_too_large_is_refused_and_the_connection_stands(world: World, bus: Bus) -> None:
    subjects, large = world.subjects, bytes(MAX_MESSAGE + 1)
    for store in (
        bus.write_once(subjects.fact("a", "submitted"), large),
        bus.enqueue(subjects.work("batch", "web"), large, "a.s1.1"),
        bus.publish(subjects.signal("a"), large),
        bus.write_once(subjects.fact("a", "submitted"), b"", {"Ctn-Note": "x" * MAX_MESSAGE}),
        bus.publish(subjects.signal("a"), b"", {"Ctn-Note": "x" * MAX_MESSAGE}),
    ):
        with pytest.raises(MessageTooLarge):
            await store

    assert await bus.write_once(subjects.fact("a", "submitted"), large[1:], {"Ctn-Note": "x" * 4096}) == 1
    assert bus.connected


async def test_a_schedule_fires_once_at_its_time(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.timers_stream
    at = world.now() + 0.5
    await bus.schedule(subjects.timer("a", "deadline"), at, subjects.due("a", "deadline"))

    [first] = await bus.read(stream, subjects.task("a"))
    assert first.subject == subjects.timer("a", "deadline") or world.now() >= at

    await world.within(0.5 + LATE, lambda: only_due(world, bus, "deadline"))
    [due] = await bus.read(stream, subjects.task("a"))
    assert (due.subject, due.data) == (subjects.due("a", "deadline"), b"")
    assert at <= due.time


async def test_a_schedule_in_the_past_fires_at_once(world: World, bus: Bus) -> None:
    subjects = world.subjects
    await bus.schedule(subjects.timer("a", "deadline"), world.now() - 5.5, subjects.due("a", "deadline"))

    await world.within(LATE, lambda: only_due(world, bus, "deadline"))


async def test_a_second_schedule_replaces_the_first(world: World, bus: Bus) -> None:
    subjects, now = world.subjects, world.now()
    for at in (now + 0.5, now + 60, now + 0.7):
        await bus.schedule(subjects.timer("a", "deadline"), at, subjects.due("a", "deadline"))

    assert len(await bus.read(subjects.timers_stream, subjects.task("a"))) == 1
    await world.within(0.7 + LATE, lambda: only_due(world, bus, "deadline"))
    [due] = await bus.read(subjects.timers_stream, subjects.task("a"))
    assert due.time >= now + 0.7


async def test_what_was_unscheduled_does_not_fire(world: World, bus: Bus) -> None:
    subjects, now = world.subjects, world.now()
    for name, at in (("dropped", now + 0.9), ("kept", now + 1)):
        await bus.schedule(subjects.timer("a", name), at, subjects.due("a", name))
    await bus.unschedule(subjects.timer("a", "dropped"))
    await bus.unschedule(subjects.timer("a", "never-there"))

    await world.within(1 + LATE, lambda: only_due(world, bus, "kept"))


async def test_a_schedule_for_another_stream_is_refused(world: World, bus: Bus) -> None:
    with pytest.raises(Refused):
        await bus.schedule(world.subjects.timer("a", "retry"), world.now(), world.subjects.work("batch", "web"))


async def test_what_a_schedule_stores_does_not_pass_by(world: World, bus: Bus) -> None:
    subjects, heard = world.subjects, Heard()
    await bus.subscribe(subjects.task("a"), heard)
    await bus.schedule(subjects.timer("a", "deadline"), world.now(), subjects.due("a", "deadline"))
    await world.within(LATE, lambda: only_due(world, bus, "deadline"))
    await bus.write_once(subjects.fact("a", "outcome"), b"")

    await until(lambda: len(heard.messages) == 2)
    assert [m.subject for m in heard.messages] == [subjects.timer("a", "deadline"), subjects.fact("a", "outcome")]


async def test_many_messages_at_once_are_each_stored_once_and_in_order(world: World, bus: Bus) -> None:
    subjects, stream = world.subjects, world.subjects.work_stream
    parcels = [
        Parcel(subjects.work("batch", kind), f"{kind}{n}".encode(), f"a.{kind}{n}.1", {"Ctn-Schema": "work/1"})
        for n in range(200)
        for kind in ("web", "code")
    ]

    assert await bus.enqueue_each(parcels) == [None] * 400
    assert await bus.enqueue_each(parcels[:10]) == [None] * 10

    stored = await bus.read(stream, subjects.work("batch", "*"))
    assert [m.data for m in stored] == [parcel.data for parcel in parcels]
    assert {m.headers["Ctn-Schema"] for m in stored} == {"work/1"}


async def test_of_many_messages_those_for_a_full_queue_are_told_from_the_others(world: World) -> None:
    bus = await provisioned(world, installation(world.subjects, max_queued=2))
    web, code = world.subjects.work("batch", "web"), world.subjects.work("batch", "code")
    parcels = [Parcel(web, b"w", f"a.s{n}.1", {}) for n in range(4)] + [Parcel(code, b"c", "a.s9.1", {})]

    answers = await bus.enqueue_each(parcels)

    assert [type(answer) for answer in answers] == [type(None), type(None), QueueFull, QueueFull, type(None)]
    assert [m.data for m in await bus.read(world.subjects.work_stream, ">")] == [b"w", b"w", b"c"]


async def test_what_is_wrong_with_one_of_many_messages_is_raised(world: World, bus: Bus) -> None:
    work = world.subjects.work("batch", "web")
    with pytest.raises(MessageTooLarge):
        await bus.enqueue_each([Parcel(work, b"1", "a.s1.1", {}), Parcel(work, bytes(MAX_MESSAGE + 1), "a.s2.1", {})])
    assert await bus.enqueue_each([]) == []
