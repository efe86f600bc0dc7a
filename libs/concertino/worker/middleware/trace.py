"""The span of a handler at work, and what it took: what models and tools do is inside of it."""

from __future__ import annotations

import functools
import operator

from concertino.contracts.messages import ResultStatus, Settled, Usage
from concertino.telemetry import tracing
from concertino.telemetry.names import Attribute
from concertino.worker.job import Job
from concertino.worker.middleware import Next


async def trace(job: Job, next_: Next) -> Settled:
    """Inside the slots: what waits there does not work yet."""
    if not tracing.recorded():
        return await next_(job)
    kind = job.work.brief.kind

    def said() -> tracing.Attributes:
        return {
            Attribute.GEN_AI_OPERATION: "invoke_agent",
            Attribute.GEN_AI_AGENT: kind,
            Attribute.GEN_AI_MODEL: job.context.model.name,
            Attribute.KIND: kind,
        }

    with tracing.span(f"invoke_agent {kind}", attributes=said) as span:
        try:
            settled = await next_(job)
        finally:
            if spent := job.context.spent:
                span.set(usage(functools.reduce(operator.add, spent.values(), Usage())))
        span.set({Attribute.STATUS: settled.status.value})
        if settled.error is not None:
            if settled.status == ResultStatus.FAILED:
                span.failed(settled.error.code)
            else:
                span.set({Attribute.SHORTFALL: settled.error.code})
        return settled


def usage(spent: Usage) -> tracing.Attributes:
    """What models took, as spans say it: input tokens are all of them, also those that came from a cache."""
    return {
        Attribute.GEN_AI_INPUT_TOKENS: spent.input_tokens + spent.cache_write_tokens + spent.cache_read_tokens,
        Attribute.GEN_AI_CACHE_READ: spent.cache_read_tokens,
        Attribute.GEN_AI_OUTPUT_TOKENS: spent.output_tokens,
        Attribute.COST: spent.cost_usd,
    }
