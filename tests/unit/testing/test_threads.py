"""Conversations that the server holds, as the SDK's tool runner has them by default."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from concertino.testing import Break, MessagesApi, Say, Tool, UseTools

ASK: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "system": "Be short.",
    "messages": [{"role": "user", "content": "What is it?"}],
    "betas": ["message-threads-2026-08-12"],
}


@anthropic.beta_async_tool
async def look(at: str) -> str:
    """Looks."""
    return f"at the {at} there is tea"


async def test_only_what_is_new_is_sent_and_everything_is_seen() -> None:
    async with MessagesApi() as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test") as client:
        api.on("What", UseTools(Tool("look", at="table")), UseTools(Tool("look", at="shelf")), Say("Tea."))
        await client.beta.messages.tool_runner(**ASK, tools=[look]).until_done()
        last = api.asked[2]
        assert len(last.body["messages"]) == 1
        assert "tools" not in last.body
        assert len(last.whole["messages"]) == 5
        assert last.offers("look")
        assert last.says("at the table there is tea")
        assert last.results == ("at the shelf there is tea",)
        assert last.system == "Be short."


async def test_without_threads_all_is_sent_each_time() -> None:
    async with MessagesApi() as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test") as client:
        api.on("What", UseTools(Tool("look", at="table")), Say("Tea."))
        await client.beta.messages.tool_runner(**ASK, tools=[look], thread=False).until_done()
        assert len(api.asked[1].body["messages"]) == 3
        assert api.asked[1].whole == api.asked[1].body


async def test_a_thread_that_is_not_held_or_was_continued_is_refused() -> None:
    async with MessagesApi() as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test") as client:
        api.on("", every=Say("Well."))
        with pytest.raises(anthropic.NotFoundError) as lost:
            await client.beta.messages.create(**ASK, thread={"type": "continue", "previous_message_id": "msg_none"})
        first = await client.beta.messages.create(**ASK, thread={"type": "create"})
        ask = {**ASK, "thread": {"type": "continue", "previous_message_id": first.id}}
        await client.beta.messages.create(**ask)
        with pytest.raises(anthropic.BadRequestError) as twice:
            await client.beta.messages.create(**ask)
        assert [type(e.value).__name__ for e in (lost, twice)] == ["ThreadNotFoundError", "ThreadAlreadyContinuedError"]


async def test_a_reply_that_broke_off_is_not_held() -> None:
    async with MessagesApi() as api, anthropic.AsyncAnthropic(base_url=api.url, api_key="test", max_retries=0) as client:
        api.on("", Say("One."), Break(4), Say("Two."))
        first = await client.beta.messages.create(**ASK, thread={"type": "create"})
        ask = {**ASK, "thread": {"type": "continue", "previous_message_id": first.id}}
        with pytest.raises(Exception):  # noqa: B017 - whichever: what counts is that the same request works again
            async with client.beta.messages.stream(**ask) as stream:
                await stream.get_final_message()
        assert (await client.beta.messages.create(**ask)).content[0].text == "Two."
