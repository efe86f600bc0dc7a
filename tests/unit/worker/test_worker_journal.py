"""What becomes of a conversation that cannot be kept, or cannot be read."""

from __future__ import annotations

import asyncio

import pytest

from concertino.bus.memory import MemoryBus
from concertino.bus.port import Headers
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Record, Usage
from concertino.worker.journal import Checkpoints, Journal
from kit.keeping import NOW, Keeping
from kit.waiting import until

ONE = Usage(model_calls=1, output_tokens=2)


class Broken(MemoryBus):
    """Refuses so many writes; those that it is to lose the answer to take effect all the same."""

    refuses = 0
    loses = 0

    async def write_once(self, subject: str, data: bytes, headers: Headers | None = None) -> int | None:
        if self.refuses:
            self.refuses -= 1
            raise BusUnavailable("away")
        sequence = await super().write_once(subject, data, headers)
        if self.loses:
            self.loses -= 1
            raise BusUnavailable("no answer")
        return sequence


def record(key: str) -> Record:
    return Record(key=key, answer=True, value=key, spent={"m": ONE})


@pytest.fixture
async def keeping() -> Keeping:
    keeping = Keeping()
    await keeping.delivery()
    return keeping


class Place:
    def __init__(self, keeping: Keeping) -> None:
        self.now = NOW
        self.bus = Broken(keeping.subjects, server=keeping.bus.server)
        kept = Checkpoints(self.bus, keeping.subjects, "t1", "result.docs.s1", 1, NOW + 600)
        self.journal = Journal(kept, "docs", "r1", 1, lambda: self.now)


async def keys(keeping: Keeping) -> list[str]:
    return [record.key for checkpoint in await keeping.kept() for record in checkpoint.records]


async def test_what_could_not_be_written_is_written_with_what_comes_later(keeping: Keeping) -> None:
    place = Place(keeping)
    place.bus.refuses = 1
    await place.journal.keep(record("a"))
    await place.journal.keep(record("b"))  # too soon: a bus that is away must not hold the model up each time
    assert await keys(keeping) == []
    place.now += 60
    await place.journal.keep(record("c"))
    assert await keys(keeping) == ["a", "b", "c"]


async def test_where_the_answer_was_lost_nothing_is_kept_twice(keeping: Keeping) -> None:
    place = Place(keeping)
    place.bus.loses = 1
    await place.journal.keep(record("a"))
    place.now += 60
    await place.journal.keep(record("b"))
    assert await keys(keeping) == ["a", "b"]
    assert not place.journal.taken_over
    assert place.journal.accounted == {"m": ONE + ONE}


async def test_a_conversation_that_cannot_be_read_is_begun_anew(keeping: Keeping) -> None:
    await keeping.bus.write_once(keeping.subjects.checkpoint("t1", "result.docs.s1", 1, 1), b"not JSON")
    journal = await keeping.delivery()
    assert journal.recall("a") is None
    await journal.keep(record("a"))  # and is not kept: nobody could tell the one from the other
    assert journal.unbooked == {}


async def test_without_the_stream_work_goes_on_and_nothing_is_kept() -> None:
    keeping = Keeping()
    bus = MemoryBus(keeping.subjects)
    kept = Checkpoints(bus, keeping.subjects, "t1", "result.docs.s1", 1, NOW + 600)
    first = Journal(kept, "docs", "r1", 1, lambda: NOW)
    await first.keep(record("a"))
    second = Journal(kept, "docs", "r2", 2, lambda: NOW)
    await second.open()
    assert second.recall("a") is None


async def test_who_has_it_ends_where_another_is_told_that_it_is_the_first(keeping: Keeping) -> None:
    first = Place(keeping).journal
    ended = []
    first.on_end(lambda: ended.append(True))
    await first.begin()
    await first.keep(record("a"))
    second = await keeping.delivery(counted_anew=True)
    await second.begin()
    assert second.recall("a") == record("a")
    ending = asyncio.create_task(first.keep(record("b")))
    await until(lambda: bool(ended), "the first is interrupted")
    ending.cancel()
    assert first.taken_over
    await second.keep(record("b"))
    await second.begin()  # it has begun
    assert (second.taken_over, second.recall("b")) == (False, None)


async def test_calls_side_by_side_all_wait_for_what_is_kept_where_deliveries_are_counted_anew(keeping: Keeping) -> None:
    first = Place(keeping).journal
    for key in ("a", "b"):
        await first.keep(record(key))
    second = await keeping.delivery(counted_anew=True)

    async def asked(key: str) -> Record | None:
        await second.begin()
        return second.recall(key)

    assert await asyncio.gather(asked("a"), asked("b")) == [record("a"), record("b")]
