"""Answers that make no sense, as of a proxy between us and the API, or of a model that forgets what it may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from concertino.contracts.errors import DeadlineExceeded, ModelUnavailable, Unusable
from concertino.contracts.messages import Locator, Passage
from concertino.model.port import Prompt, Research
from concertino.testing import Asked, Blocks, Hang, MessagesApi, Raw, Reply, Say, Tool, UseTools
from concertino.worker.tools import Toolbox
from kit import script
from kit.claude import Claude, work

CALL = {"type": "tool_use", "id": "toolu_x", "name": "look", "input": {"at": "x"}}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [], "stop_reason": None}
START = {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 5, "output_tokens": 1}}}
DELTA = {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}}


def stream(*events: Any) -> Raw:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    names = [event["type"] if isinstance(event, dict) else "message_start" for event in events]
    return Raw("".join(f"event: {name}\ndata: {line}\n\n" for name, line in zip(names, lines, strict=True)).encode())


NONSENSE: dict[str, Reply] = {
    "a proxy's page": Raw(b"<html>Log in first</html>", type="text/html"),
    "a proxy's error": Raw(b"<html>Bad gateway</html>", 502, type="text/html"),
    "an error without a body": Raw(b"", 500),
    "an error without its form": Raw(b'{"error": "no"}', 429, type="application/json"),
    "a redirect to nowhere": Raw(b"", 302, headers={"location": "http://127.0.0.1:1/"}),
    "nothing": Raw(b"", 204),
    "no JSON": stream(START, "{not json"),
    "no UTF-8": Raw(b"event: message_start\ndata: \xff\xfe\n\n"),
    "a list": stream("[1, 2]"),
    "no message": stream({"type": "message_start", "message": None}),
    "a message without usage": stream({"type": "message_start", "message": MESSAGE}),
    "the middle first": stream(DELTA),
    "a block that did not begin": stream(START, DELTA),
    "no reason to stop": stream(START, {"type": "message_stop"}),
    "events of another age": stream(START, {"type": "surprise"}),
}
FORGETFUL: dict[str, Reply] = {
    "calls that nobody is to answer": Blocks([{"type": "text", "text": "Well."}, CALL], stop="end_turn"),
    "no calls where there should be some": Blocks([{"type": "text", "text": "Well."}], stop="tool_use"),
    "a reason to stop that is not known": Blocks([{"type": "text", "text": "Well."}], stop="whim"),
    "no content": Blocks([]),
    "blanks": Say(" \n"),
    "thoughts alone": Say(thinking="Hm."),
    "null": Say("null"),
    "calls without end": UseTools(Tool("look", at="x"), Tool("nope")),
}


async def look(at: str) -> list[Passage]:
    """Looks."""
    return [Passage(source="s", text=f"seen at {at}", locator=Locator(lines=(1, 1)))]


def job(claude: Claude) -> Research:
    tools = Toolbox(max_calls=4)
    tools.add(look)
    return Research(work=work(), tools=tools, prompt=Prompt("research", "1", "Look."), hooks=claude.hooks)


def good(asked: Asked) -> Any:
    done = script.findings(script.claim("So.", ("s", "seen at y")))
    if (asked.body.get("tool_choice") or {}).get("type") == "none":
        return done
    return script.works(Tool("look", at="y"), then=done)(asked)


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_a_broken_answer(api: MessagesApi, claude: Callable[..., Claude], name: str) -> None:
    model = claude()
    api.on("", NONSENSE[name], every=good)
    answer = await model.model.research(job(model))
    assert [claim.claim for claim in answer.value.claims] == ["So."]
    assert answer.shortfall is None
    assert len(model.calls) == len(api.asked) == 3


@pytest.mark.parametrize("name", NONSENSE)
async def test_nothing_but_nonsense_is_no_model(api: MessagesApi, claude: Callable[..., Claude], name: str) -> None:
    model = claude()
    api.on("", every=NONSENSE[name])
    with pytest.raises(ModelUnavailable):
        await model.model.research(job(model))
    assert len(model.calls) == len(api.asked) == 10


async def test_a_deadline_does_not_hide_what_went_wrong_before_it(api: MessagesApi, claude: Callable[..., Claude]) -> None:
    model = claude()
    api.on("", NONSENSE["a proxy's page"], every=Hang())
    late = structs.replace(job(model), work=work(seconds=1.5))
    with pytest.raises(DeadlineExceeded, match=r"the time was up .*; before that, the API of .* was not reached: text/html"):
        await model.model.research(late)


@pytest.mark.parametrize("name", FORGETFUL)
async def test_a_model_that_does_not_answer_at_all_is_told_once(
    api: MessagesApi, claude: Callable[..., Claude], name: str
) -> None:
    model = claude()
    api.on("", every=FORGETFUL[name])
    with pytest.raises(Unusable, match="also after the model was told why"):
        await model.model.research(job(model))
    assert not api.rejected
    assert len(model.calls) == len(api.asked)
