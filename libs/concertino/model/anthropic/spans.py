"""Which of the SDK's own spans are let through: those of calls. Its loops and its tools are ours, and have spans of ours."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import NonRecordingSpan, NoOpTracer, NoOpTracerProvider, Span, Tracer, TracerProvider, get_current_span
from opentelemetry.util.types import Attributes

_OURS = ("invoke_agent", "execute_tool")


class ModelCalls(NoOpTracerProvider):
    """``provider``, as the SDK may use it."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *named: Any, **more: Any) -> Tracer:
        return _Tracer(self._provider.get_tracer(*named, **more))


class _Tracer(NoOpTracer):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, name: str, *, attributes: Attributes = None, **more: Any) -> Span:  # type: ignore[override]
        """As the SDK calls it: all but the name is named."""
        if attributes and attributes.get("gen_ai.operation.name") in _OURS:
            # What is done inside of it belongs to the span that is going on.
            return NonRecordingSpan(get_current_span().get_span_context())
        return self._tracer.start_span(name, attributes=attributes, **more)
