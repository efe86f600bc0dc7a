"""What the API's prompt cache would hold, so that tests see whether a client's prefixes stay what they were.

Entries have no smallest size here and never expire; else the rules are the API's: tools, then system, then messages, written
at each breakpoint, and found again at a breakpoint or up to twenty blocks before it. What is written for one model is not found
for another. Settings count as well: with another ``output_config`` all is read anew, with another ``tool_choice`` or
``thinking`` the messages.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from concertino.testing.composing import CHARACTERS_PER_TOKEN

LOOK_BACK = 20


class Cache:
    """The prefixes that were written so far, by digest."""

    def __init__(self) -> None:
        self._written: set[str] = set()

    def count(self, body: dict[str, Any]) -> dict[str, int]:
        """The tokens of ``body`` as read anew, written to the cache, or read from it. Writes what it marks."""
        blocks = _in_order(body)
        marks = [index for index, block in enumerate(blocks) if block.get("cache_control") is not None]
        if body.get("cache_control") is not None and blocks:
            marks.append(len(blocks) - 1)
        prefixes, ends = _prefixes({name: body.get(name) for name in ("model", "output_config")}, blocks)
        found = max((i for m in marks for i in range(max(m - LOOK_BACK, 0), m + 1) if prefixes[i] in self._written), default=-1)
        last = max(marks, default=-1)
        self._written.update(prefixes[mark] for mark in marks)
        total = ends[-1] if ends else 0
        read = ends[found] if found >= 0 else 0
        marked = ends[last] if last >= 0 else 0
        return {
            "input_tokens": total - marked,
            "cache_creation_input_tokens": max(marked - read, 0),
            "cache_read_input_tokens": read,
        }


_SETTINGS = "settings"


def _in_order(body: dict[str, Any]) -> list[dict[str, Any]]:
    """All blocks; those of messages with the settings under which they are read."""
    system = body.get("system") or []
    blocks = [{"tool": tool, "cache_control": tool.get("cache_control")} for tool in body.get("tools") or ()]
    blocks += [{"type": "text", "text": system}] if isinstance(system, str) else system
    read = {_SETTINGS: {name: body.get(name) for name in ("tool_choice", "thinking")}}
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            blocks.append({"role": message["role"], **block, **read})
    return blocks


def _prefixes(settings: dict[str, Any], blocks: list[dict[str, Any]]) -> tuple[list[str], list[int]]:
    """For each block the digest of all up to it, and the tokens."""
    digest = hashlib.sha256(json.dumps(_unmarked(settings), sort_keys=True).encode())
    digests: list[str] = []
    ends: list[int] = []
    size = 0
    for block in blocks:
        under = json.dumps(_unmarked(block.get(_SETTINGS)), sort_keys=True)
        text = json.dumps(_unmarked({name: value for name, value in block.items() if name != _SETTINGS}), sort_keys=True)
        digest.update(f"{under}\n{text}".encode())
        digests.append(digest.hexdigest())
        size += len(text)
        ends.append(size // CHARACTERS_PER_TOKEN)
    return digests, ends


def _unmarked(value: Any) -> Any:
    """Without the marks themselves, and without what is null."""
    if isinstance(value, dict):
        return {k: _unmarked(v) for k, v in value.items() if k != "cache_control" and v is not None}
    return [_unmarked(item) for item in value] if isinstance(value, list) else value
