"""Alarms share a timer, and do what :func:`asyncio.timeout` does with one of its own."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from concertino.worker.alarms import Alarm, Alarms

LONG = 600.0


async def held(alarm: Alarm) -> None:
    with alarm:
        await asyncio.Event().wait()


async def test_each_ends_what_it_is_about_and_the_first_rings_first() -> None:
    alarms, rang = Alarms(), list[str]()

    async def until(name: str, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            await held(alarms.after(seconds))
        rang.append(name)

    long = asyncio.create_task(held(alarms.after(LONG)))
    await asyncio.gather(until("third", 0.3), until("first", 0.01), until("second", 0.1), until("at once", -5.0))

    assert rang == ["at once", "first", "second", "third"]
    assert not long.done()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long


async def test_one_timer_serves_all_and_what_ends_in_time_leaves_nothing_to_ring() -> None:
    alarms = Alarms()
    with alarms.after(LONG) as first:
        timer = alarms._timer
        for _ in range(100):
            with alarms.after(LONG + 1):
                await asyncio.sleep(0)
        assert alarms._timer is timer
        assert list(alarms._set) == [first]
    assert not alarms._set
    assert not first.rang


async def test_one_that_is_moved_goes_off_then_and_later_ones_after_it() -> None:
    alarms = Alarms()
    moved, other = alarms.after(LONG), alarms.after(LONG)
    tasks = [asyncio.create_task(held(alarm)) for alarm in (moved, other)]
    await asyncio.sleep(0)
    moved.move(asyncio.get_running_loop().time() + 0.01)
    with pytest.raises(TimeoutError):
        await tasks[0]
    assert not tasks[1].done()
    other.move(0.0)
    with pytest.raises(TimeoutError):
        await tasks[1]
    moved.move(LONG)  # it is over
    assert not alarms._set


async def test_one_is_made_to_go_off_sooner_and_never_later() -> None:
    alarms = Alarms()
    with alarms.after(LONG) as alarm:
        at = alarm.at
        alarm.within(2 * LONG)
        assert alarm.at == at
    task = asyncio.create_task(held(alarm := alarms.after(LONG)))
    await asyncio.sleep(0)
    alarm.within(0.01)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task, 60)
    assert alarm.rang


async def test_who_is_cancelled_by_somebody_else_is_cancelled_also_where_its_time_is_up() -> None:
    task = asyncio.create_task(held(alarm := Alarms().after(LONG)))
    await asyncio.sleep(0)
    task.cancel()
    alarm.ring()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1  # what the alarm did is taken back


async def test_what_swallows_it_goes_on_and_is_not_cancelled_again() -> None:
    with Alarms().after(0.01) as alarm:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.sleep(0.01)
    task = asyncio.current_task()
    assert task is not None
    assert (alarm.rang, task.cancelling()) == (True, 0)


async def test_an_error_of_its_own_stays_what_it_is() -> None:
    with pytest.raises(KeyError), Alarms().after(LONG):
        raise KeyError
