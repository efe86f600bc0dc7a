"""What a tool of a server answered, as passages that can be quoted. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage

MOST_CHARACTERS = 50_000
"""Of one answer. What goes beyond is left out, and said to be."""
_ERROR, _NAMED, _ARGUMENTS, _ARGUMENT = 1_000, 20, 160, 60


class Told(Struct, frozen=True):
    """``notes`` name what is not shown."""

    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()


def told(server: str, tool: str, arguments: Mapping[str, Any], result: Any) -> Told:
    """``result`` is the SDK's. Raises :class:`Invalid` where it is an error of the tool."""
    texts = [titled for block in result.content if (titled := _text(block))]
    if not any(texts) and result.structured_content is not None:
        texts = [("", json.dumps(result.structured_content, ensure_ascii=False, indent=1))]
    if result.is_error:
        said = " ".join(text for _, text in texts)[:_ERROR]
        raise Invalid(f"{server}_{tool} answers with an error: {_clean(said) or 'it does not say which'}")
    passages: list[Passage] = []
    notes = [name for block in result.content if (name := _unseen(block))]
    if len(notes) > _NAMED:
        notes = [*notes[:_NAMED], f"{len(notes) - _NAMED} more"]
    left = MOST_CHARACTERS
    for title, whole in texts:
        text = _clean(whole)
        if text[:left].strip():
            where = Locator(fragment=shortly(arguments))
            passages.append(Passage(source=f"mcp:{server}/{tool}", text=text[:left], locator=where, title=title))
        if len(text) > left:
            notes.append(f"{len(text) - left} characters of the answer are left out: ask for less at once")
        left = max(left - len(text), 0)
    return Told(tuple(passages), tuple(notes))


def shortly(arguments: Mapping[str, Any]) -> str:
    """The arguments of a call, in short: where its answer is to be found again."""
    return ", ".join(f"{_cut(str(k), 32)}={_cut(_clean(str(v)), _ARGUMENT)}" for k, v in arguments.items())[:_ARGUMENTS]


def _text(block: Any) -> tuple[str, str] | None:
    """Title and text."""
    if block.type == "text":
        return "", block.text
    if block.type == "resource" and hasattr(block.resource, "text"):
        return _cut(_clean(str(block.resource.uri)), 200), block.resource.text
    return None


def _unseen(block: Any) -> str:
    """What it is that is not shown; empty where it is shown."""
    match block.type:
        case "text":
            return ""
        case "resource_link":
            return f"not shown: a link to {_cut(_clean(block.name), 100)} ({_cut(_clean(str(block.uri)), 200)})"
        case "resource" if hasattr(block.resource, "text"):
            return ""
        case "resource":
            return f"not shown: the file {_cut(_clean(str(block.resource.uri)), 200)}"
        case kind:
            return f"not shown: {kind} ({_cut(_clean(block.mime_type or ''), 60)})"


def _clean(text: str) -> str:
    """``text`` as it can be stored: half a character is none."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
