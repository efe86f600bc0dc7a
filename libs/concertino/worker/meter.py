"""Calls of models, counted for Prometheus."""

from __future__ import annotations

from concertino.model.port import Call
from concertino.telemetry import metrics


def record(kind: str, call: Call) -> None:
    """One ``call`` by a worker of ``kind``."""
    usage = call.usage
    metrics.MODEL_CALLS.labels(kind, call.model, call.ended).inc()
    metrics.MODEL_SECONDS.labels(kind, call.model).observe(call.seconds)
    metrics.COST.labels(kind, call.model).inc(usage.cost_usd)
    metrics.UNPRICED.labels(kind, call.model).inc(usage.unpriced_calls)
    metrics.SEARCHES.labels(kind, call.model).inc(usage.web_searches)
    for type_, tokens in (
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cache_write", usage.cache_write_tokens),
        ("cache_read", usage.cache_read_tokens),
    ):
        metrics.TOKENS.labels(kind, call.model, type_).inc(tokens)
