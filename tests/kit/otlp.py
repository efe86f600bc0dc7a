"""A collector of traces: takes spans by the real protocol (OTLP over HTTP, protobuf) and shows them as a tree."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as RawSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from kit.site import Site, running


@dataclass(frozen=True)
class Span:
    """One span, as it came. Ids are hexadecimal; ``parent`` is empty for a root. Times are Unix nanoseconds."""

    service: str
    trace: str
    id: str
    parent: str
    name: str
    kind: str
    attributes: dict[str, Any]
    events: dict[str, dict[str, Any]]
    links: tuple[str, ...]
    """The ids of the spans that it points at."""
    error: str
    """``error.type`` of a failed one; empty where it did not fail."""
    begin: int
    end: int


class Collector:
    """What arrived."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.url = site.url("")

    @property
    def requests(self) -> list[tuple[str, dict[str, str]]]:
        """Path and headers of each export."""
        return self._site.seen

    def spans(self) -> list[Span]:
        """All of them, in the order of their beginnings."""
        found = [
            _span(raw, _values(resource.resource.attributes)["service.name"])
            for body in list(self._site.bodies)
            for resource in _decoded(body).resource_spans
            for scope in resource.scope_spans
            for raw in scope.spans
        ]
        return sorted(found, key=lambda span: span.begin)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans() if span.name == name]

    def raw(self) -> str:
        """Everything that was sent, to look for what must not be in it."""
        return "\n".join(str(_decoded(body)) for body in self._site.bodies)


@contextmanager
def collector() -> Iterator[Collector]:
    with running(Site()) as site:
        site.pages["/v1/traces"] = (200, {"Content-Type": "application/x-protobuf"}, b"")
        yield Collector(site)


def _decoded(body: bytes) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.ParseFromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    return request


def _span(raw: Any, service: str) -> Span:
    attributes = _values(raw.attributes)
    return Span(
        service=service,
        trace=raw.trace_id.hex(),
        id=raw.span_id.hex(),
        parent=raw.parent_span_id.hex(),
        name=raw.name,
        kind=RawSpan.SpanKind.Name(raw.kind).removeprefix("SPAN_KIND_").lower(),
        attributes=attributes,
        events={event.name: _values(event.attributes) for event in raw.events},
        links=tuple(link.span_id.hex() for link in raw.links),
        error=attributes.get("error.type", "?") if raw.status.code == Status.STATUS_CODE_ERROR else "",
        begin=raw.start_time_unix_nano,
        end=raw.end_time_unix_nano,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
