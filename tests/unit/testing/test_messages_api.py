"""The server as the real SDK sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import pytest
import pytest_asyncio

from concertino.testing import (
    Asked,
    Blocks,
    Break,
    Cited,
    CutOff,
    Fault,
    FellBack,
    Hang,
    MessagesApi,
    Pause,
    Refuse,
    Say,
    Tool,
    UseTools,
    hosted_search,
)

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 1000, "messages": [{"role": "user", "content": "What is it?"}]}
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[MessagesApi]:
    async with MessagesApi() as api:
        yield api


@pytest_asyncio.fixture
async def client(api: MessagesApi) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=api.url, api_key="test", max_retries=0) as client:
        yield client


async def test_says_what_is_scripted_and_records_what_was_asked(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("What is it?", Say("It is a teapot."))
    message = await client.beta.messages.create(**ASK, system="Be short.", tools=[TOOL])
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "It is a teapot."}]
    assert message.stop_reason == "end_turn"
    assert message.model == "claude-test"
    assert message.usage.input_tokens > 0
    assert message._request_id == "req_000000000000000000000001"
    [asked] = api.asked
    assert (asked.model, asked.system, asked.tools, asked.offers("look")) == ("claude-test", "Be short.", ("look",), True)
    assert asked.text == "Be short.\nWhat is it?"
    assert asked.headers["authorization"] == "Bearer test"
    assert not api.unexpected


async def test_streams_in_small_pieces(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    text = "It is a teapot, short and stout, with a handle and a spout."
    api.on("What", Say(text, thinking="A teapot or a kettle, which of the two?"))
    async with client.beta.messages.stream(**ASK) as stream:
        types = [event.type async for event in stream]
        message = await stream.get_final_message()
    assert types.count("text") == 3
    assert "thinking" in types
    assert message.content[0].type == "thinking"
    assert message.content[0].signature
    assert message.content[1].type == "text"
    assert message.content[1].text == text
    assert message.usage.output_tokens > 10


async def test_streams_calls_of_tools(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("What", UseTools(Tool("look", at="the table, the shelf and the stove"), Tool("look"), say="I look."))
    async with client.beta.messages.stream(**ASK, tools=[TOOL]) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "tool_use"
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert message.content[1].input == {"at": "the table, the shelf and the stove"}
    assert message.content[2].input == {}
    assert message.content[1].id != message.content[2].id


@pytest.mark.parametrize("streams", [False, True])
async def test_the_sdk_runs_tools_against_it(api: MessagesApi, client: anthropic.AsyncAnthropic, streams: bool) -> None:
    seen = []

    @anthropic.beta_async_tool(name="look", description="Looks.", input_schema=TOOL["input_schema"])
    async def look(at: str) -> str:
        seen.append(at)
        return f"at the {at} there is tea"

    api.on("What", UseTools(Tool("look", at="table"), Tool("look", at="shelf")), Say("Tea."))
    runner = client.beta.messages.tool_runner(**ASK, tools=[look], stream=streams)
    if streams:
        async for stream in runner:
            message = await stream.get_final_message()
    else:
        message = await runner.until_done()
    assert message.content[0].text == "Tea."
    assert seen == ["table", "shelf"]
    assert api.asked[1].results == ("at the table there is tea", "at the shelf there is tea")
    assert api.asked[1].turns == 1
    assert not api.rejected


async def test_cites_search_results(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    results = [
        {
            "type": "search_result",
            "source": f"doc{n}",
            "title": f"T{n}",
            "content": [{"type": "text", "text": f"text {n}"}],
            "citations": {"enabled": True},
        }
        for n in range(2)
    ]
    api.on("Go", Say(["Before. ", Cited("It says text.", (1, 0)), " After."]))
    ask = {**ASK, "messages": [{"role": "user", "content": [*results, {"type": "text", "text": "Go"}]}]}
    async with client.beta.messages.stream(**ask) as stream:
        message = await stream.get_final_message()
    before, cited, after = message.content
    assert not before.citations
    assert not after.citations
    assert [(c.search_result_index, c.source, c.cited_text) for c in cited.citations] == [
        (1, "doc1", "text 1"),
        (0, "doc0", "text 0"),
    ]


async def test_a_citation_of_what_the_request_does_not_hold_is_a_mistake_of_the_script(
    api: MessagesApi, client: anthropic.AsyncAnthropic
) -> None:
    api.on("What", Say("Hm.", cites=(0,)))
    with pytest.raises(anthropic.BadRequestError, match="the request has 0"):
        await client.beta.messages.create(**ASK)
    assert len(api.unexpected) == 1


async def test_structured_outputs_are_parsed_by_the_sdk(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("What", Say(json={"answer": "tea", "sure": True}))
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
        "required": ["answer", "sure"],
        "additionalProperties": False,
    }
    message = await client.beta.messages.create(**ASK, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert message.content[0].text == '{"answer": "tea", "sure": true}'
    assert api.asked[0].form == schema


async def test_counts_tokens(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    few = await client.beta.messages.count_tokens(model="m", messages=[{"role": "user", "content": "few"}])
    many = await client.beta.messages.count_tokens(model="m", messages=[{"role": "user", "content": "many " * 100}])
    assert 0 < few.input_tokens < many.input_tokens - 100
    assert len(api.counted) == 2
    assert not api.asked


# ----------------------------------------------------------------------------------------------------------- the script


async def test_rules_are_tried_in_order_and_used_up(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("What", Say("first"), Say("second"))
    api.on(lambda asked: asked.model == "claude-test", Say("third"))
    api.on("", every=Say("for ever"))
    said = [(await client.beta.messages.create(**ASK)).content[0].text for _ in range(5)]
    assert said == ["first", "second", "third", "for ever", "for ever"]
    assert api.left == 0
    assert api.count("What") == 5


async def test_a_reply_may_be_a_function_of_the_request(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    async def later(asked: Asked) -> Say:
        await asyncio.sleep(0)
        return Say(asked.model.upper())

    api.on("", lambda asked: Say(asked.model), later)
    assert (await client.beta.messages.create(**ASK)).content[0].text == "claude-test"
    assert (await client.beta.messages.create(**ASK)).content[0].text == "CLAUDE-TEST"


async def test_what_nobody_expected_is_refused_and_recorded(api: MessagesApi) -> None:
    api.on("something else", Say("never"))
    async with anthropic.AsyncAnthropic(base_url=api.url, api_key="test", max_retries=5) as client:
        with pytest.raises(anthropic.BadRequestError, match="nothing is scripted"):
            await client.beta.messages.create(**ASK)
    assert [asked.text for asked in api.unexpected] == ["What is it?"]
    assert len(api.asked) == 1
    assert api.left == 1


async def test_a_script_that_fails_says_so(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", lambda asked: asked.results[7])  # type: ignore[arg-type, return-value]
    with pytest.raises(anthropic.BadRequestError, match="the script failed: IndexError"):
        await client.beta.messages.create(**ASK)
    assert len(api.unexpected) == 1


async def test_a_reply_without_the_form_of_one_is_a_mistake_of_the_script(
    api: MessagesApi, client: anthropic.AsyncAnthropic
) -> None:
    api.on("", Blocks([{"text": "of what type?"}]))
    with pytest.raises(anthropic.BadRequestError, match="the script failed"):
        async with client.beta.messages.stream(**ASK):
            pass
    assert len(api.unexpected) == 1


# ------------------------------------------------------------------------------------------------------------- endings


async def test_endings_that_are_less_than_was_asked_for(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", CutOff("It is a tea"), Refuse("I", "bio", "No."), CutOff())
    cut, refused, empty = [await client.beta.messages.create(**ASK) for _ in range(3)]
    assert (cut.stop_reason, cut.content[0].text) == ("max_tokens", "It is a tea")
    assert refused.stop_reason == "refusal"
    assert refused.stop_details
    assert (refused.stop_details.category, refused.stop_details.explanation) == ("bio", "No.")
    assert empty.content == []


@pytest.mark.parametrize("streams", [False, True])
async def test_the_sdk_goes_on_after_a_pause(api: MessagesApi, client: anthropic.AsyncAnthropic, streams: bool) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    api.on("What", Pause(hosted_search("tea", ("https://tea.example", "Tea"))), Say("Tea it is."))
    runner = client.beta.messages.tool_runner(**ASK, tools=[search], stream=streams)
    if streams:
        async for stream in runner:
            message = await stream.get_final_message()
    else:
        message = await runner.until_done()
    assert message.content[0].text == "Tea it is."
    assert not api.rejected
    assert api.asked[1].whole["messages"][1]["role"] == "assistant"


async def test_searches_by_the_provider_are_counted(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", Blocks([*hosted_search("tea", ("https://tea.example", "Tea")), {"type": "text", "text": "Tea."}]))
    async with client.beta.messages.stream(**ASK) as stream:
        message = await stream.get_final_message()
    assert message.usage.server_tool_use
    assert message.usage.server_tool_use.web_search_requests == 1
    assert message.content[0].input == {"query": "tea"}
    assert message.content[1].content[0].url == "https://tea.example"


@pytest.mark.parametrize("streams", [False, True])
async def test_falls_back_on_the_model_that_the_request_names(
    api: MessagesApi, client: anthropic.AsyncAnthropic, streams: bool
) -> None:
    api.on("", FellBack(Say("Here.")))
    ask = {**ASK, "fallbacks": [{"model": "other"}], "betas": ["server-side-fallback-2026-07-01"]}
    if streams:
        async with client.beta.messages.stream(**ask) as stream:
            message = await stream.get_final_message()
    else:
        message = await client.beta.messages.create(**ask)
    assert message.model == "other"
    assert [block.type for block in message.content] == ["fallback", "text"]
    assert message.usage.iterations
    assert message.usage.iterations[-1].type == "fallback_message"


async def test_usage_can_be_scripted(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", every=Say("x", usage={"input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 3}))
    async with client.beta.messages.stream(**ASK) as stream:
        usage = (await stream.get_final_message()).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (7, 5, 3)


# -------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.OverloadedError),
    ],
)
async def test_faults_are_the_errors_of_the_sdk(
    api: MessagesApi, client: anthropic.AsyncAnthropic, status: int, error: type[anthropic.APIStatusError]
) -> None:
    api.on("", Fault(status, message="not now", headers={"Retry-After": "3"}))
    with pytest.raises(error, match="not now") as caught:
        await client.beta.messages.create(**ASK)
    assert caught.value.response.headers["retry-after"] == "3"
    assert caught.value.request_id
    assert caught.value.body["error"]["type"].endswith("_error")


async def test_a_fault_in_midstream(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", Fault(529, midstream=True))
    pieces = []
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        async with client.beta.messages.stream(**ASK) as stream:
            pieces += [event.type async for event in stream]
    assert len(api.asked) == 1


async def test_a_wrong_key(api: MessagesApi) -> None:
    async with anthropic.AsyncAnthropic(base_url=api.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
            await client.beta.messages.create(**ASK)


@pytest.mark.parametrize("after", [0, 1, 5])
async def test_a_stream_that_breaks(api: MessagesApi, client: anthropic.AsyncAnthropic, after: int) -> None:
    api.on("", Break(after))
    with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
        async with client.beta.messages.stream(**ASK) as stream:
            await stream.get_final_message()
    api.on("", Say("Well."))
    assert (await client.beta.messages.create(**ASK)).content[0].text == "Well."


async def test_a_connection_that_breaks_before_a_word(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", Break())
    with pytest.raises(anthropic.APIConnectionError):
        await client.beta.messages.create(**ASK)


@pytest.mark.parametrize("after", [0, 4])
async def test_an_answer_that_never_comes(api: MessagesApi, client: anthropic.AsyncAnthropic, after: int) -> None:
    api.on("", Hang(after=after))
    with pytest.raises((anthropic.APITimeoutError, httpx2.TimeoutException)):
        async with client.with_options(timeout=httpx2.Timeout(30.0, read=0.1)).beta.messages.stream(**ASK) as stream:
            await stream.get_final_message()
    while not api.abandoned:
        await asyncio.sleep(0)
    assert api.abandoned == api.asked


# ------------------------------------------------------------------------------------------------------------- caching


@pytest.mark.parametrize(
    ("setting", "most"),
    [
        ({"tool_choice": {"type": "none"}}, 310),
        ({"thinking": {"type": "adaptive"}}, 310),
        ({"output_config": {"effort": "low"}}, 0),
    ],
)
async def test_another_setting_costs_what_is_cached_below_it(
    api: MessagesApi, client: anthropic.AsyncAnthropic, setting: dict[str, Any], most: int
) -> None:
    api.on("", every=Say("x"))
    mark: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
    request: dict[str, Any] = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Rules. " * 100, **mark}],
        "tools": [{"name": "look", "description": "Looks. " * 50, "input_schema": {"type": "object"}, **mark}],
        "messages": [{"role": "user", "content": "Go. " * 100}],
        **mark,
    }
    first, same, other = [(await client.beta.messages.create(**request, **more)).usage for more in ({}, {}, setting)]
    assert same.cache_read_input_tokens == first.cache_creation_input_tokens
    assert (first.cache_creation_input_tokens or 0) > 350
    assert max(most - 60, 0) <= (other.cache_read_input_tokens or 0) <= most


async def test_a_prefix_that_stays_is_read_from_the_cache(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", every=Say("Yes."))
    system = [{"type": "text", "text": "Rules. " * 100, "cache_control": {"type": "ephemeral"}}]
    first = (await client.beta.messages.create(**ASK, system=system)).usage
    second = (
        await client.beta.messages.create(**{**ASK, "messages": [{"role": "user", "content": "Else?"}]}, system=system)
    ).usage
    other = (await client.beta.messages.create(**ASK, system=[{**system[0], "text": "Rules! " * 100}])).usage
    assert first.cache_creation_input_tokens
    assert first.cache_creation_input_tokens > 150
    assert first.cache_read_input_tokens == 0
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert second.cache_creation_input_tokens == 0
    assert other.cache_read_input_tokens == 0


async def test_a_conversation_that_grows_is_written_bit_by_bit(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    api.on("", every=Say("Yes."))
    mark = {"cache_control": {"type": "ephemeral"}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "a question " * 50}]
    first = (await client.beta.messages.create(**{**ASK, "messages": messages}, **mark)).usage
    messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "more " * 50}]
    second = (await client.beta.messages.create(**{**ASK, "messages": messages}, **mark)).usage
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert second.cache_creation_input_tokens
    assert second.cache_creation_input_tokens > 50
    assert second.input_tokens == 0
