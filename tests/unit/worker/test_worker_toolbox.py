"""Tools as models see them, checked and metered as they are called."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from concertino.contracts.errors import Invalid, Refused, Transient
from concertino.contracts.messages import Locator, Passage
from concertino.model.observation import Checked
from concertino.model.port import ToolSpec
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
    parameters = spec.parameters  # the object itself: no API takes a reference to it
    assert (parameters["type"], parameters["additionalProperties"]) == ("object", False)
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
    for query in ("x", "y"):
        await box.call("search", query=query)
    with pytest.raises(Refused, match="2 tool calls"):
        await box.call("search", query="z")
    assert (box.calls, box.left) == (2, 0)


async def test_the_same_call_is_made_once_until_its_result_is_forgotten() -> None:
    box = Toolbox()
    box.add(search)
    await box.call("search", query="x")
    with pytest.raises(Refused, match="before"):
        await box.call("search", limit=5, query="x")
    await box.call("search", query="x", limit=6)
    box.forget()
    await box.call("search", query="x")
    assert box.calls == 3


async def test_a_call_that_failed_may_be_made_again() -> None:
    failures = iter((Transient("away"), None))

    async def fetch(url: str) -> str:
        """A page."""
        if error := next(failures):
            raise error
        return url

    box = Toolbox()
    box.add(fetch)
    with pytest.raises(Transient):
        await box.call("fetch", url="x")
    assert await box.call("fetch", url="x") == "x"


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


async def test_what_returns_findings_is_known_as_a_check() -> None:
    async def lint() -> Checked:
        """Finds faults."""
        return Checked("style", ())

    box = Toolbox()
    box.add(search, lint)
    assert [(spec.name, spec.checks) for spec in box.specs] == [("search", False), ("lint", True)]


async def test_parameters_are_described_and_bounded_by_their_types() -> None:
    async def find(query: Annotated[str, Meta(description="A few words.")], limit: Annotated[int, Meta(ge=1)] = 5) -> str:
        """Finds."""
        return query * limit

    box = Toolbox()
    box.add(find, read)
    found, with_struct = box.specs
    assert found.parameters["properties"]["query"] == {"type": "string", "description": "A few words."}
    assert with_struct.parameters["properties"]["window"]["$ref"] in {f"#/$defs/{d}" for d in with_struct.parameters["$defs"]}
    with pytest.raises(Invalid, match="limit"):
        await box.call("find", query="x", limit=0)


async def test_a_tool_may_be_offered_as_somebody_else_describes_it() -> None:
    async def remote(**arguments: Any) -> list[Passage]:
        return [passage(f"{sorted(arguments.items())}")]

    seen: list[str] = []
    box = Toolbox(allowed=["tickets_find", "other"], max_calls=2, on_seen=lambda p: seen.append(p.text))
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    box.offer(ToolSpec("tickets_find", "Finds tickets.", schema), remote)
    box.offer(ToolSpec("tickets_wipe", "Deletes tickets.", schema), remote)
    assert [(spec.name, spec.parameters) for spec in box.specs] == [("tickets_find", schema)]
    await box.call("tickets_find", q="pump", unknown={"a": 1})
    assert seen == ["[('q', 'pump'), ('unknown', {'a': 1})]"]
    with pytest.raises(Refused, match="just these arguments"):
        await box.call("tickets_find", unknown={"a": 1}, q="pump")
    with pytest.raises(Invalid, match="no tool 'tickets_wipe'"):
        await box.call("tickets_wipe")


@pytest.mark.parametrize("name", ["", "a.b", "über", "x" * 65, "a b", "a/b"])
def test_a_name_that_no_model_can_call_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        Toolbox().offer(ToolSpec(name, "", {}), search)


def test_no_tool_takes_the_place_of_another() -> None:
    box = Toolbox()
    box.add(search)
    with pytest.raises(ValueError, match="already"):
        box.offer(ToolSpec("search", "Another one.", {}), read)


async def test_what_a_handler_allows_replaces_what_the_brief_names() -> None:
    box = Toolbox(allowed=["docs_search"])
    box.offer(ToolSpec("docs_search", "", {}), search)
    box.allow_only({"docs_read"})
    box.offer(ToolSpec("docs_read", "", {}), read)
    box.offer(ToolSpec("shell", "", {}), read)
    assert [spec.name for spec in box.specs] == ["docs_read"]


async def test_the_same_call_is_made_once_side_by_side_too() -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(query: str) -> str:
        """Takes its time."""
        begun.set()
        await go_on.wait()
        return query

    box = Toolbox()
    box.add(slow)
    first = asyncio.create_task(box.call("slow", query="x"))
    await begun.wait()
    with pytest.raises(Refused, match="before"):
        await box.call("slow", query="x")
    go_on.set()
    assert await first == "x"


async def test_a_tool_cannot_end_the_process() -> None:
    async def leave() -> None:
        """Leaves."""
        raise SystemExit(3)

    box = Toolbox()
    box.add(leave)
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        await box.call("leave")
