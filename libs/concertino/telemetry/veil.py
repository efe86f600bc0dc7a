"""Spans, as they leave: without secrets, whoever recorded them. It is done where they are sent, and so costs work no time."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from concertino.masking import masked


class Veil(SpanExporter):
    """In front of ``exporter``."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_masked(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _masked(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=masked(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=masked(dict(span.attributes or {})),
        events=[Event(event.name, masked(dict(event.attributes or {})), event.timestamp) for event in span.events],
        links=[Link(link.context, masked(dict(link.attributes or {}))) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, span.status.description and masked(span.status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
