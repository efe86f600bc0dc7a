"""Which rows are shown where there are many, and what the others come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from concertino.cli.show.text import one_line
from concertino.cli.show.trace.words import worked
from concertino.contracts.timeline import Row

_STATUSES = ("failed", "partial", "missing", "running")
"""What is told of before what went well or is still to come."""


@dataclass(frozen=True)
class Folded:
    """Rows of one kind and round, drawn as one: how many of them were at work at a time."""

    kind: str
    round: int
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        return f"{len(self.rows):,} more"

    @property
    def text(self) -> str:
        """``960 complete, 2 failed``."""
        found = Counter(row.status for row in self.rows)
        return ", ".join(f"{count:,} {status}" for status, count in found.most_common())

    @property
    def most(self) -> float:
        """Seconds of work in the longest of them."""
        return max(worked(row) for row in self.rows)


def fold(rows: Sequence[Row], room: int) -> list[Row | Folded]:
    """``rows`` in about ``room`` lines, in their order.

    Planning, reports and the critical path stay; then what failed, was tried again or is at work; then what took longest. The
    rest stands, a line for each kind and round, where the last of it stood.
    """
    if len(rows) <= room:
        return list(rows)
    kept = {row.id for row in sorted(rows, key=_rank)[:room]}
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        if row.id not in kept:
            groups.setdefault((row.round, row.kind), []).append(row)
    found: list[Row | Folded] = []
    for row in rows:
        if row.id in kept:
            found.append(row)
            continue
        group = groups[row.round, row.kind]
        if row is group[-1]:
            found.append(Folded(one_line(row.kind, 32), row.round, tuple(group)) if len(group) > 1 else row)
    return found


def _rank(row: Row) -> tuple[bool, bool, int, bool, float]:
    status = _STATUSES.index(row.status) if row.status in _STATUSES else len(_STATUSES)
    return not row.id.startswith(("plan.", "synthesis.")), row.critical <= 0, status, row.attempts < 2, -worked(row)
