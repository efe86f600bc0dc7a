"""What the server refuses, as the API would."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from concertino.testing import MessagesApi, Say, schemas
from concertino.testing.requests import problem

NONE: frozenset[str] = frozenset()
USER = {"role": "user", "content": "Hello"}
TOOL = {"name": "look", "input_schema": {"type": "object"}}
OBJECT = {"type": "object", "properties": {}, "additionalProperties": False}
RESULT = {
    "type": "search_result",
    "source": "a",
    "title": "b",
    "content": [{"type": "text", "text": "c"}],
    "citations": {"enabled": True},
}


def call(*ids: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": id_, "name": "look", "input": {}} for id_ in ids]}


def returned(*ids: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id_, "content": "x"} for id_ in ids]}


def said(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


def text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 10, "messages": [USER], **fields}


MARK = {"cache_control": {"type": "ephemeral"}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": "m", "messages": [USER]}, "max_tokens: Field required"),
    ({"max_tokens": 1, "messages": [USER]}, "model: Field required"),
    ({"max_tokens": 1, "model": "m"}, "messages: Field required"),
    (body(max_tokens=0), "max_tokens"),
    (body(messages=[]), "at least one message"),
    (body(temperature=0), "temperature: Extra inputs"),
    (body(fallbacks=[{"model": "x"}]), "fallbacks: Extra inputs"),
    (body(context_management={"edits": []}), "context_management: Extra inputs"),
    (body(messages=[{"role": "assistant", "content": "Hi"}]), "first message must use the user role"),
    (body(messages=[{"role": "robot", "content": "Hi"}]), "first message"),
    (body(messages=[USER, {"role": "robot", "content": "Hi"}]), "messages.1.role"),
    (body(messages=[{**USER, "name": "Bob"}]), "messages.0.name: Extra inputs"),
    (body(messages=[{"role": "user", "content": ""}]), "non-whitespace"),
    (body(messages=said(text(" \n"))), "messages.0.content.0: text content blocks must contain non-whitespace text"),
    (body(messages=said({"type": "txt", "text": "a"})), "Input tag 'txt'"),
    (body(messages=said(text("a", parsed_output=None))), "text.parsed_output: Extra inputs"),
    (body(messages=said({"type": "search_result", "source": "a", "title": "b"})), "search_result.content: Field required"),
    (body(messages=said({**RESULT, "content": []})), "at least one text block"),
    (body(messages=said({**RESULT, "content": [text("")]})), "search_result.content.0"),
    (body(system=[text("")]), "system.0"),
    (body(tools=[{**TOOL, "name": "mcp:look"}]), "tools.0.custom.name: String should match pattern"),
    (body(tools=[TOOL, TOOL]), "Tool names must be unique"),
    (body(tools=[{"name": "look"}]), "input_schema: Field required"),
    (body(tools=[{"name": "look", "input_schema": {"$ref": "#/$defs/a", "$defs": {"a": OBJECT}}}]), "input_schema.type"),
    (body(tools=[{"name": "look", "input_schema": {"type": "object", "anyOf": []}}]), "at the top level"),
    (body(tools=[{**TOOL, "strict": True}]), "additionalProperties"),
    (body(tool_choice={"type": "auto"}), "tool_choice may only be specified"),
    (body(tools=[TOOL], tool_choice={"type": "tool", "name": "hear"}), "'hear' not found"),
    (body(messages=[USER, call("a"), returned("a")]), "must define tools"),
    (body(tools=[TOOL], messages=[USER, call("a")]), "no `tool_result`"),
    (body(tools=[TOOL], messages=[USER, call("a"), USER]), "without `tool_result` blocks immediately after: a"),
    (body(tools=[TOOL], messages=[USER, call("a", "b"), returned("a")]), "immediately after: b"),
    (
        body(tools=[TOOL], messages=[USER, call("a"), returned("a", "b")]),
        "unexpected `tool_use_id` found in `tool_result` blocks: b",
    ),
    (body(tools=[TOOL], messages=[USER, call("a"), returned("a", "a")]), "multiple `tool_result`"),
    (body(tools=[TOOL], messages=[USER, call("a"), returned("a"), call("a"), returned("a")]), "ids must be unique"),
    (
        body(tools=[TOOL], messages=[USER, call("a"), {"role": "user", "content": [text("Well"), *returned("a")["content"]]}]),
        "must come before all other content",
    ),
    (body(messages=said(*(text("a", **MARK) for _ in range(4))), system=[text("s", **MARK)]), "maximum of 4 blocks"),
    (body(messages=said({"type": "thinking", "thinking": "a", "signature": "b", **MARK})), "thinking.cache_control"),
    (body(output_config={"effort": "extreme"}), "output_config.effort"),
    (body(output_config={"form": {}}), "output_config.form: Extra"),
    (body(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}), "additionalProperties"),
    (
        body(messages=said(RESULT), output_config={"format": {"type": "json_schema", "schema": OBJECT}}),
        "citations cannot be used together with structured outputs",
    ),
    (body(messages=said(RESULT, {**RESULT, "citations": {"enabled": False}})), "on all or none"),
    (body(thinking={"type": "enabled", "budget_tokens": 1000}), "1024"),
    (body(thinking={"type": "enabled", "budget_tokens": 2000}), "must be greater than"),
    (body(thinking={"type": "auto"}), "thinking.type"),
    (body(tools=[TOOL], thinking={"type": "adaptive"}, tool_choice={"type": "any"}), "forces tool use"),
]


@pytest.mark.parametrize(("request_", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_refuses(request_: dict[str, Any], why: str) -> None:
    assert why in (problem(request_, NONE) or "nothing")


@pytest.mark.parametrize(
    "request_",
    [
        body(messages=[1]),
        body(messages=said("a")),  # type: ignore[arg-type]
        body(tools=["look"]),
        body(tools={"look": 1}),
        body(system=[1]),
        body(output_config="high"),
        body(messages=[{"role": "user"}]),
        body(messages={"role": "user"}),
        [],
        None,
    ],
)
def test_refuses_what_has_no_form_at_all(request_: Any) -> None:
    assert problem(request_, NONE)


@pytest.mark.parametrize(
    "request_",
    [
        body(),
        body(tools=[TOOL], messages=[USER, call("a", "b"), returned("b", "a"), call("c"), returned("c")]),
        body(tools=[TOOL], messages=[USER, call("a"), {"role": "user", "content": [*returned("a")["content"], text("Now.")]}]),
        body(messages=said(RESULT, text("Write."))),
        body(output_config={"format": {"type": "json_schema", "schema": OBJECT}, "effort": "high"}),
        body(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]),
        body(messages=said(*(text("a", **MARK) for _ in range(4)))),
        body(thinking={"type": "adaptive"}, fallbacks=None),
        body(messages=[{"role": "assistant", "content": [{"type": "compaction", "content": "So far: hello."}]}, USER]),
    ],
)
def test_takes(request_: dict[str, Any]) -> None:
    assert problem(request_, NONE) is None


def test_betas_open_their_fields() -> None:
    request_ = body(context_management={"edits": [{"type": "compact_20260112"}]})
    assert problem(request_, frozenset({"compact-2026-01-12"})) is None
    assert "needs the beta" in str(problem(request_, frozenset({"context-management-2025-06-27"})))
    assert problem(body(fallbacks=[{"model": "x"}]), frozenset({"server-side-fallback-2026-07-01"})) is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "integer", "minimum": 1}, "'minimum' is not supported"),
        ({"type": "string", "maxLength": 5}, "'maxLength' is not supported"),
        ({"type": "string", "format": "text"}, "format 'text'"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, "minItems"),
        ({"type": "array", "items": {"type": "object"}}, "$.items: for 'object' type, 'additionalProperties'"),
        ({"oneOf": [{"type": "string"}]}, "'oneOf' is not supported"),
        ({"description": "anything"}, "must have a 'type'"),
        ({**OBJECT, "properties": {"a": {"type": "number", "exclusiveMinimum": 0}}}, "$.a:"),
        ({"$ref": "#/$defs/x", "$defs": {}}, "leads nowhere"),
        ({"$ref": "https://example.org/schema"}, "external"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}}, "recursive"),
        ({**OBJECT, "properties": {f"p{n}": {"type": "string"} for n in range(25)}}, "too many optional parameters (25)"),
        (
            {
                **OBJECT,
                "properties": {f"p{n}": {"anyOf": [{"type": "string"}, {"type": "null"}]} for n in range(17)},
                "required": [f"p{n}" for n in range(17)],
            },
            "union types (17)",
        ),
    ],
)
def test_schemas_that_structured_outputs_do_not_take(schema: dict[str, Any], why: str) -> None:
    assert why in (schemas.problem(schema) or "nothing")


async def test_what_is_refused_is_recorded_and_costs_no_reply() -> None:
    async with MessagesApi() as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test") as client:
        api.on("", Say("for a better question"))
        with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0"):
            await client.beta.messages.create(model="m", max_tokens=1, messages=said(text(" ")))
        assert [why for _, why in api.rejected] == [
            "messages.0.content.0: text content blocks must contain non-whitespace text"
        ]
        assert (len(api.asked), api.left, api.unexpected) == (1, 1, [])


async def test_words_are_not_put_into_the_models_mouth() -> None:
    async with MessagesApi() as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test") as client:
        with pytest.raises(anthropic.BadRequestError, match="prefill"):
            await client.beta.messages.create(model="m", max_tokens=1, messages=[USER, {"role": "assistant", "content": "{"}])


async def test_what_was_thought_is_sent_back_as_it_was() -> None:
    async with MessagesApi() as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test") as client:
        api.on("", Say("A", thinking="hm"), Say("B"))
        first = await client.beta.messages.create(model="m", max_tokens=1, messages=[USER])
        again = [USER, {"role": "assistant", "content": first.content}, USER]
        assert (await client.beta.messages.create(model="m", max_tokens=1, messages=again)).content[0].text == "B"
        forged = {"type": "thinking", "thinking": "hm!", "signature": first.content[0].signature}
        with pytest.raises(anthropic.BadRequestError, match="cannot be modified"):
            await client.beta.messages.create(
                model="m", max_tokens=1, messages=[USER, {"role": "assistant", "content": [forged, text("A")]}, USER]
            )


async def test_more_than_the_window_holds() -> None:
    async with MessagesApi(window=100) as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test") as client:
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
            await client.beta.messages.create(model="m", max_tokens=1, messages=said(text("word " * 100)))
