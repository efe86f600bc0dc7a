"""``ask`` with a key: what models take is seen while they work, in the end, and in JSON; without one nothing of it is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from concertino.testing import MessagesApi, Tool, UseTools
from kit import script

pytestmark = pytest.mark.processes

REQUEST = "How often does the client retry?"
QUOTE = "The client retries a failed request five times"


def scripted(api: MessagesApi) -> None:
    api.on(script.of("plan"), every=script.split(script.brief("guide", "docs", REQUEST, sources="1"), question="simple"))
    api.on(lambda asked: script.role(asked) == "research" and asked.turns == 0, every=UseTools(Tool("search", query="retries")))
    api.on(script.of("research"), every=script.findings(script.claim("Five times.", ("guide.md", QUOTE))))
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


async def test_the_whole_team_on_a_model(cli: Any) -> None:
    async with MessagesApi() as api:
        scripted(api)
        cli.extra = api.environment()
        code, out, err = await asyncio.to_thread(cli.run, "ask", REQUEST, "--docs", "guide.md", "--deadline", "60s")
        assert code == 0, err
        assert not api.unexpected
    assert f"It says: {QUOTE}" in out
    status, seconds, calls, tokens, cost, task = out.splitlines()[-1].split(" · ")
    assert (status, calls) == ("**answered**", "5 calls")
    assert tokens.endswith("from cache)")
    assert cost.startswith("$0.")
    assert seconds.endswith(" s")
    assert task.startswith("task ")
    assert "planned 1 subtask (" in err
    assert "It says" not in err  # a report is not told in pieces where nothing can be redrawn
    assert "guide complete (" in err


async def test_json_names_who_thought_by_which_prompt_and_for_how_much(cli: Any) -> None:
    async with MessagesApi() as api:
        scripted(api)
        cli.extra = api.environment()
        code, out, err = await asyncio.to_thread(cli.run, "ask", REQUEST, "--docs", "guide.md", "--json", "--quiet")
        assert code == 0, err
    shown = json.loads(out)
    assert set(shown["by_kind"]) == {"plan", "docs", "synthesize"}
    assert set(shown["by_model"]) == {"claude-opus-5-5", "claude-sonnet-5-5"}
    assert shown["usage"]["model_calls"] == 5
    assert shown["usage"]["cost_usd"] == pytest.approx(sum(usage["cost_usd"] for usage in shown["by_model"].values()))
    [subtask] = shown["subtasks"]
    assert (subtask["model"], subtask["usage"]["model_calls"]) == ("claude-sonnet-5-5", 2)
    assert subtask["prompt"].startswith("research-")
    [round_] = shown["plan"]["rounds"]
    assert round_["planning"]["prompt"].startswith("plan-")
    assert round_["writing"]["prompt"].startswith("weigh-")


async def test_a_key_that_is_not_accepted_is_said_and_quotes_answer(cli: Any) -> None:
    async with MessagesApi() as api:
        cli.extra = {**api.environment(), "ANTHROPIC_API_KEY": "another"}
        code, out, err = await asyncio.to_thread(cli.run, "ask", REQUEST, "--docs", "guide.md")
    assert code in (3, 4)
    assert "does not accept the key" in out + err
    assert "another" not in out + err
