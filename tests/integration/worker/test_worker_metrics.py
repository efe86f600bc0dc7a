"""What Prometheus sees of a worker."""

from __future__ import annotations

from prometheus_client import REGISTRY
from worker_stage import KIND, Gate, Stage

from concertino.contracts.errors import ModelUnavailable, SourceError
from concertino.contracts.messages import Result, Subtask, Usage
from concertino.model.port import Call
from concertino.worker import Context
from kit.waiting import until


class Counted:
    """Metrics as they grew since this was made."""

    def __init__(self) -> None:
        self._before = self._all()

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return self._all().get(key, 0.0) - self._before.get(key, 0.0)

    def _all(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


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
    await until(ended)
    await stage.settled()
    assert counted("concertino_attempts_total", kind=KIND) == 2
    assert counted("concertino_redeliveries_total", kind=KIND) == 1
    assert counted("concertino_retries_total", kind=KIND, code="model_unavailable") == 1
    assert counted("concertino_failed_results_total", kind=KIND, code="source") == 1
    assert counted("concertino_work_seconds_count", kind=KIND, status="raised") == 2
    assert counted("concertino_queue_seconds_count", kind=KIND, lane="interactive") == 2


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


async def test_what_models_take_is_counted(stage: Stage) -> None:
    counted = Counted()
    usage = Usage(model_calls=1, input_tokens=100, output_tokens=10, cache_read_tokens=900, cost_usd=0.25)

    async def handler(brief: Subtask, context: Context) -> None:
        context.hooks.on_call(Call(model="claude", usage=usage, seconds=2.0, ended="end_turn"))

    await stage.replica(handler)
    await stage.submit()
    await stage.result()
    assert counted("concertino_model_calls_total", kind=KIND, model="claude", ended="end_turn") == 1
    assert counted("concertino_tokens_total", kind=KIND, model="claude", type="cache_read") == 900
    assert counted("concertino_cost_dollars_total", kind=KIND, model="claude") == 0.25
    assert counted("concertino_model_call_seconds_sum", kind=KIND, model="claude") == 2.0
