"""The provider's limit as many processes share it: on the real server and on its twin, and where neither answers."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import pytest
from msgspec import structs

from concertino.bus.port import Bus, Entry
from concertino.contracts.codec import decode, encode
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Usage
from concertino.contracts.rates import LIFE, Knock, Rates
from concertino.contracts.subjects import Subjects
from concertino.worker.limiter import PATIENCE, Limiter, Shared
from concertino.worker.quoting import ANOTHER_TRY
from concertino.worker.waits import Waits
from kit.waiting import until
from kit.worlds import World

NOW = 1_800_000_000.0


class Counted:
    """A client that counts what is said to a bucket, and breaks where a test says so."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.reads = self.writes = 0
        self.broken = False
        self.silent = False

    async def get_key(self, bucket: str, key: str) -> Entry:
        self.reads += 1
        await self._wire()
        return await self._bus.get_key(bucket, key)

    async def swap_key(self, bucket: str, key: str, value: bytes, revision: int) -> int | None:
        self.writes += 1
        await self._wire()
        return await self._bus.swap_key(bucket, key, value, revision)

    async def _wire(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.broken:
            raise BusUnavailable("the wire is broken")


def headers(limit: int, remaining: int) -> dict[str, str]:
    said = {"limit": limit, "remaining": remaining}
    return {f"anthropic-ratelimit-requests-{name}": str(value) for name, value in said.items()}


async def state(bus: Bus, subjects: Subjects, key: str = "m") -> Rates:
    entry = await bus.get_key(subjects.rates_bucket, key)
    return decode(Rates, entry.value) if entry.value else Rates()


def limiter(world: World, bus: Any, delivery: int = 1, **more: Any) -> Limiter:
    return Limiter(Shared(bus, world.subjects), "web", Waits(), delivery, **more)


async def test_a_turn_is_one_word_before_the_call_and_one_beside_it_while_nobody_else_writes(world: World, bus: Bus) -> None:
    counted = Counted(bus)
    mine = limiter(world, counted)
    for number in range(3):
        turn = mine.turn("m", "work", 100, 1, None)
        assert await turn.take(NOW) is None
        assert counted.writes == 2 * number + 1
        turn.saw(headers(60, 59), NOW)
        await until(lambda number=number: counted.writes == 2 * number + 2)  # type: ignore[misc]
        turn.took(Usage(input_tokens=50, output_tokens=200))
        turn.left(NOW)
    assert counted.reads == 1
    assert (await state(bus, world.subjects)).output < 1_000


async def test_what_one_process_hears_holds_for_all(world: World, bus: Bus) -> None:
    mine, other = limiter(world, bus), limiter(world, await world.connect())
    turn = mine.turn("m", "work", 100, 1, None)
    assert await turn.take(NOW) is None
    await turn.failed(429, 20.0, {}, NOW)
    wait = await other.turn("m", "work", 100, 1, None).take(NOW)
    assert wait is not None
    assert not wait.booked
    assert 20 <= wait.seconds < 25
    assert await other.turn("another-model", "work", 100, 1, None).take(NOW) is None


async def test_of_many_who_race_for_it_no_more_go_than_may(world: World, bus: Bus) -> None:
    clients = [await world.connect() for _ in range(4)]
    mine = limiter(world, bus)
    first = mine.turn("m", "work", 1, 1, None)
    assert await first.take(NOW) is None
    first.saw(headers(60, 5), NOW)
    await until(lambda: _known(bus, world))
    turns = [limiter(world, clients[number % 4]).turn("m", "work", 1, 1, math.inf) for number in range(20)]
    waits = await asyncio.gather(*(turn.take(NOW) for turn in turns))
    assert sum(wait is None for wait in waits) == 5
    later = sorted(wait.seconds for wait in waits if wait)
    assert all(abs(seconds - number) < 0.01 for number, seconds in enumerate(later, 1))


async def _known(bus: Bus, world: World) -> bool:
    return bool((await state(bus, world.subjects)).buckets)


async def test_without_the_bus_calls_are_made_within_what_the_process_knows_itself(world: World, bus: Bus) -> None:
    counted = Counted(bus)
    shared = Shared(counted, world.subjects)  # type: ignore[arg-type]
    mine = Limiter(shared, "web", Waits())
    counted.broken = True
    turns = [mine.turn("m", "work", 1, 1, math.inf) for _ in range(40)]
    waits = [await turn.take(NOW) for turn in turns]
    assert 0 < sum(wait is None for wait in waits) < 40  # it is limited all the same
    assert counted.reads == 1  # nor is every call held up by a bus that is away
    await turns[0].failed(429, 9.0, {}, NOW)
    wait = await mine.turn("m", "work", 1, 1, None).take(NOW)
    assert wait is not None
    assert wait.seconds >= 9


async def test_a_bus_that_says_nothing_holds_no_call_up_for_long(
    world: World, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concertino.worker.limiter._ANSWER", 0.1)
    counted = Counted(bus)
    counted.silent = True
    async with asyncio.timeout(20):
        assert await limiter(world, counted).turn("m", "work", 1, 1, None).take(NOW) is None


async def test_the_shared_state_counts_again_when_the_bus_is_back(world: World, bus: Bus) -> None:
    counted, clock = Counted(bus), itertools.count(step=60)
    mine = Limiter(Shared(counted, world.subjects, lambda: float(next(clock))), "web", Waits())  # type: ignore[arg-type]
    counted.broken = True
    assert await mine.turn("m", "work", 1, 1, None).take(NOW) is None
    counted.broken = False
    assert await mine.turn("m", "work", 1, 1, None).take(NOW) is None
    assert (await state(bus, world.subjects)).knocks


async def test_what_stands_there_and_makes_no_sense_is_written_anew(world: World, bus: Bus) -> None:
    for number, garbage in enumerate(
        (b"{", b"[]", b'{"width": 0}', b'{"buckets": {"requests": {"limit": 0, "rate": 0, "level": 0}}}')
    ):
        await bus.put_key(world.subjects.rates_bucket, f"m{number}", garbage)
        assert await limiter(world, bus).turn(f"m{number}", "work", 1, 1, None).take(NOW) is None
        assert len((await state(bus, world.subjects, f"m{number}")).knocks) == 1


async def test_a_name_that_is_no_token_has_a_key_too(world: World, bus: Bus) -> None:
    for model in ("eu.vendor.model-1:0", "a b", "*", ">", "x" * 200, ""):
        assert await limiter(world, bus).turn(model, "work", 1, 1, None).take(NOW) is None
    assert len(await bus.keys(world.subjects.rates_bucket)) == 6


async def test_who_was_sent_away_before_waits_for_longer_and_a_hedge_not_at_all(world: World, bus: Bus) -> None:
    busy = Rates(at=NOW, stopped=NOW + 1.5 * PATIENCE["work"], refusals=1)
    await bus.put_key(world.subjects.rates_bucket, "m", encode(busy))

    async def booked(of: Limiter) -> bool:
        wait = await of.turn("m", "work", 1, 1, None).take(NOW)
        assert wait is not None
        return wait.booked

    assert [await booked(limiter(world, bus, delivery)) for delivery in (1, 2, 50)] == [False, True, True]
    await bus.put_key(world.subjects.rates_bucket, "m", encode(structs.replace(busy, stopped=NOW + 0.1)))
    assert [await booked(limiter(world, bus, 1, hedge=hedge)) for hedge in (False, True)] == [True, False]


async def test_what_could_not_come_again_in_time_waits_in_its_place_and_a_hedge_does_not(world: World, bus: Bus) -> None:
    busy = Rates(at=NOW, stopped=NOW + 20, refusals=1)
    await bus.put_key(world.subjects.rates_bucket, "m", encode(busy))

    async def booked(left: float, *, hedge: bool = False) -> bool:
        mine = limiter(world, bus, deadline=NOW + left, hedge=hedge)
        wait = await mine.turn("m", "work", 1, 1, None).take(NOW)
        assert wait is not None
        assert wait.seconds == pytest.approx(20, abs=1)
        return wait.booked

    assert await booked(ANOTHER_TRY + 25) is False
    assert await booked(ANOTHER_TRY + 15) is True
    assert await booked(ANOTHER_TRY + 15, hedge=True) is False


async def test_whoever_gives_up_leaves_its_place_to_others(world: World, bus: Bus) -> None:
    taken = Knock(id="other", at=NOW, ends=NOW + LIFE, going=True)
    await bus.put_key(world.subjects.rates_bucket, "m", encode(Rates(at=NOW, width=1.0, knocks=(taken,))))
    mine = limiter(world, bus)
    turn = mine.turn("m", "report", 1, 1, None)
    assert await turn.take(NOW)
    turn.left(NOW)

    async def gone() -> bool:
        return [knock.id for knock in (await state(bus, world.subjects)).knocks] == ["other"]

    await until(gone)


async def test_a_wait_that_gets_longer_and_longer_is_given_up(world: World, bus: Bus) -> None:
    mine = limiter(world, bus)
    turn, now = mine.turn("m", "work", 1, 1, None), NOW
    taken = Knock(id="other", at=NOW, ends=NOW + 1e6, going=True)
    await bus.put_key(world.subjects.rates_bucket, "m", encode(Rates(at=NOW, width=1.0, knocks=(taken,))))
    booked = True
    while booked:
        wait = await turn.take(now)
        assert wait is not None
        booked = wait.booked
        now += wait.seconds
        assert now < NOW + 60
    assert now > NOW + PATIENCE["work"]


def test_waits_of_calls_side_by_side_are_one() -> None:
    now = 0.0
    waits = Waits(lambda: now)
    waits.begin()
    now = 1.0
    waits.begin()
    assert waits.seconds == 1.0
    now = 3.0
    waits.end()
    now = 4.0
    waits.end()
    now = 9.0
    assert waits.seconds == 4.0
