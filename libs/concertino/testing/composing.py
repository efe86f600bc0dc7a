"""From a scripted reply to the message that the API would send, and to the events that it would stream it in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from concertino.testing.asked import Asked, texts
from concertino.testing.replies import Block, Blocks, Cited, CutOff, FellBack, Message, Pause, Refuse, Say, UseTools

PIECE = 20
"""Characters in one event of a stream."""
CHARACTERS_PER_TOKEN = 4


class BadScript(Exception):
    """A reply that cannot be given to this request. The text says why."""


def compose(reply: Message, asked: Asked, number: int, counted: Mapping[str, int]) -> dict[str, Any]:
    """The message for ``reply``; ``number`` tells it from the others, ``counted`` is its input in tokens."""
    blocks = _blocks(reply, asked, number)
    usage: dict[str, Any] = {
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        **counted,
        "output_tokens": max(1, sum(len(json.dumps(block)) for block in blocks) // CHARACTERS_PER_TOKEN),
        "service_tier": "standard",
    }
    if searches := sum(block.get("name") == "web_search" and block["type"] == "server_tool_use" for block in blocks):
        usage["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    message = {
        "id": f"msg_{number:024}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": blocks,
        "stop_reason": _stop(reply),
        "stop_sequence": None,
        "stop_details": _details(reply),
    }
    if isinstance(reply, FellBack):
        message["model"] = blocks[0]["to"]["model"]
        iteration = {name: usage[name] for name in (*counted, "output_tokens")}
        usage["iterations"] = [{"type": "fallback_message", "model": message["model"], **_ZERO, **iteration}]
    inner = reply.reply if isinstance(reply, FellBack) else reply
    return {**message, "usage": {**usage, **getattr(inner, "usage", {})}}


_ZERO = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def _blocks(reply: Message, asked: Asked, number: int) -> list[dict[str, Any]]:
    match reply:
        case Say():
            runs: Sequence[str | Cited] = [Cited(reply.text, reply.cites)] if isinstance(reply.text, str) else reply.text
            if reply.json is not None:
                runs = [json.dumps(reply.json, ensure_ascii=False)]
            return [*_thought(reply.thinking), *(_text(run, asked) for run in runs if run not in ("", Cited("")))]
        case UseTools():
            calls = [
                {"type": "tool_use", "id": f"toolu_{number:06}_{index}", "name": tool.name, "input": tool.input}
                for index, tool in enumerate(reply.tools)
            ]
            said = [{"type": "text", "text": reply.say}] if reply.say else []
            return [*_thought(reply.thinking), *said, *calls]
        case Blocks() | Pause():
            return [dict(block) for block in reply.blocks]
        case CutOff(text) | Refuse(text):
            return [{"type": "text", "text": text}] if text else []
        case FellBack(inner):
            return [_fallback(asked), *_blocks(inner, asked, number)]


def _text(run: str | Cited, asked: Asked) -> dict[str, Any]:
    if isinstance(run, str):
        return {"type": "text", "text": run}
    block: dict[str, Any] = {"type": "text", "text": run.text}
    if run.cites:
        block["citations"] = [_citation(index, asked) for index in run.cites]
    return block


def _citation(index: int, asked: Asked) -> dict[str, Any]:
    results = asked.search_results
    if index >= len(results):
        raise BadScript(f"the script cites search result {index}, and the request has {len(results)}, counted from 0")
    result = results[index]
    if not (result.get("citations") or {}).get("enabled"):
        raise BadScript(f"the script cites search result {index}, for which the request does not enable citations")
    return {
        "type": "search_result_location",
        "search_result_index": index,
        "source": result["source"],
        "title": result["title"],
        "cited_text": "".join(texts(result["content"])),
        "start_block_index": 0,
        "end_block_index": len(result["content"]),
    }


def signature(thinking: str) -> str:
    """What a block of thinking is signed with: it may not be changed when it is sent back."""
    return hashlib.sha256(thinking.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _thought(thinking: str) -> list[dict[str, Any]]:
    return [{"type": "thinking", "thinking": thinking, "signature": signature(thinking)}] if thinking else []


def _fallback(asked: Asked) -> dict[str, Any]:
    others = asked.body.get("fallbacks")
    if not isinstance(others, list) or not others:
        raise BadScript("the script falls back on another model, and the request names none in `fallbacks`")
    trigger = {"type": "refusal", "category": None}
    return {"type": "fallback", "from": {"model": asked.model}, "to": {"model": others[0]["model"]}, "trigger": trigger}


def _stop(reply: Message) -> str:
    match reply:
        case Say() | Blocks():
            return reply.stop
        case FellBack(inner):
            return _stop(inner)
        case UseTools():
            return "tool_use"
        case CutOff():
            return "max_tokens"
        case Refuse():
            return "refusal"
        case Pause():
            return "pause_turn"


def _details(reply: Message) -> dict[str, Any] | None:
    if isinstance(reply, Refuse):
        return {"type": "refusal", "category": reply.category, "explanation": reply.explanation}
    return None


# -------------------------------------------------------------------------------------------------------------- events


def events(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream that carries ``message``, in the API's order."""
    final = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "stop_details": None, "usage": {**final, "output_tokens": 1}}
    yield "message_start", {"message": begun}
    yield "ping", {}
    for index, block in enumerate(message["content"]):
        empty, deltas = _streamed(block)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield "message_delta", {"delta": delta, "usage": {k: v for k, v in final.items() if k != "service_tier"}}
    yield "message_stop", {}


def sse(name: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def _streamed(block: Block) -> tuple[Block, list[dict[str, Any]]]:
    """How a block begins, and what is added to it."""
    match block["type"]:
        case "text":
            citations = block.get("citations")
            pieces = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
            cited = [{"type": "citations_delta", "citation": citation} for citation in citations or ()]
            return {"type": "text", "text": "", **({"citations": []} if citations else {})}, pieces + cited
        case "thinking":
            pieces = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*pieces, signed]
        case "tool_use" | "server_tool_use":
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(_as_json(block["input"]))]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": ""}, *pieces]
        case "compaction":
            delta = {"type": "compaction_delta", "content": block["content"], "encrypted_content": None}
            return {**block, "content": None}, [delta]
        case _:
            return block, []


def _as_json(value: Any) -> str:
    return json.dumps(value) if value else ""


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
