"""One request as it came, and what a test wants to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct


class Asked(Struct, frozen=True):
    """A request to the API. ``headers`` have names in lower case, ``body`` is as it was sent.

    ``whole`` is the same with what the server holds of the conversation, if the request continues one: what the model reads,
    and what the rest here is about.
    """

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    whole: dict[str, Any]

    @property
    def model(self) -> str:
        return str(self.whole.get("model", ""))

    @property
    def system(self) -> str:
        """The system prompt."""
        return "\n".join(texts(self.whole.get("system")))

    @property
    def text(self) -> str:
        """All that the model is given to read: system prompt, messages, and results of tools. Not the tools themselves."""
        return "\n".join([*texts(self.whole.get("system")), *(t for m in self._messages for t in texts(m.get("content")))])

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools on offer, those of the provider among them."""
        return tuple(tool["name"] for tool in self.whole.get("tools") or () if "name" in tool)

    @property
    def results(self) -> tuple[str, ...]:
        """What the tools returned that were called last, each as text."""
        blocks = [block for block in self._last if block.get("type") == "tool_result"]
        return tuple("\n".join(texts(block.get("content"))) for block in blocks)

    @property
    def errors(self) -> tuple[str, ...]:
        """Those of :attr:`results` that say that the call failed."""
        blocks = [block for block in self._last if block.get("type") == "tool_result" and block.get("is_error")]
        return tuple("\n".join(texts(block.get("content"))) for block in blocks)

    @property
    def search_results(self) -> tuple[dict[str, Any], ...]:
        """The ``search_result`` blocks, in the order in which citations count them."""
        return tuple(block for message in self._messages for block in _search_results(message.get("content")))

    @property
    def turns(self) -> int:
        """How often the model has spoken in this conversation."""
        return sum(message.get("role") == "assistant" for message in self._messages)

    @property
    def form(self) -> dict[str, Any] | None:
        """The JSON Schema of the structured output that is asked for."""
        wanted = (self.whole.get("output_config") or {}).get("format")
        return wanted["schema"] if wanted else None

    @property
    def effort(self) -> str | None:
        effort = (self.whole.get("output_config") or {}).get("effort")
        return None if effort is None else str(effort)

    @property
    def streams(self) -> bool:
        return bool(self.whole.get("stream"))

    @property
    def betas(self) -> frozenset[str]:
        return frozenset(name.strip() for name in self.headers.get("anthropic-beta", "").split(",") if name.strip())

    def offers(self, tool: str) -> bool:
        """Whether ``tool`` is among the tools on offer."""
        return tool in self.tools

    def says(self, text: str) -> bool:
        """Whether ``text`` stands anywhere in what the model is given to read."""
        return text in self.text

    @property
    def _messages(self) -> list[dict[str, Any]]:
        return self.whole.get("messages") or []

    @property
    def _last(self) -> list[dict[str, Any]]:
        content = self._messages[-1].get("content") if self._messages else None
        return content if isinstance(content, list) else []


def texts(content: Any) -> Iterator[str]:
    """Every text in a system prompt, in the content of a message, or in a block."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            yield from texts(block)
    elif isinstance(content, dict):
        for name in ("title", "source", "text", "thinking"):
            yield from texts(content.get(name))
        if content.get("type") == "text" and "data" in content:  # the source of a document
            yield str(content["data"])
        if content.get("type") in ("tool_use", "server_tool_use"):
            yield str(content.get("input"))
        else:
            yield from texts(content.get("content"))


def _search_results(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, list):
        for block in content:
            if block.get("type") == "search_result":
                yield block
            elif block.get("type") == "tool_result":
                yield from _search_results(block.get("content"))
