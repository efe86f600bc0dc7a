"""What a model is scripted to say in each role of a task, in the forms that the roles ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from concertino.testing import Asked, Cited, Message, Say, Tool, UseTools

Role = Literal["plan", "research", "digest", "weigh", "write"]

_ROLES: Mapping[str, Role] = {"subtasks": "plan", "sections": "weigh", "points": "digest", "claims": "research"}
"""By what stands in the form that is asked for."""


def role(asked: Asked) -> Role:
    """Who asks."""
    named = (asked.form or {}).get("properties", {})
    for name, role in _ROLES.items():
        if name in named:
            return role
    return "write" if asked.search_results and not asked.tools else "research"


def of(wanted: Role) -> Callable[[Asked], bool]:
    """A match: the requests of a role."""
    return lambda asked: role(asked) == wanted


def researching(text: str) -> Callable[[Asked], bool]:
    """A match: the requests of the worker in whose brief ``text`` stands."""
    return lambda asked: role(asked) == "research" and asked.says(text)


# ------------------------------------------------------------------------------------------------------------- planner


def brief(id_: str, kind: str, objective: str, **more: Any) -> dict[str, Any]:
    """A subtask, every field of the form filled in."""
    fields: dict[str, Any] = {
        "why": "",
        "expected_output": "",
        "boundaries": "",
        "starting_points": [],
        "trusted": [],
        "sources": "",
        "tools": [],
        "max_calls": 10,
        "depends_on": [],
        "role": "",
        "instructions": "",
    }
    return {"id": id_, "kind": kind, "objective": objective, **fields, **more}


def split(*briefs: dict[str, Any], question: str = "deep", why: str = "as scripted") -> Say:
    """A plan."""
    return Say(json={"question": question, "why": why, "subtasks": list(briefs)})


# ------------------------------------------------------------------------------------------------------------- workers


def claim(text: str, *quotes: tuple[str, str], quality: float = 0.9, confidence: float = 0.9) -> dict[str, Any]:
    """A finding; each quote is a source and what stands there."""
    return {
        "claim": text,
        "quotes": [{"source": source, "text": quoted, "root": ""} for source, quoted in quotes],
        "quality": quality,
        "confidence": confidence,
        "severity": "",
        "topic": "",
        "advice": "",
    }


def findings(*claims: dict[str, Any], gaps: Sequence[str] = ()) -> Say:
    return Say(json={"claims": list(claims), "gaps": list(gaps)})


def works(*tools: Tool, then: Message) -> Callable[[Asked], Message]:
    """A worker that uses ``tools`` before anything else, and then answers."""
    return lambda asked: then if used(asked) or not asked.tools else UseTools(*tools)


def used(asked: Asked) -> bool:
    """Whether any tool was called in the conversation."""
    contents = [message["content"] for message in asked.whole["messages"] if isinstance(message["content"], list)]
    return any(block["type"] == "tool_result" for content in contents for block in content)


# --------------------------------------------------------------------------------------------------------- synthesizer


def found(asked: Asked) -> list[dict[str, Any]]:
    """The findings that a synthesizer is shown to weigh."""
    shown = re.search(r"<findings>\n(.*?)\n</findings>", asked.text, re.DOTALL)
    assert shown, asked.text
    return list(json.loads(shown[1]))


def id_of(asked: Asked, quoted: str) -> str:
    """The id of the one finding whose quote holds ``quoted``."""
    [item] = [item for item in found(asked) if quoted in item.get("quote", "")]
    return str(item["id"])


def weighed(
    asked: Asked,
    *,
    answer: str = "As follows.",
    conflicts: Sequence[tuple[str, Sequence[tuple[str, str]], str, str]] = (),
    gaps: Sequence[str] = (),
    open_: Sequence[str] = (),
) -> Say:
    """Every finding a point of one section. A conflict is a statement, its sides (claim and a part of its quote), how it is
    resolved, and why."""
    points = [{"claim": item["claim"], "findings": [item["id"]]} for item in found(asked)]
    disputes = [
        {
            "statement": statement,
            "sides": [{"claim": side, "findings": [id_of(asked, quoted)]} for side, quoted in sides],
            "resolution": resolution,
            "why": why,
        }
        for statement, sides, resolution, why in conflicts
    ]
    return Say(
        json={
            "answer": answer,
            "sections": [{"heading": "What was found", "points": points}] if points else [],
            "same": [],
            "conflicts": disputes,
            "doubtful": [],
            "set_aside": [],
            "gaps": list(gaps),
            "open": list(open_),
        }
    )


def written(asked: Asked) -> Say:
    """A report with a sentence for each search result, which cites it natively."""
    runs: list[str | Cited] = []
    for index, result in enumerate(asked.search_results):
        quoted = " ".join(result["content"][0]["text"].split())
        runs += [Cited(f"It says: {quoted.rstrip('.')}", (index,)), ".\n\n"]
    return Say(runs or "Nothing.")
