"""Spans, as far as this process records any, and the trace that goes on through it in any case.

Nothing here configures anything: spans go to whatever OpenTelemetry was set up in this process, be it by
:mod:`concertino.telemetry.export` or by the service that uses our client. Where that was not done, nothing of OpenTelemetry is
loaded, and a trace that came with a message is handed on as it came.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from concertino.contracts.errors import ConcertinoError
from concertino.contracts.trace import NO_TRACE, Trace
from concertino.telemetry.names import Attribute

if TYPE_CHECKING:
    from opentelemetry import trace as api

SCOPE = "concertino"
Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, Value]
Said: TypeAlias = Attributes | Callable[[], Attributes]
"""Attributes, or what makes them where somebody records them."""
Kind: TypeAlias = Literal["internal", "producer", "consumer"]

_carried: ContextVar[Trace] = ContextVar("carried", default=NO_TRACE)
"""The trace that goes on through a process that records nothing."""


class Span(Protocol):
    """What is going on. Nothing that is said to it ever raises, or costs anything where nobody records it."""

    def set(self, attributes: Attributes) -> None: ...

    def event(self, name: str, attributes: Attributes | None = None) -> None: ...

    def link(self, trace: Trace) -> None:
        """Point at another span that this one has to do with, where there is one."""

    def failed(self, code: str) -> None:
        """It ended in an error. ``code`` is a code or a type, and no text: that may repeat what was read."""


def here() -> Trace:
    """The span that is going on, or what was carried here. What is written now belongs to it."""
    trace = _api()
    if trace is not None and (context := trace.get_current_span().get_span_context()).is_valid:
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        return Trace(parent, context.trace_state.to_header() if context.trace_state else "")
    return _carried.get()


def headers() -> dict[str, str]:
    """:func:`here`, as a message carries it."""
    return here().headers()


def recorded() -> bool:
    """Whether this process records any span. Who makes many may ask, and pay for none where it does not."""
    trace = _api()
    return trace is not None and _tracer(trace) is not None


def span(
    name: str,
    kind: Kind = "internal",
    attributes: Said | None = None,
    *,
    parent: Trace = NO_TRACE,
    normal: tuple[type[Exception], ...] = (),
) -> AbstractContextManager[Span]:
    """Around what is going on. It is part of ``parent``, or else of what is going on already, or else it begins a trace.

    An error that passes through makes it an error, unless it is a ``normal`` one; that what is done is cancelled does not.
    """
    trace = _api()
    tracer = _tracer(trace) if trace is not None else None
    if trace is None or tracer is None:
        return _Carried(parent) if parent else _NOTHING
    above = parent or (NO_TRACE if _current(trace) else _carried.get())
    said = attributes() if callable(attributes) else attributes or {}
    return _recorded(trace, tracer, name, kind, said, above, normal)


def carrying(trace: Trace) -> AbstractContextManager[Span]:
    """What is written inside belongs to ``trace``: for what is done beside it, by somebody who has no span of its own."""
    return _Carried(trace) if trace else _NOTHING


def sending(
    subject: str, task: str, attributes: Attributes | None = None, *, parent: Trace = NO_TRACE
) -> AbstractContextManager[Span]:
    """Around what puts messages on ``subject`` (a template, as ``ctn.task.{task}.outcome``) for ``task``."""
    said: dict[str, Value] = {
        Attribute.SYSTEM: "nats",
        Attribute.OPERATION: "send",
        Attribute.OPERATION_TYPE: "send",
        Attribute.TEMPLATE: subject,
        Attribute.CONVERSATION: task,
        Attribute.GEN_AI_CONVERSATION: task,
    }
    return span(f"send {subject}", "producer", {**said, **(attributes or {})}, parent=parent)


def code_of(error: BaseException) -> str:
    """What an error is called in a span."""
    return error.code if isinstance(error, ConcertinoError) else type(error).__name__


# ------------------------------------------------------------------------------------------------ where nothing is recorded


class _Nothing:
    """A span that nobody records."""

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None: ...

    def set(self, attributes: Attributes) -> None: ...

    def event(self, name: str, attributes: Attributes | None = None) -> None: ...

    def link(self, trace: Trace) -> None: ...

    def failed(self, code: str) -> None: ...


class _Carried(_Nothing):
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._token: Token[Trace] | None = None

    def __enter__(self) -> Span:
        self._token = _carried.set(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token:
            _carried.reset(self._token)


_NOTHING = _Nothing()


# ----------------------------------------------------------------------------------------------------- where something is


class _Recorded:
    def __init__(self, trace: Any, recorded: api.Span) -> None:
        self._trace, self._span = trace, recorded

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        self._span.add_event(name, dict(attributes or {}))

    def link(self, trace: Trace) -> None:
        if trace:
            self._span.add_link(_context(self._trace, trace))

    def failed(self, code: str) -> None:
        self._span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        self._span.set_attribute(Attribute.ERROR, code)


@contextmanager
def _recorded(
    trace: Any,
    tracer: api.Tracer,
    name: str,
    kind: Kind,
    attributes: Attributes,
    parent: Trace,
    normal: tuple[type[Exception], ...],
) -> Iterator[Span]:
    context = trace.set_span_in_context(trace.NonRecordingSpan(_context(trace, parent))) if parent else None
    started = tracer.start_as_current_span(
        name,
        context,
        kind=trace.SpanKind[kind.upper()],
        attributes=dict(attributes),
        # The text of an exception may hold what was asked or read.
        record_exception=False,
        set_status_on_exception=False,
    )
    with started as recorded:
        ours = _Recorded(trace, recorded)
        try:
            yield ours
        except Exception as e:
            if not isinstance(e, normal):
                ours.failed(code_of(e))
            raise


def _context(trace: Any, there: Trace) -> api.SpanContext:
    context: api.SpanContext = trace.SpanContext(
        int(there.trace_id, 16),
        int(there.span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(there.flags),
        trace_state=trace.TraceState.from_header([there.state]) if there.state else None,
    )
    return context


def _api() -> Any:
    """OpenTelemetry's interface, if anybody has loaded it: who has not cannot be tracing. (It may be loading right now.)"""
    trace = sys.modules.get("opentelemetry.trace")
    return trace if trace is not None and "__all__" in vars(trace) else None


def _current(trace: Any) -> bool:
    valid: bool = trace.get_current_span().get_span_context().is_valid
    return valid


def _tracer(trace: Any) -> api.Tracer | None:
    """Ours, of the provider that this process has; None where it has none."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return _tracer_of(provider)


@functools.lru_cache(maxsize=1)
def _tracer_of(provider: api.TracerProvider) -> api.Tracer:
    return provider.get_tracer(SCOPE)
