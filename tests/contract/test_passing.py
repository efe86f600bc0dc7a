"""Blobs, buckets, and messages that pass by."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from concertino.bus import blobs
from concertino.bus.port import Bus, Entry, Queued, Stored
from concertino.bus.topology import BLOB_REFRESH, Stream, Topology, installation, queues
from concertino.contracts.errors import QueueFull
from kit.inbox import Heard
from kit.waiting import until
from kit.worlds import World, provisioned


@pytest.mark.parametrize("size", [0, 1, blobs.CHUNK, blobs.CHUNK + 1, 10_000_000])
async def test_a_blob_comes_back_by_its_digest(bus: Bus, size: int) -> None:
    data = random.Random(size).randbytes(size)

    digest = await bus.put_blob("web", data)

    assert digest == hashlib.sha256(data).hexdigest()
    assert await bus.get_blob("web", digest) == data


async def test_a_blob_is_kept_once(world: World, bus: Bus) -> None:
    data = random.Random(1).randbytes(blobs.CHUNK * 2)
    digests = await asyncio.gather(*(bus.put_blob("web", data) for _ in range(3)))

    stored = await bus.read(world.subjects.blobs_stream, ">")

    assert len(set(digests)) == 1
    assert len(stored) == 3  # two parts, and the word that makes them visible


async def test_a_blob_that_is_not_there_is_none(bus: Bus) -> None:
    digest = await bus.put_blob("code", b"of another kind")
    assert await bus.get_blob("web", digest) is None
    assert await bus.get_blob("web", "0" * 64) is None


@pytest.mark.parametrize("size", [10, blobs.CHUNK + 10])
async def test_a_blob_of_an_earlier_release_is_found_whoever_owns_it_now(world: World, bus: Bus, size: int) -> None:
    data = random.Random(4).randbytes(size)
    digest = hashlib.sha256(data).hexdigest()
    subject = world.subjects.unowned_blob(digest)
    parts = [data[i : i + blobs.CHUNK] for i in range(0, size, blobs.CHUNK)]
    if len(parts) == 1:
        await bus.write_once(subject, data)
    else:
        for i, part in enumerate(parts):
            await bus.write_once(f"{subject}.{i}", part)
        await bus.write_once(subject, b"", {"Ctn-Chunks": str(len(parts))})

    assert await bus.get_blob("web", digest) == data


@pytest.mark.parametrize("size", [10, blobs.CHUNK + 10])
async def test_what_somebody_put_in_the_place_of_a_blob_gives_way_to_it(world: World, bus: Bus, size: int) -> None:
    data = random.Random(5).randbytes(size)
    subject = world.subjects.blob("web", hashlib.sha256(data).hexdigest())
    await bus.write_once(subject, b"rubbish")
    await bus.write_once(f"{subject}.0", b"rubbish")

    assert await bus.get_blob("web", await bus.put_blob("web", data)) == data


async def test_a_blob_with_a_part_missing_is_none(world: World, bus: Bus) -> None:
    data = random.Random(2).randbytes(blobs.CHUNK * 2)
    subject = world.subjects.blob("web", hashlib.sha256(data).hexdigest())
    await bus.write_once(f"{subject}.1", data[blobs.CHUNK :])
    await bus.write_once(subject, b"", {"Ctn-Chunks": "2"})
    assert await bus.get_blob("web", subject.rpartition(".")[2]) is None

    await bus.write_once(f"{subject}.0", data[: blobs.CHUNK])
    assert await bus.get_blob("web", subject.rpartition(".")[2]) == data


@pytest.mark.parametrize("chunks", [None, "1", "many", "-1", "999999999"])
async def test_a_blob_that_is_not_what_its_digest_says_is_none(world: World, bus: Bus, chunks: str | None) -> None:
    headers = {} if chunks is None else {"Ctn-Chunks": chunks}
    digest = hashlib.sha256(b"true").hexdigest()
    await bus.write_once(world.subjects.blob("web", digest) + ".0", b"false")
    await bus.write_once(world.subjects.blob("web", digest), b"false", headers)

    assert await bus.get_blob("web", digest) is None


@pytest.mark.parametrize("size", [10, blobs.CHUNK + 10])
async def test_a_blob_put_again_much_later_lives_as_long_as_a_new_one(world: World, bus: Bus, size: int) -> None:
    data = random.Random(3).randbytes(size)
    await bus.put_blob("web", data)
    [*_, old] = await bus.read(world.subjects.blobs_stream, ">")

    await bus.put_blob("web", data)
    [*_, same] = await bus.read(world.subjects.blobs_stream, ">")
    await blobs.put(bus, world.subjects, "web", data, clock=lambda: world.now() + BLOB_REFRESH + 1)  # type: ignore[arg-type]
    new = await bus.read(world.subjects.blobs_stream, ">")

    assert same.sequence == old.sequence
    assert all(m.sequence > old.sequence for m in new)
    assert await bus.get_blob("web", hashlib.sha256(data).hexdigest()) == data


async def test_a_bucket_holds_the_newest_value_of_each_key(world: World, bus: Bus) -> None:
    bucket = world.subjects.workers_bucket
    assert await bus.keys(bucket) == {}
    for key, value in (("web.1", b"old"), ("web.2", b"x"), ("web.1", b"new"), ("docs.1", b"")):
        await bus.put_key(bucket, key, value)
    await bus.delete_key(bucket, "web.2")
    await bus.delete_key(bucket, "never-there")

    assert await bus.keys(bucket) == {"web.1": b"new", "docs.1": b""}


async def test_a_key_is_swapped_only_by_who_has_seen_what_stands_there(world: World, bus: Bus) -> None:
    bucket, other = world.subjects.budget_bucket, await world.connect()
    assert await bus.get_key(bucket, "t") == Entry(None, 0)

    first = await bus.swap_key(bucket, "t", b"1", 0)
    assert first is not None
    assert await other.swap_key(bucket, "t", b"2", 0) is None
    assert await other.get_key(bucket, "t") == Entry(b"1", first)
    second = await other.swap_key(bucket, "t", b"2", first)
    assert second is not None
    assert await bus.swap_key(bucket, "t", b"3", first) is None
    await bus.put_key(bucket, "u", b"x")
    third = await bus.swap_key(bucket, "t", b"3", second)

    assert await other.get_key(bucket, "t") == Entry(b"3", third)
    assert await bus.keys(bucket) == {"t": b"3", "u": b"x"}


async def test_a_key_that_was_deleted_can_be_made_again(world: World, bus: Bus) -> None:
    bucket = world.subjects.budget_bucket
    await bus.swap_key(bucket, "t", b"1", 0)
    await bus.delete_key(bucket, "t")

    gone = await bus.get_key(bucket, "t")

    assert gone.value is None
    assert await bus.swap_key(bucket, "t", b"2", gone.revision)
    assert (await bus.get_key(bucket, "t")).value == b"2"


async def test_of_many_who_swap_at_once_none_undoes_another(world: World, bus: Bus) -> None:
    bucket, clients = world.subjects.budget_bucket, [await world.connect() for _ in range(4)]

    async def count(client: Bus) -> None:
        while True:
            entry = await client.get_key(bucket, "n")
            if await client.swap_key(bucket, "n", b"%d" % (int(entry.value or b"0") + 1), entry.revision):
                return

    await asyncio.gather(*(count(client) for client in clients for _ in range(10)))

    assert (await bus.get_key(bucket, "n")).value == b"40"


async def test_a_key_expires_unless_renewed(world: World, bus: Bus) -> None:
    name, options = f"{world.subjects.prefix}_short", {"max_msgs_per_subject": 1, "allow_direct": True}
    short = Stream(name=f"KV_{name}", subjects=(f"$KV.{name}.>",), max_age=0.6, options=options)
    await bus.provision(Topology(streams=(short,)))
    await bus.put_key(name, "renewed", b"1")
    await bus.put_key(name, "left", b"1")
    await world.elapse(0.4)
    await bus.put_key(name, "renewed", b"2")
    await world.elapse(0.4)

    async def one() -> bool:
        return await bus.keys(name) == {"renewed": b"2"}

    await until(one, "the key that was not renewed is gone")


async def test_a_listener_hears_others_from_the_moment_it_is_subscribed(world: World, bus: Bus) -> None:
    other, heard = await world.connect(), Heard()

    await bus.subscribe(world.subjects.progress("a"), heard)
    for i in range(50):
        await other.publish(world.subjects.progress("a", "s1"), b"%d" % i, {"traceparent": "00-1"})

    await until(lambda: len(heard.messages) == 50)
    assert heard.data == [b"%d" % i for i in range(50)]
    assert (heard.messages[0].sequence, heard.messages[0].headers["traceparent"]) == (0, "00-1")


async def test_a_listener_that_is_not_confirmed_hears_what_comes_after_the_next_call(world: World, bus: Bus) -> None:
    subjects, other, heard = world.subjects, await world.connect(), Heard()

    for i in range(20):
        await bus.subscribe(subjects.fact(f"t{i}", "outcome"), heard, confirm=False)
        await bus.write_once(subjects.fact(f"t{i}", "submitted"), b"{}")
        await other.write_once(subjects.fact(f"t{i}", "outcome"), b"%d" % i)

    await until(lambda: len(heard.messages) == 20)
    assert heard.data == [b"%d" % i for i in range(20)]


async def test_a_listener_hears_facts_that_others_store_and_those_refused_too(world: World, bus: Bus) -> None:
    subjects, other, heard = world.subjects, await world.connect(), Heard()
    await bus.subscribe(subjects.task("a"), heard)

    await other.write_once(subjects.fact("a", "outcome"), b"first")
    await other.write_once(subjects.fact("b", "outcome"), b"another task's")
    await other.write_once(subjects.fact("a", "outcome"), b"refused")
    await other.publish(subjects.fact("a", "cancel"), b"raw")

    await until(lambda: len(heard.messages) == 3)
    assert heard.data == [b"first", b"refused", b"raw"]
    assert [m.data for m in await bus.read(subjects.tasks_stream, subjects.task("a"))] == [b"first", b"raw"]


async def test_a_listener_that_raises_goes_on_listening(world: World, bus: Bus) -> None:
    heard: list[bytes] = []

    async def listener(message: Stored) -> None:
        heard.append(message.data)
        raise ValueError("on purpose")

    await bus.subscribe(world.subjects.signal("a"), listener)
    for data in (b"1", b"2"):
        await bus.publish(world.subjects.signal("a"), data)

    await until(lambda: heard == [b"1", b"2"])
    assert bus.connected


async def test_a_listener_that_stopped_hears_nothing(world: World, bus: Bus) -> None:
    stopped, stays = Heard(), Heard()
    subscription = await bus.subscribe(world.subjects.signal("*"), stopped)
    await bus.subscribe(world.subjects.signal("*"), stays)

    await subscription.stop()
    await subscription.stop()
    await bus.publish(world.subjects.signal("a"), b"1")

    await until(lambda: stays.data == [b"1"])
    assert stopped.data == []


async def test_provisioning_again_keeps_what_is_there(world: World, bus: Bus) -> None:
    topology = installation(world.subjects)
    await bus.write_once(world.subjects.fact("a", "submitted"), b"1")

    await bus.provision(topology)
    await bus.provision(installation(world.subjects, keep=3600))
    await bus.provision(queues(world.subjects, ["web"]))
    await bus.provision(queues(world.subjects, ["web"], lease=3))

    assert [m.data for m in await bus.read(world.subjects.tasks_stream, ">")] == [b"1"]


async def test_a_full_queue_refuses_at_once_what_comes_and_keeps_what_is_there(world: World) -> None:
    bus = await provisioned(world, installation(world.subjects, max_queued=2))
    web, code = world.subjects.work("batch", "web"), world.subjects.work("batch", "code")
    for message_id in ("a.s1.1", "a.s2.1"):
        await bus.enqueue(web, b"1", message_id)

    with pytest.raises(QueueFull) as caught:
        await bus.enqueue(web, b"2", "a.s3.1")
    assert caught.value.retryable
    assert caught.value.after
    await bus.enqueue(web, b"1", "a.s1.1")  # it is there already
    await bus.enqueue(code, b"1", "a.s4.1")
    await bus.enqueue(world.subjects.work("interactive", "web"), b"1", "b.s1.1")

    found = await bus.queued(world.subjects.work_stream, world.subjects.work("batch", "*"))
    assert found == Queued(2, {web: 2, code: 1}, 8 * 86_400, found.made)
    assert abs(found.made - world.now()) < 300
    assert [m.data for m in await bus.read(world.subjects.work_stream, web)] == [b"1", b"1"]


async def test_a_lower_limit_takes_nothing_from_a_queue(world: World, bus: Bus) -> None:
    work, stream = world.subjects.work("batch", "web"), world.subjects.work_stream
    for number in range(20):
        await bus.enqueue(work, b"1", f"a.s{number}.1")

    await bus.provision(installation(world.subjects, max_queued=10))

    assert len(await bus.read(stream, work)) == 20
    assert (await bus.queued(stream, work)).limit != 10


async def test_a_new_limit_counts_where_there_is_room(world: World, bus: Bus) -> None:
    work, stream = world.subjects.work("batch", "web"), world.subjects.work_stream
    await bus.enqueue(work, b"1", "a.s1.1")

    await bus.provision(installation(world.subjects, max_queued=10))

    found = await bus.queued(stream, work)
    assert found == Queued(10, {work: 1}, 8 * 86_400, found.made)


async def test_what_is_kept_without_an_end_stays(world: World, bus: Bus) -> None:
    await bus.put_key(world.subjects.kinds_bucket, "web", b"served on demand")
    await world.elapse(0.05)
    assert await bus.keys(world.subjects.kinds_bucket) == {"web": b"served on demand"}
