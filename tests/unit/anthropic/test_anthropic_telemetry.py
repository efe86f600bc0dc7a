"""The SDK's own spans come out, and nothing that was asked, read or written is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from concertino.contracts.errors import SourceError
from concertino.model.port import Prompt, Research
from concertino.testing import Fault, MessagesApi, Say, Tool, UseTools
from concertino.worker.tools import Toolbox
from kit.claude import Claude, work

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


async def test_what_was_asked_and_answered_is_told_where_it_is_asked_for(
    api: MessagesApi, claude: Callable[..., Claude]
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    one = claude(traces=provider, environment={**api.environment(), CAPTURE: "true"})
    api.on("", Say(json={"claims": [], "gaps": ["hush-gap"]}))
    await one.model.research(Research(work=work(), tools=Toolbox(), prompt=Prompt("p", "1", "hush-prompt"), hooks=one.hooks))
    [span] = exporter.get_finished_spans()
    told = dict(span.attributes or {})
    assert "hush-prompt" in str(told["gen_ai.system_instructions"])
    assert "hush-gap" in str(told["gen_ai.output.messages"])


@pytest.mark.parametrize("said", [None, "false", "no_content"])
async def test_spans_of_the_sdk_carry_numbers_and_no_content(
    api: MessagesApi, claude: Callable[..., Claude], monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE", "content")
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    one = claude(traces=provider, environment={**api.environment(), **({CAPTURE: said} if said else {})})

    async def look(query: str) -> str:
        """Looks."""
        if query == "hush-wrong":
            raise SourceError("hush-error")
        return "hush-page"

    box = Toolbox()
    box.add(look)
    finding = {"claim": "hush-claim", "quotes": [], "quality": 1, "confidence": 1, "severity": "", "topic": "", "advice": ""}
    uses = UseTools(Tool("look", query="hush-query"), Tool("look", query="hush-wrong"), thinking="hush-thought")
    api.on("", uses, Fault(529, message="hush-fault"), Say(json={"claims": [finding], "gaps": []}))
    await one.model.research(Research(work=work(), tools=box, prompt=Prompt("p", "1", "hush-prompt"), hooks=one.hooks))

    spans = exporter.get_finished_spans()
    # Its loop and its tools are ours, and traced by us.
    assert [(span.name, (span.attributes or {}).get("gen_ai.operation.name")) for span in spans] == [
        ("anthropic.messages.create", "chat")
    ] * 3
    assert [(span.attributes or {}).get("gen_ai.usage.output_tokens", 0) != 0 for span in spans] == [True, False, True]
    told: list[Any] = []
    for span in spans:
        told += [span.name, span.status.description, dict(span.attributes or {})]
        told += [(event.name, dict(event.attributes or {})) for event in span.events]
    assert "hush" not in str(told).replace("hush-fault", "")
    assert not any("traceparent" in asked.headers for asked in api.asked)
