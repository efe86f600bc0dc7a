"""The caller asks to finish, as workers see it: what is at work says so and writes up, what is not is not begun."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs
from worker_stage import Gate, Stage

from concertino.contracts.codec import encode
from concertino.contracts.messages import Begun, Finding, Finish, Limits, Result, Returned, Signal, Subtask
from concertino.worker import Context
from concertino.worker import signals as module
from kit.waiting import until

WORK = "result.echo.s1"


class Reader:
    """Works until it is asked to finish, and returns what it has."""

    def __init__(self) -> None:
        self.began, self.patient = 0, True

    async def __call__(self, brief: Subtask, context: Context) -> list[Finding]:
        self.began += 1
        while self.patient and not context.finishing:
            await asyncio.sleep(0.01)
        return [Finding(claim=f"{brief.id}: as far as I got")]


async def say(stage: Stage) -> None:
    """What a coordinator does once it has read the wish."""
    await stage.bus.publish(stage.subjects.finish_signal("t1"), encode(Signal(reason="the caller asked to finish")))


async def wish(stage: Stage) -> None:
    assert await stage.log.write("t1", "finish", Finish())


async def names(stage: Stage) -> list[str]:
    return [str(fact.name) for fact in await stage.log.read("t1")]


async def there(stage: Stage, name: str) -> None:
    async def found() -> bool:
        return name in await names(stage)

    await until(found, name)


async def test_who_is_at_work_says_so_at_once_and_what_it_returns_counts(stage: Stage) -> None:
    reader = Reader()
    await stage.replica(reader)  # which tells of work that takes a second
    await stage.submit()
    await until(lambda: reader.began == 1)
    assert f"begun.{WORK}.1" not in await names(stage)

    await say(stage)

    result = await stage.result()
    assert isinstance(result, Result)
    assert [finding.claim for finding in result.findings] == ["s1: as far as I got"]
    assert f"begun.{WORK}.1" in await names(stage)
    await stage.settled()


async def test_who_does_not_look_is_ended_when_its_time_is_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITING_UP", 1.3)
    gate = Gate()
    await stage.replica(gate)
    await stage.submit()
    await gate.until_begun()

    await say(stage)

    result = await stage.result()
    assert gate.interrupted == 1
    assert result.error is not None
    assert result.error.code == "deadline"
    assert result.error.message == "the caller asked to finish, and the time to write up was over before it was done"


async def test_what_waits_for_a_slot_or_comes_later_is_not_begun(stage: Stage) -> None:
    reader = Reader()
    await stage.replica(reader, slots=1)
    await stage.submit(lane="batch")
    await until(lambda: reader.began == 1)
    await stage.submit("result.echo.s2")

    async def taken() -> bool:
        return await stage.queue() == (0, 2)

    await until(taken, "the second waits for the slot")
    await stage.submit("result.echo.other", task="t2")

    await say(stage)
    await stage.submit("result.echo.s3")

    await stage.result()
    reader.patient = False
    await stage.result("result.echo.other", task="t2")
    await stage.settled()
    assert reader.began == 2
    assert [name for name in await names(stage) if name.startswith("result")] == [WORK]


async def test_who_did_not_hear_it_finds_it_in_the_log(stage: Stage) -> None:
    await wish(stage)
    await stage.submit()
    await stage.submit("plan.0")  # only what is done for a result is of no use any more
    await stage.elapse(2)
    reader = Reader()
    reader.patient = False

    await stage.replica(reader)

    await stage.result("plan.0")
    await stage.settled()
    assert reader.began == 1


async def test_what_comes_back_is_not_begun_again(stage: Stage) -> None:
    await stage.submit()
    await stage.take_and_die(1)
    await wish(stage)
    reader = Reader()

    await stage.replica(reader)

    await stage.settled()
    assert reader.began == 0


async def test_who_was_cut_off_when_it_was_said_finds_it_on_coming_back(stage: Stage) -> None:
    reader, wire = Reader(), stage.wire()
    await stage.replica(reader, wire=wire)
    await stage.submit()
    await until(lambda: reader.began == 1)
    await wish(stage)

    for reconnected in wire.reconnected:
        reconnected()

    assert (await stage.result()).error is None


async def test_a_drain_hands_back_what_it_is_to_finish(stage: Stage) -> None:
    gate = Gate()
    runtime = await stage.replica(gate)
    await stage.submit()
    await gate.until_begun()
    await say(stage)
    await there(stage, f"begun.{WORK}.1")

    await runtime.drain(0)

    facts = {str(fact.name): fact.message for fact in await stage.log.read("t1")}
    assert isinstance(facts[f"returned.{WORK}.1"], Returned)


async def test_work_may_take_as_long_as_its_brief_allows(stage: Stage) -> None:
    gate, seen = Gate(), list[float]()

    async def handle(brief: Subtask, context: Any) -> None:
        seen.append(context.work.deadline)
        await gate(brief, context)

    await stage.replica(handle)
    await stage.submit(max_seconds=0.2)

    error = (await stage.result()).error
    assert error is not None
    assert (error.code, error.message) == ("deadline", "the 0.2 s that it may take (max_seconds) were up before it was done")
    assert gate.interrupted == 1
    assert seen == [stage.server.now() + 0.2]


async def test_another_attempt_has_what_the_first_has_left(stage: Stage) -> None:
    await stage.submit(max_seconds=8.0)
    assert await stage.log.write("t1", f"begun.{WORK}.1", Begun(worker="r0", seconds=1.0))
    await stage.take_and_die(1)  # which takes a lease
    gate = Gate()

    await stage.replica(gate)

    error = (await stage.result()).error
    assert error is not None
    assert error.message == "the 8 s that it may take (max_seconds) were up while it waited in its queue"
    assert gate.began == 0


async def test_what_may_not_wait_long_says_that_it_has_begun_before_it_can_end_its_worker(stage: Stage) -> None:
    said: list[bool] = []

    async def look(brief: Subtask, context: Context) -> None:
        said.append(await stage.log.read_one("t1", f"begun.{context.work.id}.1") is not None)

    await stage.replica(look, told_after=3600)
    work = await stage.submit("result.echo.any")
    await stage.result("result.echo.any")
    await stage.log.enqueue("interactive", structs.replace(work, id=WORK, limits=Limits(max_queued=5.0)))
    await stage.result(WORK)
    assert said == [False, True]


async def test_what_could_not_say_so_at_once_says_it_soon(stage: Stage) -> None:
    gate, wire = Gate(), stage.wire()
    await stage.replica(gate, wire=wire, told_after=4.0)
    work = await stage.submit("result.echo.any")
    await gate.until_begun()
    wire.refuses_writes = 1
    await stage.log.enqueue("interactive", structs.replace(work, id=WORK, limits=Limits(max_queued=5.0)))
    await gate.until_begun(2)
    await there(stage, f"begun.{WORK}.1")
    [begun] = [fact.message for fact in await stage.log.read("t1") if str(fact.name) == f"begun.{WORK}.1"]
    assert isinstance(begun, Begun)
    assert begun.seconds < 4.0  # when other work is told of
    assert wire.refuses_writes == 0
    gate.open.set()
