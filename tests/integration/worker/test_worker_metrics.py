"""What Prometheus sees of a worker."""

from __future__ import annotations

import contextlib

import pytest
from prometheus_client import REGISTRY, generate_latest
from structlog.testing import capture_logs
from worker_stage import KIND, Gate, Stage

from concertino.contracts.errors import LimitReached, ModelUnavailable, SourceError
from concertino.contracts.messages import Failure, Result, ResultStatus, Subtask, Usage
from concertino.model.port import Call
from concertino.worker import Context
from kit.counted import Counted
from kit.waiting import until


async def test_attempts_retries_and_failures_are_counted(stage: Stage) -> None:
    counted, errors = Counted(), [ModelUnavailable("away"), SourceError("gone")]
    left = iter(errors)

    async def handler(brief: Subtask, context: Context) -> None:
        raise next(left)

    async def ended() -> bool:
        await stage.elapse(2)
        return await stage.log.read_one("t1", "result.echo.s1") is not None

    await stage.replica(handler)
    await stage.submit()
    with capture_logs() as logs:
        await until(ended)
        await stage.settled()
    told = [(line["log_level"], line["event"], line.get("code")) for line in logs]
    assert told == [("warning", "trying again", None), ("warning", "failed for good", "source")]
    assert "gone" not in str(logs)
    assert counted("concertino_attempts_total", kind=KIND) == 2
    assert counted("concertino_redeliveries_total", kind=KIND) == 1
    assert counted("concertino_retries_total", kind=KIND, code="model_unavailable") == 1
    assert counted("concertino_results_total", kind=KIND, status="failed") == 1
    assert counted("concertino_failed_results_total", kind=KIND, code="source") == 1
    assert counted("concertino_work_seconds_count", kind=KIND, status="raised") == 2
    # The second time it had not waited in the queue since it was put there: a worker had it for a part of that time.
    assert counted("concertino_queue_seconds_count", kind=KIND, lane="interactive") == 1


async def test_what_runs_and_what_came_second_are_counted(stage: Stage) -> None:
    counted, gate = Counted(), Gate()
    await stage.replica(gate, slots=3)
    await stage.submit(lane="batch")
    await gate.until_begun()
    assert counted("concertino_in_flight", kind=KIND) == 1
    assert REGISTRY.get_sample_value("concertino_slots", {"kind": KIND}) == 3
    await stage.log.write("t1", "result.echo.s1", Result(worker="faster"))
    gate.open.set()
    await stage.settled()
    assert counted("concertino_in_flight", kind=KIND) == 0
    assert counted("concertino_late_results_total", kind=KIND) == 1
    assert counted("concertino_work_seconds_count", kind=KIND, status="complete") == 1
    assert counted("concertino_results_total", kind=KIND, status="complete") == 0  # it was the other's that counts


async def test_a_failure_that_came_second_is_no_failed_result(stage: Stage) -> None:
    counted, gate = Counted(), Gate()

    async def handler(brief: Subtask, context: Context) -> None:
        await gate(brief, context)
        raise SourceError("gone")

    await stage.replica(handler)
    await stage.submit()
    await gate.until_begun()
    await stage.log.write("t1", "result.echo.s1", Result(worker="faster"))
    gate.open.set()
    with capture_logs() as logs:
        await stage.settled()
    assert counted("concertino_late_results_total", kind=KIND) == 1
    assert counted("concertino_failed_results_total", kind=KIND, code="source") == 0
    assert [line["event"] for line in logs] == ["another attempt was first"]


async def test_what_waits_in_the_queue_is_timed_until_it_has_a_slot(stage: Stage) -> None:
    counted, gate = Counted(), Gate()
    await stage.replica(gate, slots=1)
    await stage.submit()
    await gate.until_begun()
    await stage.submit("result.echo.s2")
    await stage.elapse(7)
    gate.open.set()
    await stage.settled()
    assert counted("concertino_queue_seconds_count", kind=KIND, lane="interactive") == 2
    assert counted("concertino_queue_seconds_sum", kind=KIND, lane="interactive") == 7


async def test_causes_that_handlers_invent_are_other(stage: Stage) -> None:
    counted = Counted()

    async def handler(brief: Subtask, context: Context) -> Result:
        return Result(status=ResultStatus.FAILED, error=Failure(code=f"mine-{brief.id}", message="no"))

    await stage.replica(handler)
    for i in range(3):
        await stage.submit(f"result.echo.s{i}")
    await stage.settled()
    assert counted("concertino_failed_results_total", kind=KIND, code="other") == 3
    assert "mine-" not in generate_latest().decode()


async def test_calls_beyond_what_a_brief_allows_are_counted(stage: Stage) -> None:
    counted = Counted()

    async def look(at: str) -> str:
        """Look."""
        return at

    async def handler(brief: Subtask, context: Context) -> None:
        context.tools.add(look)
        for at in ("here", "there"):
            with contextlib.suppress(LimitReached):
                await context.tools.call("look", at=at)

    await stage.replica(handler)
    await stage.submit(max_calls=1)
    await stage.result()
    assert counted("concertino_tool_calls_total", kind=KIND, ended="ok") == 1
    assert counted("concertino_tool_calls_total", kind=KIND, ended="limit") == 1


async def test_what_models_take_is_counted(stage: Stage) -> None:
    counted = Counted()
    usage = Usage(model_calls=1, input_tokens=100, output_tokens=10, cache_read_tokens=900, cost_usd=0.25, web_searches=3)

    async def handler(brief: Subtask, context: Context) -> None:
        context.hooks.on_call(Call(model="claude", usage=usage, seconds=2.0, ended="end_turn"))

    await stage.replica(handler)
    await stage.submit()
    await stage.result()
    assert counted("concertino_model_calls_total", kind=KIND, model="claude", ended="end_turn") == 1
    assert counted("concertino_tokens_total", kind=KIND, model="claude", type="cache_read") == 900
    assert counted("concertino_cost_dollars_total", kind=KIND, model="claude") == 0.25
    assert counted("concertino_provider_searches_total", kind=KIND, model="claude") == 3
    assert counted("concertino_unpriced_calls_total", kind=KIND, model="claude") == 0
    assert counted("concertino_model_call_seconds_sum", kind=KIND, model="claude") == 2.0


@pytest.mark.parametrize("usage", [Usage(cost_usd=float("nan")), Usage(cost_usd=1e308), Usage(output_tokens=-1)])
async def test_what_no_model_can_take_is_a_bug_of_it_and_not_counted(stage: Stage, usage: Usage) -> None:
    counted = Counted()

    async def handler(brief: Subtask, context: Context) -> None:
        context.hooks.on_call(Call(model="claude", usage=Usage(model_calls=1, cost_usd=0.25), seconds=2.0, ended="end_turn"))
        context.hooks.on_call(Call(model="claude", usage=usage, seconds=2.0, ended="end_turn"))

    await stage.replica(handler)
    with capture_logs():
        await stage.submit()
        result = await stage.result()
    assert result.error is not None
    assert (result.error.code, "a call of claude" in result.error.message) == ("bug", True)
    assert result.usage == Usage(model_calls=1, cost_usd=0.25)
    assert counted("concertino_cost_dollars_total", kind=KIND, model="claude") == 0.25
