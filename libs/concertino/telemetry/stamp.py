"""Stamps every span of this process, those of libraries too, with the piece of work that it belongs to. Needs the SDK."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from concertino.telemetry import logs
from concertino.telemetry.names import Attribute

_STAMPS = {"task": Attribute.GEN_AI_CONVERSATION, "work": Attribute.WORK, "attempt": Attribute.ATTEMPT}


class Stamp(SpanProcessor):
    """What stands in every line of the log stands in every span."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for field, value in logs.fields().items():
            if field in _STAMPS:
                span.set_attribute(_STAMPS[field], value)
