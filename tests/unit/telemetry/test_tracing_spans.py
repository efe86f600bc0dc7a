"""Spans in a process that has OpenTelemetry set up: in processes of their own, as that is done once for each."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PREAMBLE = """
import asyncio, json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from concertino.contracts.errors import Refused, SourceError
from concertino.contracts.trace import Trace
from concertino.telemetry import logs, tracing
from concertino.telemetry.stamp import Stamp
from concertino.worker.tools import Toolbox
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(Stamp())
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
def said():
    print(json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()]))
"""


def spans(script: str) -> list[dict[str, Any]]:
    """What is recorded while ``script`` runs, in the order of the ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"{PREAMBLE}\n{script}\nsaid()"], check=True, timeout=200, stdout=subprocess.PIPE
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


TOOLS = """
async def look(query: str) -> str:
    "Looks."
    return "hush-page " * 20_000
async def main(captures):
    box = Toolbox(captures=captures, max_calls=1)
    box.add(look)
    await box.call("look", query="hush-query")
    try:
        await box.call("look", query="hush-more")
    except Refused:
        pass
"""


def test_what_tools_were_given_is_in_spans_only_where_it_is_asked_for() -> None:
    quiet = spans(f"{TOOLS}\nasyncio.run(main(False))")
    assert "hush" not in json.dumps(quiet)
    told, refused = spans(f"{TOOLS}\nasyncio.run(main(True))")
    assert told["attributes"]["gen_ai.tool.call.arguments"] == '{"query":"hush-query"}'
    assert told["attributes"]["gen_ai.tool.call.result"].startswith('"hush-page hush-page')
    assert len(told["attributes"]["gen_ai.tool.call.result"]) == 64 * 1024
    # That a limit is reached is no error.
    assert (refused["name"], refused["status"]["status_code"]) == ("execute_tool look", "UNSET")


def test_an_error_is_a_code_and_no_text() -> None:
    [failed, cancelled] = spans("""
async def main():
    try:
        with tracing.span("fails"):
            raise SourceError("hush")
    except SourceError:
        pass
    try:
        with tracing.span("is cancelled"):
            raise asyncio.CancelledError("hush")
    except asyncio.CancelledError:
        pass
asyncio.run(main())
""")
    assert (failed["status"], failed["attributes"]) == ({"status_code": "ERROR"}, {"error.type": "source"})
    assert cancelled["status"] == {"status_code": "UNSET"}
    assert not failed["events"]
    assert not cancelled["events"]


def test_a_span_is_part_of_what_is_named_or_of_what_goes_on() -> None:
    inner, outer, first = spans("""
there = Trace("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "vendor=1")
about = logs.about("t1")
with tracing.span("first", parent=there) as first:
    assert tracing.here().trace_id == there.trace_id
    assert tracing.here().state == "vendor=1"
    with tracing.span("outer") as outer:
        about.work = "result.web.s1"
        with tracing.span("inner", "producer", lambda: {"a": 1}):
            pass
        outer.link(there)
        outer.link(Trace())
        outer.event("noted", {"b": 2})
assert not tracing.here()
""")
    assert [span["parent_id"] for span in (first, outer, inner)] == [
        "0x" + "b" * 16,
        first["context"]["span_id"],
        outer["context"]["span_id"],
    ]
    assert {span["context"]["trace_id"] for span in (first, outer, inner)} == {"0x" + "a" * 32}
    assert inner["kind"] == "SpanKind.PRODUCER"
    assert inner["attributes"] == {"a": 1, "gen_ai.conversation.id": "t1", "concertino.work": "result.web.s1"}
    assert outer["attributes"] == {"gen_ai.conversation.id": "t1"}
    assert [link["context"]["span_id"] for link in outer["links"]] == ["0x" + "b" * 16]
    assert [(event["name"], event["attributes"]) for event in outer["events"]] == [("noted", {"b": 2})]
