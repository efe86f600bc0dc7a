"""What a model is scripted to answer: messages, faults, and answers that break off or never come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

Block: TypeAlias = Mapping[str, Any]
"""A content block as the API sends it."""


class Cited(Struct, frozen=True):
    """A run of text that cites ``search_result`` blocks of the request, by their place among these."""

    text: str
    cites: tuple[int, ...] = ()


class Say(Struct, frozen=True):
    """A finished turn: text, runs of text that each cite something, or ``json`` as a structured output."""

    text: str | Sequence[str | Cited] = ""
    json: Any = None
    cites: tuple[int, ...] = ()
    """What ``text`` as a whole cites."""
    thinking: str = ""
    """Thought before, in a block of its own."""
    stop: str = "end_turn"
    usage: Mapping[str, Any] = {}
    """Replaces what is counted, field by field."""


class Tool:
    """One call of a tool: ``Tool("search", query="ports")``."""

    def __init__(self, name: str, /, **input: Any) -> None:  # noqa: A002
        self.name, self.input = name, input

    def __repr__(self) -> str:
        return f"Tool({self.name!r}, {', '.join(f'{key}={value!r}' for key, value in self.input.items())})"


class UseTools:
    """A turn that ends with calls of tools, whether or not the request offers them."""

    def __init__(self, *tools: Tool, say: str = "", thinking: str = "", usage: Mapping[str, Any] | None = None) -> None:
        self.tools, self.say, self.thinking, self.usage = tools, say, thinking, usage or {}

    def __repr__(self) -> str:
        return f"UseTools({', '.join(map(repr, self.tools))})"


class Blocks(Struct, frozen=True):
    """A turn of any content blocks, for what has no reply of its own."""

    blocks: Sequence[Block]
    stop: str = "end_turn"
    usage: Mapping[str, Any] = {}


class CutOff(Struct, frozen=True):
    """A turn that ends in the middle because ``max_tokens`` are spent."""

    text: str = ""


class Refuse(Struct, frozen=True):
    """A turn that the provider's classifiers ended, after ``text``."""

    text: str = ""
    category: str | None = None
    explanation: str | None = None


class Pause(Struct, frozen=True):
    """A turn that is handed back unfinished: the request is to be sent again with it at its end."""

    blocks: Sequence[Block]
    usage: Mapping[str, Any] = {}


class FellBack(Struct, frozen=True):
    """The model declined, and the first of the request's ``fallbacks`` answers in its place."""

    reply: Say | UseTools | Blocks


Message: TypeAlias = Say | UseTools | Blocks | CutOff | Refuse | Pause | FellBack
"""The replies that are a message of the model."""


class Fault(Struct, frozen=True):
    """An error instead of a message. ``midstream``: after the first piece of one, as an event, where the request streams."""

    status: int
    type: str = ""
    """Unset: what the API says with that status."""
    message: str = ""
    headers: Mapping[str, str] = {}
    midstream: bool = False
    details: Mapping[str, Any] = {}
    """Of the error, such as its ``error_code``."""


class Raw(Struct, frozen=True):
    """Any answer over HTTP, as of a proxy that speaks for itself, or a stream that makes no sense."""

    body: bytes
    status: int = 200
    type: str = "text/event-stream"
    headers: Mapping[str, str] = {}


class Break(Struct, frozen=True):
    """The connection breaks after ``after`` events of ``reply``; after 0 without a word."""

    after: int = 3
    reply: Message = Say("This is the beginning of an answer that nobody will ever hear the end of.")


class Hang(Struct, frozen=True):
    """After ``after`` events of ``reply`` nothing comes for ``seconds``; then the connection is closed."""

    seconds: float = 3600.0
    after: int = 0
    reply: Message = Say("This is the beginning of an answer that takes for ever.")


Reply: TypeAlias = Message | Fault | Raw | Break | Hang


def hosted_search(query: str, *results: tuple[str, str], id: str = "srvtoolu_1") -> list[Block]:  # noqa: A002
    """The blocks of a web search by the provider; each result is a URL and a title."""
    found = [
        {"type": "web_search_result", "url": url, "title": title, "encrypted_content": f"sealed {url}", "page_age": None}
        for url, title in results
    ]
    return [
        {"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}},
        {"type": "web_search_tool_result", "tool_use_id": id, "content": found},
    ]
