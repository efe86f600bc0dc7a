from __future__ import annotations

import asyncio

import pytest

from concertino.contracts.errors import Transient
from concertino.web.politeness import MOST_PAUSE, MOST_WAIT, Hosts, retry_after


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def hosts(clock: Time) -> Hosts:
    return Hosts(0.5, clock, clock.sleep)


async def test_one_at_a_time_to_each_host_and_a_pause_between(hosts: Hosts, clock: Time) -> None:
    at_once = {"a": 0, "b": 0}
    most = {"a": 0, "b": 0, "all": 0}

    async def ask(name: str) -> None:
        async with hosts.turn(name):
            at_once[name] += 1
            most[name] = max(most[name], at_once[name])
            most["all"] = max(most["all"], sum(at_once.values()))
            await asyncio.sleep(0)
            at_once[name] -= 1

    await asyncio.gather(*map(ask, "aab"))
    assert most == {"a": 1, "b": 1, "all": 2}
    assert clock.slept == [0.5]


async def test_a_host_sets_the_pause_up_to_a_bound(hosts: Hosts, clock: Time) -> None:
    for pause in (3.0, 600.0, 0.0):
        async with hosts.turn("a", pause):
            pass
    async with hosts.turn("a"):
        pass
    assert clock.slept == [3.0, MOST_PAUSE, 0.5]


async def test_the_pause_counts_from_the_end_and_after_failures_too(hosts: Hosts, clock: Time) -> None:
    async def fail() -> None:
        async with hosts.turn("a"):
            clock.now += 5
            raise ValueError

    with pytest.raises(ValueError):
        await fail()
    async with hosts.turn("a"):
        pass
    assert clock.slept == [0.5]


async def test_who_wants_to_be_left_alone_is(hosts: Hosts, clock: Time) -> None:
    hosts.leave_alone("a", MOST_WAIT - 1)
    async with hosts.turn("a"):
        pass
    assert clock.slept == [MOST_WAIT - 1]
    hosts.leave_alone("a", 3600)
    with pytest.raises(Transient, match="left alone for another 3600 s"):
        async with hosts.turn("a"):
            pass
    async with hosts.turn("b"):
        pass
    assert len(clock.slept) == 1


async def test_hosts_that_rest_are_forgotten(hosts: Hosts, clock: Time) -> None:
    hosts.leave_alone("angry", 10_000)
    for i in range(2_000):
        async with hosts.turn(f"h{i}"):
            pass
        clock.now += 1
    assert len(hosts._hosts) < 1_010
    with pytest.raises(Transient):
        async with hosts.turn("angry"):
            pass


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("٣", 0.0),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    assert retry_after(value, 60.0) == seconds


async def test_what_needs_no_rest_keeps_nobody_waiting(hosts: Hosts, clock: Time) -> None:
    async with hosts.turn("a", rest=False):
        pass
    async with hosts.turn("a"):
        pass
    assert clock.slept == []
