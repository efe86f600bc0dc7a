"""Tools as models see them, checked and metered as they are called."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from msgspec import Struct

from concertino.contracts.errors import Invalid, Refused
from concertino.contracts.messages import Locator, Passage
from concertino.worker.tools import Toolbox


class Hit(Struct, frozen=True):
    score: float
    passage: Passage


class Window(Struct, frozen=True):
    first: int
    last: int = 99


def passage(text: str) -> Passage:
    return Passage(source="a.py", text=text, locator=Locator(lines=(1, 1)))


async def search(query: str, limit: int = 5, kind: Literal["any", "code"] = "any") -> dict[str, Any]:
    """Passages about ``query``, best first."""
    return {"query": query, "limit": limit, "kind": kind, "hits": [Hit(1.0, passage("one")), (passage("two"),)], "none": None}


async def read(path: str, window: Window) -> list[Passage]:
    """The lines of a file."""
    return [passage(f"{path} {type(window).__name__} {window.first}-{window.last}")]


async def test_tools_are_offered_by_signature_and_docstring() -> None:
    box = Toolbox()
    box.add(search)
    [spec] = box.specs
    assert (spec.name, spec.description) == ("search", "Passages about ``query``, best first.")
    parameters = spec.parameters["$defs"]["search"] if "$defs" in spec.parameters else spec.parameters
    assert parameters["required"] == ["query"]
    assert parameters["properties"]["limit"] == {"type": "integer", "default": 5}
    assert parameters["properties"]["kind"]["enum"] == ["any", "code"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "query"),
        ({"query": 3}, "query"),
        ({"query": "x", "limit": "many"}, "limit"),
        ({"query": "x", "kind": "docs"}, "docs"),
        ({"query": "x", "depth": 3}, "depth"),
    ],
)
async def test_bad_arguments_are_named_and_cost_no_call(arguments: dict[str, Any], says: str) -> None:
    box = Toolbox(max_calls=1)
    box.add(search)
    with pytest.raises(Invalid, match=says):
        await box.call("search", **arguments)
    assert box.calls == 0


async def test_arguments_come_as_the_types_that_the_tool_names() -> None:
    box = Toolbox()
    box.add(search, read)
    assert (await box.call("search", query="x", limit="7"))["limit"] == 7
    [read_] = await box.call("read", path="a.py", window={"first": 3})
    assert read_.text == "a.py Window 3-99"


async def test_an_unknown_tool_is_told_what_there_is() -> None:
    box = Toolbox()
    with pytest.raises(Invalid, match="there are: none"):
        await box.call("grep")
    box.add(search, read)
    with pytest.raises(Invalid, match="'grep' here; there are: search, read"):
        await box.call("grep")


async def test_only_allowed_tools_are_offered() -> None:
    box = Toolbox(allowed=["read"])
    box.add(search, read)
    assert [spec.name for spec in box.specs] == ["read"]
    with pytest.raises(Invalid):
        await box.call("search", query="x")


async def test_calls_end_at_their_limit() -> None:
    box = Toolbox(max_calls=2)
    box.add(search)
    for _ in range(2):
        await box.call("search", query="x")
    with pytest.raises(Refused, match="2 tool calls"):
        await box.call("search", query="x")
    assert box.calls == 2


async def test_passages_are_seen_however_they_are_wrapped() -> None:
    seen: list[str] = []
    box = Toolbox(on_seen=lambda p: seen.append(p.text))
    box.add(search)
    await box.call("search", query="x")
    assert seen == ["one", "two"]


async def test_each_call_is_told_before_it_is_made() -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    async def on_call(name: str, arguments: dict[str, Any]) -> None:
        told.append((name, arguments))

    box = Toolbox(on_call=on_call)
    box.add(search)
    await box.call("search", query="x")
    assert told == [("search", {"query": "x", "limit": 5, "kind": "any"})]
