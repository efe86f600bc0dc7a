"""A second attempt beside a slow first, as workers see it: elsewhere, once, and only ever of help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from test_worker_resuming import ONE, THREE, TWO, Thinking
from test_worker_spending import SMALL, Spending, spend
from worker_stage import Gate, Stage

from concertino.contracts.codec import encode
from concertino.contracts.errors import ModelUnavailable, SourceError
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Announcement, Begun, Result, Signal, Spent, Subtask, Work
from concertino.model.extractive import Extractive
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.runtime import Runtime
from kit.waiting import until

WORK = "result.echo.s1"


async def quick(brief: Subtask, context: Context) -> None:
    spend(context, "small", SMALL)


async def hedge(stage: Stage, work: Work) -> None:
    await stage.log.enqueue("interactive", structs.replace(work, attempt=2))


async def told(stage: Stage, wanted: Callable[[Fact], bool], what: str) -> Any:
    """The first fact that is ``wanted``, once it is in the log."""
    found: list[Fact] = []

    async def there() -> bool:
        found[:] = [fact for fact in await stage.log.read("t1") if wanted(fact)]
        return bool(found)

    await until(there, what)
    return found[0].message


async def spent(stage: Stage, worker: str) -> Spent:
    found = await told(stage, lambda f: isinstance(f.message, Spent) and f.message.worker == worker, f"{worker} books")
    assert isinstance(found, Spent)
    return found


async def result(stage: Stage) -> Result:
    found = await told(stage, lambda f: isinstance(f.message, Result), "a result")
    assert isinstance(found, Result)
    return found


async def superseded(stage: Stage) -> None:
    """What a coordinator says once it has seen the result of hedged work."""
    await stage.bus.publish(stage.subjects.signal("t1", WORK), encode(Signal(reason="another attempt was first")))


async def begun(stage: Stage, name: str) -> list[str]:
    return [str(fact.name) for fact in await stage.log.read("t1") if str(fact.name).startswith(f"begun.{name}")]


async def test_the_second_wins_and_the_first_is_aborted_and_booked_apart(stage: Stage) -> None:
    slow = Spending()
    await stage.replica(slow, told_after=0.02, slots=1)
    work = await stage.submit()
    first = await told(stage, lambda f: isinstance(f.message, Begun), "it goes on")
    assert first.hedge
    await stage.replica(quick)
    await hedge(stage, work)
    won = await result(stage)
    assert (won.worker, won.hedge, won.usage, won.attempts) == ("r2", True, SMALL, 1)
    await superseded(stage)
    lost = await spent(stage, "r1")
    assert (lost.why, lost.usage, lost.attempt) == ("another attempt was first", SMALL, 1)
    await stage.settled()


async def test_the_first_wins_and_the_second_is_aborted_and_booked_apart(stage: Stage) -> None:
    first, second = Spending(), Spending()
    await stage.replica(first, slots=1)
    work = await stage.submit()
    await until(lambda: first.began == 1)
    await stage.replica(second)
    await hedge(stage, work)
    await told(stage, lambda f: str(f.name).startswith(f"begun.{WORK}.2-"), "the second says at once that it is begun")
    await until(lambda: second.began == 1)
    first.end.set_result([])
    won = await result(stage)
    assert (won.worker, won.hedge) == ("r1", False)
    await superseded(stage)
    lost = await spent(stage, "r2")
    assert (lost.why, lost.usage) == ("another attempt was first", SMALL)
    await stage.settled()


async def conversing(stage: Stage) -> tuple[Thinking, Work]:
    """One that has had two answers, and waits for the third."""
    slow = Thinking()
    slow.holds = {3}
    await stage.replica(slow, slots=1)
    work = await stage.submit()
    await slow.until_asked(3)
    return slow, work


async def test_a_hedge_asks_again_only_for_what_the_slow_one_waits_for(stage: Stage) -> None:
    _, work = await conversing(stage)
    other = Thinking()
    await stage.replica(other)
    await hedge(stage, work)
    won = await result(stage)
    assert (won.hedge, won.spent, other.asked) == (True, {"small": ONE}, [3])
    await superseded(stage)
    assert (await spent(stage, "r1")).usage == TWO  # each call is booked once
    await stage.settled()


async def test_a_hedge_that_went_on_from_the_same_conversation_takes_nothing_from_the_slow_one(stage: Stage) -> None:
    slow, work = await conversing(stage)
    other = Thinking(turns=4)
    other.holds = {4}
    await stage.replica(other)
    await hedge(stage, work)
    await other.until_asked(4)
    slow.answers.set()
    won = await result(stage)
    assert (won.hedge, won.spent, slow.asked, slow.interrupted) == (False, {"small": THREE}, [1, 2, 3], 0)
    await superseded(stage)
    assert (await spent(stage, "r2")).usage == ONE
    await stage.settled()


async def test_both_facts_of_a_first_and_a_second_delivery_are_kept_apart(stage: Stage) -> None:
    """Each message counts its deliveries from 1: what both say of themselves stands in the log."""
    first, second = Spending(), Spending()
    await stage.replica(first, told_after=0.02, slots=1)
    work = await stage.submit()
    await told(stage, lambda f: isinstance(f.message, Begun), "it goes on")
    await stage.replica(second)
    await hedge(stage, work)
    await until(lambda: second.began == 1)
    await stage.log.write("t1", "result.echo.s1", Result())
    await superseded(stage)
    assert {(await spent(stage, worker)).usage == SMALL for worker in ("r1", "r2")} == {True}
    assert len(await begun(stage, WORK)) == 2


async def test_the_first_is_made_again_where_its_hedge_is_at_work_and_outlives_it(stage: Stage) -> None:
    """Its worker died, and it came to the replica of its hedge: that one brings nothing, and takes nobody along."""
    both, gate = [SourceError("not that way")], Gate()

    async def once(brief: Subtask, context: Context) -> None:
        await gate(brief, context)
        if both:
            raise both.pop()

    first = Gate()
    dying = await stage.replica(first, slots=1)
    work = await stage.submit()
    await first.until_begun()
    await stage.replica(once)
    await hedge(stage, work)
    await until(lambda: gate.began == 1)
    await stage.kill(dying)
    await stage.elapse(Settings().lease + 1)
    await until(lambda: gate.began == 2)
    gate.open.set()
    found = await result(stage)
    assert (found.hedge, found.status) == (False, "complete")
    await stage.settled()


async def test_whoever_is_at_it_leaves_it_to_others(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate)
    work = await stage.submit()
    await gate.until_begun()
    await hedge(stage, work)
    for _ in range(10):
        await stage.elapse(1)
        await asyncio.sleep(0.01)
    assert gate.began == 1  # the only replica there is: it waits in its queue,
    assert await begun(stage, f"{WORK}.2-") == []
    gate.open.set()
    assert (await result(stage)).worker == "r1"
    await stage.elapse(6)
    await stage.settled()  # and is dropped once the first has ended
    assert (gate.began, [str(f.name) for f in await stage.log.read("t1") if f.name.type in ("spent", "returned")]) == (1, [])


@pytest.mark.parametrize("error", [ModelUnavailable("overloaded"), SourceError("it is not there"), ValueError("a bug")])
async def test_a_second_that_fails_is_no_result_and_is_not_tried_again(stage: Stage, error: Exception) -> None:
    gate, asked = Gate(), list[bool]()
    await stage.replica(gate, slots=1)
    work = await stage.submit()
    await gate.until_begun()

    async def failing(brief: Subtask, context: Context) -> None:
        asked.append(context.last_attempt)
        spend(context, "small", SMALL)
        raise error

    await stage.replica(failing)
    await hedge(stage, work)
    lost = await spent(stage, "r2")
    assert str(error) in lost.why
    assert lost.usage == SMALL
    await stage.elapse(10)
    await asyncio.sleep(0.05)
    assert asked == [False]
    gate.open.set()
    assert (await result(stage)).worker == "r1"
    await stage.settled()


async def test_one_whose_worker_died_is_not_begun_again(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate, slots=1)
    work = await stage.submit()
    await gate.until_begun()
    await stage.log.write("t1", stage.subjects.begun(WORK, "2-1"), Begun(worker="dead"))
    other = Gate()
    await stage.replica(other)
    await hedge(stage, work)
    await until(lambda: hedge_is_gone(stage), "it is dropped")
    assert other.began == 0


async def hedge_is_gone(stage: Stage) -> bool:
    return await stage.queue() == (0, 1)  # the first is still at work


async def test_a_leaving_worker_lets_a_second_attempt_go(stage: Stage) -> None:
    first, second = Gate(), Gate()
    await stage.replica(first, slots=1)
    work = await stage.submit()
    await first.until_begun()
    leaving = await stage.replica(second)
    await hedge(stage, work)
    await until(lambda: second.began == 1)
    await leaving.drain(0)
    assert (await spent(stage, "r2")).why == "its worker left"
    assert await stage.queue() == (0, 1)


async def test_what_comes_after_the_result_is_dropped(stage: Stage) -> None:
    gate = Gate()
    await stage.log.write("t1", WORK, Result())
    await stage.replica(gate)
    await hedge(stage, Work(**await fields(stage)))
    await stage.settled()
    assert gate.began == 0


async def fields(stage: Stage) -> dict[str, Any]:
    brief = Subtask(id="s1", kind="echo", objective="say it")
    return {"task": "t1", "id": WORK, "attempt": 2, "request": "?", "brief": brief, "deadline": stage.server.now() + 60}


async def test_a_result_that_came_while_the_connection_was_down_ends_the_attempt(stage: Stage) -> None:
    slow, wire = Spending(), stage.wire()
    await stage.replica(slow, wire=wire)
    await stage.submit()
    await until(lambda: slow.began == 1)
    await stage.log.write("t1", WORK, Result(hedge=True))
    for callback in wire.reconnected:
        callback()
    assert (await spent(stage, "r1")).why == "another attempt was first"
    await stage.settled()


async def test_one_that_cannot_be_read_is_dropped_and_fails_nothing(stage: Stage) -> None:
    await stage.replica(Gate())
    subject = stage.subjects.work("interactive", "echo")
    await stage.bus.enqueue(subject, b"{", stage.subjects.message_id("t1", WORK, 2))
    await stage.settled()
    assert await stage.log.read("t1") == []


@pytest.mark.parametrize("reason", ["the kind", "internal"])
async def test_who_is_not_to_be_hedged_says_so(stage: Stage, reason: str) -> None:
    announcement = Announcement(
        kind="echo", description="Echoes.", replica="r1", slots=1, hedge=reason != "the kind", internal=reason == "internal"
    )
    gate = Gate()
    runtime = Runtime(
        announcement,
        gate,
        bus=stage.wire(),
        model=Extractive(),
        settings=Settings(),
        clock=stage.server.now,
        told_after=0.02,
    )
    await runtime.start()
    stage.runtimes.append(runtime)
    await stage.submit()
    assert not (await told(stage, lambda f: isinstance(f.message, Begun), "it goes on")).hedge
    gate.open.set()
    await asyncio.sleep(0)
