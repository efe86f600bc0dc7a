"""Parts that close a report, whoever wrote the rest: lines of Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from concertino.contracts.messages import Conflict
from concertino.model.extractive.markup import inline

NAMED = 12
"""Entries of one list that are written out; the rest is counted."""


def section(title: str, entries: Sequence[str]) -> list[str]:
    """A list under a heading; nothing where there is nothing to list."""
    if not entries:
        return []
    more = [f"- … and {len(entries) - NAMED} more"] if len(entries) > NAMED else []
    return [f"## {title}", "", *(f"- {inline(entry)}" for entry in entries[:NAMED]), *more, ""]


def disputes(disputed: Sequence[Conflict]) -> list[str]:
    """Each conflict with its positions, what they rest on, and what was made of it."""
    if not disputed:
        return []
    lines = ["## Where the sources disagree", ""]
    for conflict in disputed:
        lines.append(f"- {inline(conflict.statement)}")
        for position in conflict.positions:
            marks = "".join(f" [{id_}]" for id_ in position.citations)
            lines.append(f"  - {inline(position.claim)}{marks}")
        verdict = ": ".join(part.strip().rstrip(".") for part in (conflict.resolution or "Open", conflict.why) if part.strip())
        lines.append(f"  - {inline(verdict)}.")
    return [*lines, ""]
