"""What models take is in the log, whatever became of the work: in its result, or as a fact of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from worker_stage import KIND, Gate, Stage

from concertino.contracts.codec import encode
from concertino.contracts.errors import Invalid, ModelUnavailable
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Begun, Plan, Result, ResultStatus, Signal, Spent, Submitted, Subtask, Usage
from concertino.contracts.state import fold
from concertino.model.port import Call
from concertino.worker import Context
from kit.waiting import until

SMALL = Usage(model_calls=1, input_tokens=100, output_tokens=10, cost_usd=0.25)
LARGE = Usage(model_calls=1, input_tokens=1000, output_tokens=50, cost_usd=1.0)


def spend(context: Context, model: str, usage: Usage) -> None:
    context.hooks.on_call(Call(model=model, usage=usage, seconds=1.0, ended="end_turn"))


class Spending:
    """Spends a call, then waits to be told how to end."""

    def __init__(self) -> None:
        self.began = 0
        self.end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def __call__(self, brief: Subtask, context: Context) -> Any:
        self.began += 1
        spend(context, "small", SMALL)
        return await asyncio.shield(self.end)


async def spent(stage: Stage, delivery: int = 1) -> Spent:
    fact: Fact | None = None

    async def there() -> bool:
        nonlocal fact
        fact = await stage.log.read_one("t1", stage.subjects.spent("result.echo.s1", delivery))
        return fact is not None

    await until(there, "spending is booked")
    assert fact is not None
    assert isinstance(fact.message, Spent)
    return fact.message


async def total(stage: Stage) -> Usage:
    plan = Plan(subtasks=(Subtask(id="s1", kind=KIND, objective="say hello"),))
    await stage.log.write("t1", "submitted", Submitted(request="say hello", plan=plan))
    return fold("t1", await stage.log.read("t1")).usage


async def test_a_result_says_what_was_spent_on_it_by_model(stage: Stage) -> None:
    async def handler(brief: Subtask, context: Context) -> None:
        for model, usage in (("small", SMALL), ("large", LARGE), ("small", SMALL)):
            spend(context, model, usage)

    await stage.replica(handler)
    await stage.submit()
    result = await stage.result()
    assert result.spent == {"small": SMALL + SMALL, "large": LARGE}
    assert result.usage == SMALL + SMALL + LARGE
    assert result.model == "small+large"


async def test_a_failure_says_what_was_spent_on_it(stage: Stage) -> None:
    async def handler(brief: Subtask, context: Context) -> None:
        spend(context, "small", SMALL)
        raise Invalid("no")

    await stage.replica(handler)
    await stage.submit()
    result = await stage.result()
    assert (result.status, result.usage, result.spent) == (ResultStatus.FAILED, SMALL, {"small": SMALL})


async def test_an_attempt_that_is_tried_again_is_booked_beside_the_result(stage: Stage) -> None:
    attempts = iter((ModelUnavailable("overloaded"), None))

    async def handler(brief: Subtask, context: Context) -> None:
        spend(context, "small", SMALL)
        if error := next(attempts):
            raise error

    await stage.replica(handler)
    await stage.submit()
    booked = await spent(stage)
    assert booked == Spent(
        worker="r1",
        why="overloaded",
        code="model_unavailable",
        category="overloaded",
        attempt=1,
        seconds=booked.seconds,
        usage=SMALL,
        spent={"small": SMALL},
    )
    await stage.elapse(5)
    assert (await stage.result()).usage == SMALL
    assert await total(stage) == SMALL + SMALL


async def test_what_was_handed_back_is_booked(stage: Stage) -> None:
    handler = Spending()
    first = await stage.replica(handler)
    await stage.submit()
    await until(lambda: handler.began == 1)
    await first.drain(0)
    assert (await spent(stage)).why == "handed back"


async def test_what_was_cancelled_is_booked(stage: Stage) -> None:
    handler = Spending()
    await stage.replica(handler)
    await stage.submit()
    await until(lambda: handler.began == 1)
    await stage.bus.publish(stage.subjects.signal("t1"), encode(Signal(reason="enough")))
    assert (await spent(stage)).usage == SMALL
    await stage.settled()


async def test_who_comes_second_is_booked_apart(stage: Stage) -> None:
    handler = Spending()
    await stage.replica(handler)
    await stage.submit()
    await until(lambda: handler.began == 1)
    await stage.log.write("t1", "result.echo.s1", Result(worker="faster", usage=LARGE))
    handler.end.set_result(None)
    assert (await spent(stage)).why == "another attempt was first"
    assert await total(stage) == SMALL + LARGE
    await stage.settled()


async def test_where_no_model_was_asked_an_attempt_in_vain_is_booked_with_its_time(stage: Stage) -> None:
    began = 0

    async def handler(brief: Subtask, context: Context) -> None:
        nonlocal began
        began += 1
        if began == 1:
            await asyncio.sleep(0.02)
            raise ModelUnavailable("away")

    async def tried_again() -> bool:
        await stage.elapse(2)
        return began == 2

    await stage.replica(handler)
    await stage.submit()
    await until(tried_again)
    result = await stage.result()
    booked = await spent(stage)
    assert booked == Spent(
        worker="r1", why="away", code="model_unavailable", category="overloaded", attempt=1, seconds=booked.seconds
    )
    assert 0.02 <= booked.seconds < 5
    assert result.seconds < booked.seconds
    assert [str(fact.name) for fact in await stage.log.read("t1")] == ["spent.result.echo.s1.1", "result.echo.s1"]


async def test_a_failure_says_how_long_it_took(stage: Stage) -> None:
    async def handler(brief: Subtask, context: Context) -> None:
        await asyncio.sleep(0.02)
        raise Invalid("no")

    await stage.replica(handler)
    await stage.submit()
    assert 0.02 <= (await stage.result()).seconds < 5


async def test_what_goes_on_for_long_says_so_once(stage: Stage) -> None:
    gate, wire = Gate(), stage.wire()
    wire.refuses_writes = 2
    await stage.replica(gate, wire=wire, told_after=0.02)
    await stage.submit()

    async def told() -> bool:
        return await stage.log.read_one("t1", stage.subjects.begun("result.echo.s1", 1)) is not None

    await until(told)
    gate.open.set()
    await stage.result()
    begun, result = await stage.log.read("t1")
    assert isinstance(begun.message, Begun)
    assert begun.message == Begun(worker="r1", attempt=1, seconds=begun.message.seconds, hedge=True)
    assert begun.message.seconds >= 0.03  # it was refused twice, and says since when the work goes on, not the telling
    assert str(result.name) == "result.echo.s1"


async def test_what_is_over_soon_costs_no_message_more(stage: Stage) -> None:
    async def handler(brief: Subtask, context: Context) -> None:
        return

    await stage.replica(handler, told_after=0.05)
    await stage.submit()
    await stage.result()
    await asyncio.sleep(0.1)
    assert [str(fact.name) for fact in await stage.log.read("t1")] == ["result.echo.s1"]
