"""Messages that are read by their subject, and those that say how long they are to be kept."""

from __future__ import annotations

from concertino.bus.port import Bus
from concertino.contracts.messages import Checkpoint
from concertino.contracts.subjects import Header
from concertino.worker.journal import Checkpoints
from kit.worlds import World


async def test_the_newest_message_on_a_subject_is_read_by_it(world: World, bus: Bus) -> None:
    subjects, fact = world.subjects, world.subjects.fact("a", "outcome")
    await bus.write_once(fact, b"outcome", {"Ctn-Note": "so"})
    await bus.put_key(subjects.budget_bucket, "a", b"1")
    await bus.put_key(subjects.budget_bucket, "a", b"2")

    found = await bus.newest(subjects.tasks_stream, fact)
    newest = await bus.newest(f"KV_{subjects.budget_bucket}", f"$KV.{subjects.budget_bucket}.a")

    assert found
    assert (found.subject, found.data, found.headers["Ctn-Note"], found.sequence) == (fact, b"outcome", "so", 1)
    assert newest
    assert newest.data == b"2"
    assert await bus.newest(subjects.tasks_stream, subjects.fact("b", "outcome")) is None


async def test_what_is_to_be_kept_for_a_second_is_gone_after_it(world: World, bus: Bus) -> None:
    subjects = world.subjects
    short, long = (subjects.checkpoint("a", "result.docs.s1", 1, number) for number in (1, 2))
    assert await bus.write_once(short, b"short", {Header.TTL: "1"})
    assert await bus.write_once(long, b"long", {Header.TTL: "3600"})
    assert await bus.write_once(short, b"again", {Header.TTL: "1"}) is None

    async def gone() -> bool:
        return [m.data for m in await bus.read(subjects.checkpoints_stream, ">")] == [b"long"]

    await world.within(2.0, gone)


async def test_checkpoints_come_back_in_their_order_however_many_and_large(world: World, bus: Bus) -> None:
    checkpoints = Checkpoints(bus, world.subjects, "a", "plan.0", 1, world.now() + 600)
    written = [Checkpoint(worker=f"w{i}" + "x" * (400_000 if i == 4 else 0), delivery=1) for i in range(20)]
    for number, checkpoint in enumerate(written, 1):
        assert await checkpoints.put(number, checkpoint, world.now())

    assert await checkpoints.all() == written
    assert await checkpoints.all(after=15) == written[15:]
    assert not await checkpoints.put(20, written[0], world.now())
    assert await Checkpoints(bus, world.subjects, "a", "plan.1", 1).all() == []


async def test_messages_are_counted_by_their_subjects(world: World, bus: Bus) -> None:
    subjects = world.subjects
    assert await bus.count(subjects.timers_stream, subjects.timer("*", "room")) == 0
    for task, name in (("a", "join"), ("a", "room"), ("b", "room"), ("c", "room"), ("c", "room")):
        await bus.schedule(subjects.timer(task, name), world.now() + 3600, subjects.due(task, name))
    await bus.unschedule(subjects.timer("b", "room"))
    assert await bus.count(subjects.timers_stream, subjects.timer("*", "room")) == 2
    assert await bus.count(subjects.timers_stream, subjects.timer("a", "room")) == 1
