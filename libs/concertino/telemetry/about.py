"""Stamps every span of this process, those of libraries too, with the piece of work that it belongs to. Needs the SDK."""

from __future__ import annotations

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from concertino.telemetry.names import Attribute, Field

_STAMPS = {
    Field.TASK: Attribute.GEN_AI_CONVERSATION,
    Field.WORK: Attribute.WORK,
    Field.ATTEMPT: Attribute.ATTEMPT,
}


class About(SpanProcessor):
    """What stands in every line of the log stands in every span."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        bound = structlog.contextvars.get_contextvars()
        for field, attribute in _STAMPS.items():
            if field in bound:
                span.set_attribute(attribute, bound[field])
