"""What the API does not take: the mistakes of a client, found the way the API finds them and said in much the same words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from concertino.testing import schemas

CACHE_BREAKPOINTS = 4

_FIELDS = {
    "model", "messages", "max_tokens", "cache_control", "container", "context_management", "diagnostics", "fallbacks",
    "fallback_credit_token", "inference_geo", "mcp_servers", "metadata", "output_config", "service_tier", "speed",
    "stop_sequences", "stream", "system", "thinking", "tool_choice", "tools", "compaction", "thread", "billing_policy",
}  # fmt: skip
_BETAS = {
    "context_management": ("context-management-", "compact-"),
    "fallbacks": ("server-side-fallback-",),
    "fallback_credit_token": ("fallback-credit-",),
    "mcp_servers": ("mcp-client-",),
    "compaction": ("compact-",),
    "thread": ("message-threads-",),
}
"""Fields that are only there under a beta."""
_EDITS = {"compact_20260112": "compact-2026-01-12", "clear_tool_uses_20250919": "context-management-2025-06-27"}
_EFFORTS = {"low", "medium", "high", "xhigh", "max"}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")

_COMMON = {"type", "cache_control"}
_BLOCKS = {
    "text": {"text", "citations"},
    "image": {"source", "transformations"},
    "document": {"source", "citations", "context", "title"},
    "search_result": {"content", "source", "title", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "input", "name", "caller", "toolset_name"},
    "tool_result": {"tool_use_id", "content", "is_error", "toolset_name"},
    "server_tool_use": {"id", "input", "name", "caller"},
    "web_search_tool_result": {"content", "tool_use_id", "caller"},
    "web_fetch_tool_result": {"content", "tool_use_id", "caller"},
    "compaction": {"content", "encrypted_content", "signature", "tool_changes"},
    "fallback": {"from", "to", "trigger"},
}
"""What each kind of block may hold. Other kinds of block are not known here, and refused."""
_REQUIRED = {
    "text": {"text"},
    "document": {"source"},
    "search_result": {"content", "source", "title"},
    "thinking": {"thinking", "signature"},
    "tool_use": {"id", "input", "name"},
    "tool_result": {"tool_use_id"},
}


def problem(body: Any, betas: frozenset[str]) -> str | None:
    """The first thing that the API would refuse ``body`` for, in its words."""
    if not isinstance(body, dict):
        return "The request body is not valid JSON"
    try:
        return next(_problems(body, betas), None)
    except (AttributeError, KeyError, TypeError) as e:
        return f"The request body is not in the form of the API: {type(e).__name__}: {e}"


def _problems(body: dict[str, Any], betas: frozenset[str]) -> Iterator[str]:
    yield from _fields(body, betas)
    yield from _messages(body["messages"])
    yield from _system(body.get("system"))
    yield from _tools(body)
    yield from _pairs(body["messages"])
    yield from _caching(body)
    yield from _output(body)
    yield from _citing(body)
    yield from _thinking(body)


def _fields(body: dict[str, Any], betas: frozenset[str]) -> Iterator[str]:
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            yield f"{name}: Field required"
    for name, value in body.items():
        needed = _BETAS.get(name)
        hidden = needed and value is not None and not any(beta.startswith(needed) for beta in betas)
        if name not in _FIELDS or hidden:
            yield f"{name}: Extra inputs are not permitted"
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        yield "max_tokens: Input should be a whole number greater than 0"
    if not isinstance(body["model"], str) or not body["model"]:
        yield "model: Input should be a valid string"
    if not isinstance(body["messages"], list) or not body["messages"]:
        yield "messages: at least one message is required"
    for index, edit in enumerate((body.get("context_management") or {}).get("edits", ())):
        beta = _EDITS.get(edit.get("type"))
        if beta is not None and beta not in betas:
            yield f"context_management.edits.{index}: {edit['type']} needs the beta {beta}"


def _messages(messages: list[Any]) -> Iterator[str]:
    if messages[0].get("role") != "user" and not _summary(messages[0]):
        yield "messages: first message must use the user role"
    for index, message in enumerate(messages):
        path = f"messages.{index}"
        for name in message.keys() - {"role", "content", "clear_at", "output_config"}:
            yield f"{path}.{name}: Extra inputs are not permitted"
        if message.get("role") not in ("user", "assistant", "system"):
            yield f"{path}.role: Input should be 'user', 'assistant' or 'system'"
        content = message.get("content")
        if isinstance(content, str):
            if not content.strip():
                yield f"{path}: {_EMPTY}"
        elif not isinstance(content, list):
            yield f"{path}.content: Input should be a valid list"
        elif not content and index < len(messages) - 1:
            yield f"{path}: all messages must have non-empty content except for the optional final assistant message"
        else:
            yield from _content(content, f"{path}.content")


def _summary(message: dict[str, Any]) -> bool:
    """Whether it stands in place of the messages that it summarizes."""
    content = message.get("content")
    return isinstance(content, list) and bool(content) and all(block.get("type") == "compaction" for block in content)


_EMPTY = "text content blocks must contain non-whitespace text"


def _content(content: list[Any], path: str) -> Iterator[str]:
    for index, block in enumerate(content):
        here = f"{path}.{index}"
        type_ = block.get("type") if isinstance(block, Mapping) else None
        if type_ not in _BLOCKS:
            yield f"{here}: Input tag {type_!r} found using 'type' does not match any of the expected tags"
            return
        for name in sorted(block.keys() - _COMMON - _BLOCKS[type_]):
            yield f"{here}.{type_}.{name}: Extra inputs are not permitted"
        for name in sorted(_REQUIRED.get(type_, set()) - block.keys()):
            yield f"{here}.{type_}.{name}: Field required"
        if type_ == "text" and not block["text"].strip():
            yield f"{here}: {_EMPTY}"
        if type_ in ("thinking", "redacted_thinking") and "cache_control" in block:
            yield f"{here}.{type_}.cache_control: Extra inputs are not permitted"
        inner = block.get("content")
        if type_ == "search_result" and (not isinstance(inner, list) or not inner):
            yield f"{here}.search_result.content: at least one text block is required"
        if type_ in ("tool_result", "search_result") and isinstance(inner, list):
            yield from _content(inner, f"{here}.{type_}.content")
        if type_ == "tool_result" and not isinstance(inner, str | list | None):
            yield f"{here}.tool_result.content: Input should be a string or a list of blocks"


def _system(system: Any) -> Iterator[str]:
    if isinstance(system, list):
        yield from (f"system.{i}: Input should be a text block" for i, b in enumerate(system) if b.get("type") != "text")
        yield from _content(system, "system")
    elif system is not None and not isinstance(system, str):
        yield "system: Input should be a string or a list of text blocks"


def _tools(body: dict[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for index, tool in enumerate(body.get("tools") or ()):
        path = f"tools.{index}"
        name = tool.get("name", "")
        if tool.get("type") != "mcp_toolset" and not _TOOL_NAME.fullmatch(name):
            yield f"{path}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if name in seen:
            yield "tools: Tool names must be unique."
        seen.add(name)
        if tool.get("type", "custom") != "custom":
            continue
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            yield f"{path}.custom.input_schema: Field required"
        elif schema.get("type") != "object":
            yield f"{path}.custom.input_schema.type: Field required to be 'object'"
        elif schema.keys() & {"oneOf", "allOf", "anyOf"}:
            yield f"{path}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
        elif tool.get("strict") and (why := schemas.problem(schema)):
            yield f"{path}.custom.input_schema: {why}"
    choice = body.get("tool_choice") or {}
    if choice and not body.get("tools"):
        yield "tool_choice: tool_choice may only be specified while providing tools"
    if choice.get("type") == "tool" and choice.get("name") not in seen:
        yield f"tool_choice: Tool {choice.get('name')!r} not found in provided tools"
    used = any(block.get("type") in ("tool_use", "tool_result") for _, block in _blocks(body["messages"]))
    if used and not body.get("tools"):
        yield "Requests which include `tool_use` or `tool_result` blocks must define tools"


def _pairs(messages: list[Any]) -> Iterator[str]:
    """Every call of a tool is answered at the beginning of the next message, and nothing else is answered."""
    open_: set[str] = set()
    known: set[str] = set()
    for index, message in enumerate(messages):
        content = message["content"] if isinstance(message["content"], list) else []
        answered = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        for id_ in answered:
            if id_ not in open_:
                yield (
                    f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}. Each `tool_result` "
                    "block must have a corresponding `tool_use` block in the previous message."
                )
        if len(answered) != len(set(answered)):
            yield f"messages.{index}: each tool_use must have a single result. Found multiple `tool_result` blocks."
        if missing := open_ - set(answered):
            yield (
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(sorted(missing))}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        if answered and any(block["type"] != "tool_result" for block in content[: len(answered)]):
            yield f"messages.{index}: `tool_result` blocks must come before all other content"
        open_ = {block["id"] for block in content if block["type"] == "tool_use"}
        if open_ & known:
            yield f"messages.{index}: `tool_use` ids must be unique"
        known |= open_
    if open_:
        yield f"messages.{len(messages) - 1}: the conversation ends with `tool_use` blocks that have no `tool_result`"


def _caching(body: dict[str, Any]) -> Iterator[str]:
    places = [body, *(body.get("tools") or ()), *(block for _, block in _blocks(body["messages"]))]
    if isinstance(body.get("system"), list):
        places += body["system"]
    count = sum(place.get("cache_control") is not None for place in places)
    if count > CACHE_BREAKPOINTS:
        yield f"A maximum of {CACHE_BREAKPOINTS} blocks with cache_control may be provided. Found {count}."


def _output(body: dict[str, Any]) -> Iterator[str]:
    config = body.get("output_config") or {}
    for name in config.keys() - {"format", "effort", "task_budget"}:
        yield f"output_config.{name}: Extra inputs are not permitted"
    if config.get("effort") is not None and config["effort"] not in _EFFORTS:
        yield f"output_config.effort: Input should be {', '.join(sorted(_EFFORTS))}"
    wanted = config.get("format")
    if wanted is not None:
        if wanted.get("type") != "json_schema":
            yield "output_config.format.type: Input should be 'json_schema'"
        elif why := schemas.problem(wanted.get("schema")):
            yield f"output_config.format.schema: Invalid schema: {why}"


def _citing(body: dict[str, Any]) -> Iterator[str]:
    citable = [block for _, block in _blocks(body["messages"]) if block.get("type") in ("document", "search_result")]
    enabled = [bool((block.get("citations") or {}).get("enabled")) for block in citable]
    if any(enabled) and not all(enabled):
        yield "citations must be enabled on all or none of the documents and search results"
    if any(enabled) and (body.get("output_config") or {}).get("format") is not None:
        yield "output_config.format: citations cannot be used together with structured outputs"


def _thinking(body: dict[str, Any]) -> Iterator[str]:
    thinking = body.get("thinking") or {}
    if thinking.get("type") not in (None, "enabled", "disabled", "adaptive", "between_tools"):
        yield "thinking.type: Input should be 'enabled', 'disabled', 'adaptive' or 'between_tools'"
    if thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if budget < 1024:
            yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        if budget >= body["max_tokens"]:
            yield "`max_tokens` must be greater than `thinking.budget_tokens`"
    if thinking.get("type", "disabled") != "disabled" and (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _blocks(messages: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every block with the index of its message, those within results of tools too."""
    for index, message in enumerate(messages):
        for block in message["content"] if isinstance(message["content"], list) else ():
            yield index, block
            if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                yield from ((index, inner) for inner in block["content"])
