"""The ledger of a task: many pay from it at once, some die, and sometimes it cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from concertino.bus.port import Bus, Entry
from concertino.contracts.codec import decode
from concertino.contracts.errors import BudgetSpent, LedgerUnavailable
from concertino.contracts.messages import Amount, Ledger, Limits, Subtask, Usage, Work
from concertino.contracts.subjects import Subjects
from concertino.model.port import Estimate
from concertino.model.port import Purse as Port
from concertino.worker.purse import Purse
from kit.worlds import World

LIMIT = 100_000


class Counted:
    """A client that counts what is said to a bucket, and breaks where a test says so."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.reads = self.writes = 0
        self.before_write: Callable[[], Awaitable[None]] | None = None

    async def get_key(self, bucket: str, key: str) -> Entry:
        self.reads += 1
        return await self._bus.get_key(bucket, key)

    async def swap_key(self, bucket: str, key: str, value: bytes, revision: int) -> int | None:
        self.writes += 1
        if self.before_write:
            await self.before_write()
        return await self._bus.swap_key(bucket, key, value, revision)


def purse(world: World, bus: Any, subtask: str = "s1", delivery: int = 1, **more: Any) -> Purse:
    limits = Limits(max_tokens=LIMIT)
    brief = Subtask(id=subtask, kind="web", objective="o")
    work = Work(task="t", id=brief.work_id, attempt=1, request="?", brief=brief, limits=limits, deadline=2e9)
    return Purse(bus, world.subjects, work, delivery, **more)


def call(tokens: int = 1_000, room: int = 4_000) -> Estimate:
    return Estimate("m", "work", tokens, room, 0.0, 0.0)


async def ledger(bus: Bus, subjects: Subjects) -> Ledger:
    entry = await bus.get_key(subjects.budget_bucket, "t")
    assert entry.value is not None
    return decode(Ledger, entry.value)


def took(tokens: int) -> Usage:
    return Usage(model_calls=1, input_tokens=tokens)


async def test_to_reserve_and_to_settle_is_one_word_each_while_nobody_else_writes(world: World, bus: Bus) -> None:
    counted = Counted(bus)
    mine: Port = purse(world, counted)
    for _ in range(3):
        await (await mine.reserve(call())).settle(took(100))
    assert (counted.reads, counted.writes) == (1, 6)
    assert await ledger(bus, world.subjects) == Ledger(spent=Amount(tokens=300), by=(await ledger(bus, world.subjects)).by)


async def test_of_many_who_race_for_it_none_spends_what_is_not_there(world: World, bus: Bus) -> None:
    """Twenty workers ask until they are refused. What each took is what it had reserved: the worst there is."""
    clients = [await world.connect() for _ in range(4)]
    spent: list[int] = []
    under_way: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        mine = purse(world, clients[number % 4], f"s{number}")
        while True:
            try:
                paid = await mine.reserve(call())
            except BudgetSpent:
                return
            under_way.append(5_000)
            most = max(most, sum(spent) + sum(under_way))
            await asyncio.sleep(0.001)
            under_way.pop()
            spent.append(5_000)
            await paid.settle(took(5_000))

    await asyncio.gather(*(work(number) for number in range(20)))

    assert sum(spent) == most == 70_000  # the rest is kept for writing
    found = await ledger(bus, world.subjects)
    assert (found.spent, found.holds) == (Amount(tokens=70_000), ())


async def test_what_others_may_give_back_is_waited_for(world: World, bus: Bus) -> None:
    first, second = purse(world, bus, "s1"), purse(world, await world.connect(), "s2")
    paid = await first.reserve(call(tokens=40_000, room=20_000))
    waiting = asyncio.create_task(second.reserve(call(tokens=40_000, room=20_000)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await paid.settle(took(1_000))
    assert (await waiting).room == 20_000


async def test_it_is_not_waited_for_ever(world: World, bus: Bus) -> None:
    now = 0.0

    async def pause(seconds: float) -> None:
        nonlocal now
        now += seconds

    await purse(world, bus, "s1").reserve(call(tokens=40_000, room=20_000))
    with pytest.raises(BudgetSpent, match="60,000 of the 100,000 tokens"):
        await purse(world, bus, "s2", monotonic=lambda: now, sleep=pause).reserve(call(tokens=40_000))
    assert 50 < now <= 60


async def test_a_worker_that_was_killed_is_counted_and_not_waited_for(world: World, bus: Bus) -> None:
    await purse(world, bus, "s1").reserve(call(tokens=40_000, room=20_000))  # and dies

    again = purse(world, bus, "s1", delivery=2)
    with pytest.raises(BudgetSpent):
        await again.reserve(call(tokens=40_000))
    await (await again.reserve(call())).settle(took(500))

    found = await ledger(bus, world.subjects)
    assert (found.spent.tokens, [(hold.delivery, hold.amount.tokens, hold.over) for hold in found.holds]) == (
        500,
        [(1, 60_000, True)],
    )


async def test_who_is_interrupted_while_reserving_leaves_nothing_taken(world: World, bus: Bus) -> None:
    counted = Counted(bus)
    reached, goes_on = asyncio.Event(), asyncio.Event()

    async def held_up() -> None:
        reached.set()
        await goes_on.wait()

    counted.before_write = held_up
    reserving = asyncio.create_task(purse(world, counted).reserve(call()))
    await reached.wait()
    reserving.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reserving
    async with asyncio.timeout(5):
        while counted.writes < 2 or (await ledger(bus, world.subjects)).holds:
            await asyncio.sleep(0.01)
    assert (await ledger(bus, world.subjects)).spent == Amount()


async def test_who_is_interrupted_while_settling_has_settled(world: World, bus: Bus) -> None:
    counted = Counted(bus)
    paid = await purse(world, counted).reserve(call())
    reached, goes_on = asyncio.Event(), asyncio.Event()

    async def held_up() -> None:
        reached.set()
        await goes_on.wait()

    counted.before_write = held_up
    settling = asyncio.create_task(paid.settle(took(7)))
    await reached.wait()
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    goes_on.set()
    async with asyncio.timeout(5):
        while (await ledger(bus, world.subjects)).spent.tokens != 7:
            await asyncio.sleep(0.01)


async def test_without_a_ledger_nothing_may_be_called(world: World) -> None:
    bus = await world.connect()  # and nothing is provisioned
    with pytest.raises(LedgerUnavailable, match="no model is called"):
        await purse(world, bus).reserve(call())


async def test_a_ledger_that_is_away_when_a_call_is_settled_keeps_what_was_taken(world: World, bus: Bus) -> None:
    client = await world.connect()
    paid = await purse(world, client).reserve(call())
    await client.close()
    await paid.settle(took(10))
    found = await ledger(bus, world.subjects)
    assert (found.spent, [hold.amount.tokens for hold in found.holds]) == (Amount(), [5_000])


async def test_what_stands_there_and_is_no_ledger_stops_every_call(world: World, bus: Bus) -> None:
    await bus.put_key(world.subjects.budget_bucket, "t", b'{"spent": 1}')
    with pytest.raises(LedgerUnavailable, match="ledger"):
        await purse(world, bus).reserve(call())
