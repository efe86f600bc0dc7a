"""Work that goes from one worker to another: what was kept of it, who learns of it, and what it costs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from worker_stage import Gate, Said, Stage

from concertino.contracts.codec import decode
from concertino.contracts.errors import BusUnavailable, ModelUnavailable
from concertino.contracts.messages import Begun, Checkpoint, Ledger, Limits, Record, ResultStatus, Spent, Subtask, Usage
from concertino.contracts.state import fold
from concertino.contracts.trace import Trace
from concertino.model.port import Call, Estimate
from concertino.runtime.settings import Settings
from concertino.telemetry import tracing
from concertino.worker import Context
from concertino.worker.intake import QUEUED_LONG
from concertino.worker.journal import Checkpoints
from kit.waiting import until

ONE = Usage(model_calls=1, input_tokens=100, output_tokens=10, cost_usd=0.25)
TWO = Usage(model_calls=2, input_tokens=200, output_tokens=20, cost_usd=0.5)
THREE = Usage(model_calls=3, input_tokens=300, output_tokens=30, cost_usd=0.75)
WORK = "result.echo.s1"
THERE = Trace("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "vendor=1")


class Thinking:
    """Asks a model for ``turns`` answers, each as an adapter does. Those in ``holds`` wait for ``answers``."""

    def __init__(self, turns: int = 3) -> None:
        self.turns = turns
        self.asked: list[int] = []
        self.answered: list[int] = []
        self.answers = asyncio.Event()
        self.holds: set[int] = set()
        self.interrupted = 0
        self.ends: list[BaseException] = []

    async def __call__(self, brief: Subtask, context: Context) -> Any:
        try:
            for turn in range(1, self.turns + 1):
                await self.turn(turn, context)
            if self.ends:
                raise self.ends.pop(0)
        except asyncio.CancelledError:
            self.interrupted += 1
            raise

    async def turn(self, turn: int, context: Context) -> None:
        journal, key = context.hooks.journal, f"turn {turn}"
        await journal.begin()
        if journal.recall(key):
            return
        await journal.turn()
        with journal.step():
            self.asked.append(turn)
            if turn in self.holds:
                await self.answers.wait()
            self.answered.append(turn)
            await journal.keep(Record(key=key, value=turn, answer=True, spent={"small": ONE}))
            context.hooks.on_call(Call(model="small", usage=ONE, seconds=1.0, ended="end_turn"))

    async def until_asked(self, turn: int) -> None:
        await until(lambda: turn in self.asked, f"turn {turn} is asked")


async def test_whoever_takes_it_over_goes_on_at_the_next_turn_and_books_what_was_paid(stage: Stage) -> None:
    thinking = Thinking()
    thinking.holds = {3}
    await stage.submit()
    await died(stage, thinking, 3)
    thinking.holds = set()
    await stage.replica(thinking)
    result = await stage.result()
    assert thinking.asked == [1, 2, 3, 3]  # the last of them had not been answered
    assert (result.worker, result.attempts, result.spent) == ("r2", 2, {"small": TWO + ONE})


async def test_work_that_kills_every_worker_says_what_was_paid_for_it(stage: Stage) -> None:
    settings = Settings(attempts=2)
    thinking = Thinking()
    await stage.submit()
    for turn in (2, 3, 3, 3):  # the first two got further
        thinking.holds = {turn}
        await died(stage, thinking, turn, settings)
    await stage.replica(thinking, settings=settings)
    result = await stage.result()
    assert result.error
    assert (result.error.code, result.spent) == ("abandoned", {"small": TWO})


async def test_a_conversation_that_gets_further_each_time_is_not_given_up(stage: Stage) -> None:
    settings = Settings(attempts=2)
    thinking = Thinking(turns=6)
    await stage.submit()
    for turn in range(2, 7):
        thinking.holds = {turn}
        await died(stage, thinking, turn, settings)
    thinking.holds = set()
    await stage.replica(thinking, settings=settings)
    result = await stage.result()
    assert (result.status, result.attempts) == (ResultStatus.COMPLETE, 6)
    assert thinking.answered == [1, 2, 3, 4, 5, 6]
    assert result.usage.model_calls == 6


async def test_what_brings_answers_and_fails_of_each_is_tried_no_more_often_than_allowed(stage: Stage) -> None:
    thinking = Thinking(turns=9)

    async def fails(brief: Subtask, context: Context) -> None:
        await thinking.turn(len(thinking.answered) + 1, context)
        raise BusUnavailable("not now")

    await stage.replica(fails, settings=Settings(attempts=3))
    await stage.submit()

    async def over() -> bool:
        await stage.elapse(1)
        return await stage.log.read_one("t1", WORK) is not None

    await until(over)
    assert ((await stage.result()).attempts, thinking.answered) == (3, [1, 2, 3])


async def test_a_worker_that_lost_its_lease_hears_of_it_and_asks_nothing_more(stage: Stage) -> None:
    frozen, other = Thinking(), Thinking()
    wire = stage.wire()
    wire.leases_are_lost = True
    frozen.holds = {2}
    await stage.replica(frozen, wire=wire, slots=1)
    await stage.submit()
    await frozen.until_asked(2)
    other.holds = {3}
    await stage.replica(other)
    await stage.elapse(Settings().lease + 1)
    await other.until_asked(3)
    await until(lambda: frozen.interrupted == 1)
    assert (await spent(stage, 1)).usage == Usage()  # what it paid for was kept, and whoever goes on books it
    assert await stage.queue() == (0, 1)  # it did not settle what it does not hold any more
    other.answers.set()
    assert (await stage.result()).spent == {"small": ONE + TWO}
    assert (frozen.asked, other.asked) == ([1, 2], [2, 3])


async def test_one_that_heard_nothing_finds_its_place_taken_when_it_keeps_its_next_turn(stage: Stage) -> None:
    frozen, other = Thinking(), Thinking()
    wire = stage.wire()
    wire.leases_are_lost = wire.hears_nothing = True
    frozen.holds, other.holds = {2}, {3}
    await stage.replica(frozen, wire=wire, slots=1)
    await stage.submit()
    await frozen.until_asked(2)
    await stage.replica(other)
    await stage.elapse(Settings().lease + 1)
    await other.until_asked(3)
    assert frozen.interrupted == 0
    frozen.answers.set()
    await until(lambda: frozen.interrupted == 1)
    assert frozen.asked == [1, 2]
    other.answers.set()
    assert (await stage.result()).spent == {"small": ONE + TWO}


async def test_one_that_wakes_after_its_lease_lets_be_what_another_has_begun(stage: Stage) -> None:
    frozen, other = Thinking(), Thinking()
    wire = stage.wire()
    wire.flows.clear()
    await stage.replica(frozen, wire=wire, slots=1)
    await stage.submit()
    other.holds = {2}
    await until(lambda: taken(stage), "the frozen one has it, and does not know")
    await stage.replica(other)
    await stage.elapse(Settings().lease + 1)
    await other.until_asked(2)
    wire.flows.set()
    await until(lambda: wire.newest_read > 0, "it looks before it begins")
    other.answers.set()
    assert (await stage.result()).worker == "r2"
    assert (frozen.asked, other.asked) == ([], [1, 2, 3])
    await stage.settled()  # by the one that has it


async def taken(stage: Stage) -> bool:
    return await stage.queue() == (0, 1)


async def test_one_that_was_cut_off_reads_that_it_was_taken_over_when_it_is_back(stage: Stage) -> None:
    frozen, other = Gate(), Gate()  # no model is asked: there are no turns at which it could find out
    wire = stage.wire()
    wire.leases_are_lost = wire.hears_nothing = True
    await stage.replica(frozen, wire=wire, slots=1)
    await stage.submit()
    await frozen.until_begun()
    for callback in wire.reconnected:
        callback()
    await stage.replica(other)
    await stage.elapse(Settings().lease + 1)
    await other.until_begun()
    assert frozen.interrupted == 0  # nobody had it when it looked
    for callback in wire.reconnected:
        callback()
    await until(lambda: frozen.interrupted == 1)
    other.open.set()
    assert (await stage.result()).worker == "r2"


async def test_work_that_comes_again_to_whoever_is_at_it_goes_on(stage: Stage) -> None:
    thinking = Thinking()
    thinking.holds = {2}
    wire = stage.wire()
    wire.leases_are_lost = True
    await stage.replica(thinking, wire=wire)
    await stage.submit()
    await thinking.until_asked(2)
    await stage.elapse(Settings().lease + 1)
    wire.leases_are_lost = False
    await stage.elapse(1)
    assert await stage.queue() == (0, 1)
    thinking.answers.set()
    result = await stage.result()
    await stage.settled()
    assert (thinking.asked, thinking.interrupted, result.attempts) == ([1, 2, 3], 0, 1)
    assert await stage.queue() == (0, 0)


async def test_work_that_comes_again_while_its_result_waits_to_be_written_is_not_done_again(stage: Stage) -> None:
    thinking = Thinking()
    thinking.holds = {3}
    wire = stage.wire()
    await stage.replica(thinking, wire=wire)
    await stage.submit()
    await thinking.until_asked(3)
    wire.leases_are_lost, wire.refuses_writes = True, 10**9
    thinking.answers.set()
    await until(lambda: wire.refuses_writes <= 10**9 - 2, "neither the turn nor the result can be written")
    await stage.elapse(Settings().lease + 1)
    wire.leases_are_lost, wire.refuses_writes = False, 0
    result = await stage.result()
    await stage.settled()
    assert (thinking.asked, result.attempts, result.spent) == ([1, 2, 3], 1, {"small": THREE})


async def test_work_that_comes_again_to_whoever_lost_it_and_does_not_end_is_begun_again(stage: Stage) -> None:
    ends, other, began = asyncio.Event(), Gate(), list[int]()

    async def stays(brief: Subtask, context: Context) -> None:
        began.append(len(began))
        while len(began) == 1 and not ends.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await ends.wait()

    wire = stage.wire()
    wire.leases_are_lost = True
    staying = await stage.replica(stays, wire=wire, slots=2)
    await stage.submit()
    await until(lambda: bool(began))
    for consumption in staying._consumptions:
        consumption._slots = 0  # type: ignore[attr-defined]
    dying = await stage.replica(other)
    await stage.elapse(Settings().lease + 1)
    await other.until_begun()
    await until(lambda: all(job.context.cancelled for job in staying._roster.jobs()), "it is told that another has the work")
    wire.leases_are_lost = False
    for consumption in staying._consumptions:
        consumption._slots = 2  # type: ignore[attr-defined]
    await stage.kill(dying)
    await stage.elapse(Settings().lease + 1)
    assert ((await stage.result()).worker, began) == ("r1", [0, 1])
    ends.set()


async def test_a_leaving_worker_hands_over_at_the_next_turn(stage: Stage) -> None:
    leaving, other = Thinking(), Thinking()
    leaving.holds = {2}
    first = await stage.replica(leaving)
    await stage.submit()
    await leaving.until_asked(2)
    draining = asyncio.create_task(first.drain(grace=3600))
    await until(lambda: not first.alive)
    assert leaving.interrupted == 0  # what is under way is waited for
    leaving.answers.set()
    await draining
    assert (leaving.answered, leaving.interrupted) == ([1, 2], 1)
    booked = await spent(stage, 1)
    assert (booked.why, booked.usage) == ("handed back", TWO)
    await stage.replica(other)
    result = await stage.result()
    assert (other.asked, result.attempts, result.spent) == ([3], 1, {"small": ONE})  # the rest is booked already


async def test_a_worker_that_leaves_while_nothing_is_under_way_hands_over_at_once(stage: Stage) -> None:
    waits, other = Thinking(), Thinking()

    async def waiting(brief: Subtask, context: Context) -> Any:
        await waits.turn(1, context)
        await asyncio.sleep(3600)  # as for an API that is overloaded

    first = await stage.replica(waiting)
    await stage.submit()
    await until(lambda: waits.answered == [1])
    await first.drain(grace=3600)
    await stage.replica(other)
    assert (await stage.result()).attempts == 1
    assert other.asked == [2, 3]


async def test_another_try_pays_for_no_turn_again(stage: Stage) -> None:
    thinking = Thinking()
    thinking.ends = [ModelUnavailable("overloaded")]
    await stage.replica(thinking)
    await stage.submit()
    await until(lambda: thinking.asked == [1, 2, 3])
    booked = await spent(stage, 1)

    async def tried_again() -> bool:
        await stage.elapse(1)
        return await stage.log.read_one("t1", WORK) is not None

    await until(tried_again)
    result = await stage.result()
    assert thinking.asked == [1, 2, 3]
    assert (booked.usage, result.usage, result.attempts) == (TWO + ONE, Usage(), 2)


async def test_what_comes_for_the_first_time_reads_nothing_and_keeps_nothing_without_a_model(stage: Stage) -> None:
    gate = Gate()
    gate.open.set()
    wire = stage.wire()
    await stage.replica(gate, wire=wire)
    await stage.submit()
    assert (await stage.result()).status == ResultStatus.COMPLETE
    await stage.settled()
    assert wire.newest_read == 0
    assert await stage.bus.read(stage.subjects.checkpoints_stream, ">") == []


@pytest.mark.parametrize("later", [0.0, QUEUED_LONG])
async def test_deliveries_that_are_counted_anew_pay_for_no_turn_again(stage: Stage, later: float) -> None:
    """The consumer of the queue was deleted: who made it anew begins with the first delivery."""
    first, other = Thinking(), Thinking()
    first.holds = {2}
    dying = await stage.replica(first, told_after=0.02)
    await stage.submit()
    await first.until_asked(2)
    await until(lambda: all(job.told for job in dying._roster.jobs()), "it says that it has begun")
    await stage.kill(dying)
    await stage.elapse(later)
    stage.server._consumers.clear()
    await stage.replica(other)
    result = await stage.result()
    assert (first.asked, other.asked, result.spent) == ([1, 2], [2, 3], {"small": ONE + TWO})
    took_over = [c for c in await checkpoints(stage) if c.worker == "r2" and not c.records]
    assert [c.delivery for c in took_over] == [2], "it was read once, and counts on"
    begun = await stage.log.read_one("t1", stage.subjects.begun(WORK, 2))
    assert begun
    assert begun.message == Begun(worker="r2", attempt=1, hedge=True)


async def test_who_turns_out_not_to_be_the_first_points_at_the_span_of_who_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[Trace] = []
    monkeypatch.setattr(tracing._Nothing, "link", lambda span, trace: links.append(trace))
    first, other = Thinking(), Thinking()
    first.holds = {2}
    dying = await stage.replica(first, told_after=0.02)
    with tracing.carrying(THERE):
        await stage.submit()
    await first.until_asked(2)
    await until(lambda: all(job.told for job in dying._roster.jobs()), "it says that it has begun")
    await stage.kill(dying)
    stage.server._consumers.clear()
    await stage.replica(other)
    await stage.result()
    assert links == [THERE]


async def test_who_had_it_hears_that_another_was_told_that_it_is_the_first(stage: Stage) -> None:
    """It waits for a model, and would wait on: its next turn is far."""
    first, other = Thinking(), Thinking()
    first.holds = {2}
    await stage.replica(first, slots=1)  # so it takes nothing else
    await stage.submit()
    await first.until_asked(2)
    stage.server._consumers.clear()
    other.holds = {3}
    await stage.replica(other)
    await other.until_asked(3)
    await until(lambda: first.interrupted == 1, "the first is told")
    other.answers.set()
    assert (await stage.result()).worker == "r2"
    assert (other.interrupted, first.answered) == (0, [1])


async def test_what_is_booked_where_deliveries_are_counted_anew_stands_beside_what_was_booked_before(stage: Stage) -> None:
    """Each of two first deliveries pays for a turn, fails, and is to be tried again."""
    thinking = Thinking()

    async def fails(brief: Subtask, context: Context) -> None:
        for turn in range(1, len(thinking.answered) + 2):  # one more than there were
            await thinking.turn(turn, context)
        raise ModelUnavailable("overloaded")

    await stage.submit()
    for number in (1, 2):
        runtime = await stage.replica(fails)
        booked = await spent(stage, number)
        assert (booked.worker, booked.usage) == (f"r{number}", ONE)
        await stage.kill(runtime)
        stage.server._consumers.clear()
    await stage.replica(thinking)
    result = await stage.result()
    lost = fold("t1", await stage.log.read("t1")).lost.values()
    assert sum((one.usage for one in lost), result.usage) == THREE
    assert thinking.answered == [1, 2, 3]


async def test_what_a_dead_first_delivery_had_reserved_keeps_nobody_waiting_where_they_are_counted_anew(stage: Stage) -> None:
    """It stays taken, as it may be billed. But nobody waits for what is left of it: there is none who could give it back."""
    estimate = Estimate("m", "work", 100, 900, 0.0, 0.0)
    first, other = Thinking(), Thinking()

    async def spends(brief: Subtask, context: Context) -> None:
        thinking = other if stage.runtimes[-1] is not dying else first
        purse = context.hooks.purse
        assert purse
        await thinking.turn(1, context)
        await purse.reserve(estimate)
        await thinking.turn(2, context)

    first.holds = {2}
    dying = await stage.replica(spends)
    await stage.submit(limits=Limits(max_tokens=10_000))
    await first.until_asked(2)
    await stage.kill(dying)
    stage.server._consumers.clear()
    await stage.replica(spends)
    await stage.result()
    ledger = decode(Ledger, (await stage.bus.get_key(stage.subjects.budget_bucket, "t1")).value or b"")
    assert [(hold.delivery, hold.over) for hold in ledger.holds] == [(1, True), (2, False)]


async def test_who_follows_sees_that_it_was_begun_again_at_once(stage: Stage) -> None:
    thinking, gate = Thinking(), Gate()
    thinking.holds = {1}
    await stage.submit()
    await died(stage, thinking, 1)
    async with Said(stage):
        await stage.replica(gate)
        await gate.until_begun()
        fact = await stage.log.read_one("t1", stage.subjects.begun(WORK, 2))
    gate.open.set()
    assert fact
    assert isinstance(fact.message, Begun)
    assert (fact.message.worker, fact.message.attempt) == ("r2", 2)


async def died(stage: Stage, thinking: Thinking, turn: int, settings: Settings | None = None) -> None:
    """A worker takes it, asks for ``turn``, and is never heard of again; its lease runs out."""
    asked = thinking.asked.count(turn)
    runtime = await stage.replica(thinking, settings=settings)
    await until(lambda: thinking.asked.count(turn) > asked)
    await stage.kill(runtime)
    await stage.elapse(Settings().lease + 1)


async def spent(stage: Stage, delivery: int) -> Spent:
    fact = None

    async def there() -> bool:
        nonlocal fact
        fact = await stage.log.read_one("t1", stage.subjects.spent(WORK, delivery))
        return fact is not None

    await until(there, "what it took is booked")
    assert fact
    assert isinstance(fact.message, Spent)
    return fact.message


async def checkpoints(stage: Stage) -> list[Checkpoint]:
    return await Checkpoints(stage.bus, stage.subjects, "t1", WORK, 1).all()
