"""The W3C trace context as data: what counts as one, and what is handed on."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceState

from concertino.contracts.errors import SourceError
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Dispatched, Submitted
from concertino.contracts.state import fold
from concertino.contracts.subjects import FactName
from concertino.contracts.trace import NO_TRACE, Trace, trace_of
from concertino.telemetry import tracing

IDS = st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
PARENTS = IDS.map(lambda ids: f"00-{ids[0]:032x}-{ids[1]:016x}-{ids[2]:02x}")
MEMBERS = st.from_regex(r"\A([a-z][a-z0-9_*/-]{0,9}|[0-9a-z]{1,5}@[a-z]{1,5})=[ -+\--<>-~]{0,5}[!-+\--<>-~]\Z")
STATES = st.lists(MEMBERS, max_size=15).map(", ".join)


@given(PARENTS, STATES)
def test_what_is_one_comes_out_as_it_went_in(parent: str, state: str) -> None:
    trace = trace_of({"traceparent": parent, "tracestate": state})
    assert trace == Trace(parent, state)
    assert (f"00-{trace.trace_id}-{trace.span_id}-{trace.flags:02x}") == parent
    assert trace_of(trace.headers()) == trace


@given(st.text() | PARENTS.map(str.upper) | PARENTS.map(lambda p: p + "-") | PARENTS.map(lambda p: p + "\n"))
def test_what_is_none_counts_for_nothing(parent: str) -> None:
    trace = trace_of({"traceparent": parent})
    # (An id of decimal digits is the same in upper case.)
    assert not trace or trace.parent == parent


@pytest.mark.parametrize(
    "state",
    [
        "a=" + "b" * 513,
        "a=1\r\nNats-Msg-Id: x",
        "a=1\n",
        "ä=1",
        "a",
        "A=1",
        "a=1=2",
        "=1",
        ",".join(f"k{i}=1" for i in range(33)),
    ],
)
def test_a_state_that_is_none_is_left_out(state: str) -> None:
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    assert trace_of({"traceparent": parent, "tracestate": state}) == Trace(parent)


@given(PARENTS, STATES)
def test_who_records_has_nothing_to_complain_of(parent: str, state: str) -> None:
    """What we take for one is one for OpenTelemetry, too: it would say so for each message that names it."""
    complaints = logging.Handler()
    complaints.emit = lambda record: pytest.fail(record.getMessage())  # type: ignore[method-assign]
    opentelemetry = logging.getLogger("opentelemetry")
    opentelemetry.addHandler(complaints)
    try:
        TraceState.from_header([trace_of({"traceparent": parent, "tracestate": state}).state])
    finally:
        opentelemetry.removeHandler(complaints)


def test_of_a_later_version_the_part_counts_that_it_promises_to_keep() -> None:
    rest = "a" * 32 + "-" + "b" * 16 + "-01"
    assert trace_of({"traceparent": f"cc-{rest}-what-is-to-come"}) == Trace(f"00-{rest}")
    assert trace_of({"traceparent": f"ff-{rest}"}) is NO_TRACE


def test_a_task_goes_on_in_its_callers_trace_or_in_that_of_who_was_first() -> None:
    """Whatever the order in which a replica reads the facts."""
    caller, first, later = (Trace("00-" + digit * 32 + "-" + digit * 16 + "-01") for digit in "abc")
    submitted = Fact(FactName("submitted", ""), Submitted(request="?"), 1, 0.0, caller)
    silent = Fact(FactName("submitted", ""), Submitted(request="?"), 1, 0.0)
    waves = [Fact(FactName("dispatched", str(n)), Dispatched(work=()), n + 1, 0.0, t) for n, t in ((1, first), (2, later))]
    assert fold("t", [submitted, *waves]).trace == fold("t", [*reversed(waves), submitted]).trace == caller
    assert fold("t", [silent, *waves]).trace == fold("t", [*reversed(waves), silent]).trace == first
    assert fold("t", [silent]).trace is NO_TRACE


def test_where_nothing_is_recorded_a_trace_is_carried_as_far_as_it_goes() -> None:
    """In a process of its own: here, other tests load OpenTelemetry."""
    said = """
import asyncio, sys
from concertino.contracts.trace import NO_TRACE, Trace
from concertino.telemetry import tracing
there = Trace("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "v=1")
async def inside():
    with tracing.span("inside"):
        return tracing.headers()
async def main():
    with tracing.span("nothing") as span:
        assert tracing.here() is NO_TRACE
        span.set({"a": 1}); span.event("e"); span.link(there); span.failed("bug")
    with tracing.span("carried", parent=there):
        assert await asyncio.gather(inside(), inside()) == [there.headers()] * 2
    assert tracing.here() is NO_TRACE
asyncio.run(main())
assert not any(name.startswith("opentelemetry") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", said], check=True, timeout=200)


def test_an_error_is_called_by_its_code() -> None:
    assert (tracing.code_of(SourceError("secret")), tracing.code_of(KeyError("secret"))) == ("source", "KeyError")
