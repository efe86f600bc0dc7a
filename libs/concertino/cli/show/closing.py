"""What is said after a report's text, whatever it is printed on: what the text left out, and one line that sums up."""

from __future__ import annotations

import re
from collections.abc import Iterable

from concertino.cli.durations import format_seconds
from concertino.cli.show.spending import spent
from concertino.cli.show.text import clean, one_line
from concertino.contracts.view import CitationView, ConflictView, ReportView, TaskView

_PARTS = re.compile(r"(\d*)(\D*)")


def gaps_to_add(report: ReportView) -> tuple[str, ...]:
    """Gaps that the text does not name in these words."""
    text = squashed(report.text)
    return tuple(gap for gap in report.gaps if squashed(gap) not in text)


def unmentioned_conflicts(report: ReportView) -> tuple[ConflictView, ...]:
    """Conflicts that the text does not state in these words."""
    text = squashed(report.text)
    return tuple(conflict for conflict in report.conflicts if squashed(conflict.statement) not in text)


def closing(task: TaskView, seconds: float | None) -> tuple[str, str]:
    """The status, and the rest of the last line: reason, seconds, what models took, task."""
    parts = [
        *([] if seconds is None else [format_seconds(seconds)]),
        *spent(task.usage, task.max_tokens, task.max_cost),
        f"task {task.task}",
        *([f"runs task {clean(task.again)} again"] if task.again else []),
        *([f"run again as {', '.join(map(clean, task.redriven))}"] if task.redriven else []),
    ]
    reason = f" ({one_line(task.reason)})" if task.reason and task.status != "answered" else ""
    return task.status, f"{reason} · " + " · ".join(parts)


def in_order(citations: Iterable[CitationView]) -> list[CitationView]:
    """By id, numbers as numbers: whoever comes from the text looks for one."""
    return sorted(citations, key=lambda c: [(len(digits), digits, rest) for digits, rest in _PARTS.findall(c.id)])


def squashed(text: str) -> str:
    """``text`` as it is compared: case, line breaks, backslashes (of Markdown's escapes) and a full stop at the end do not
    count."""
    return " ".join(text.replace("\\", "").casefold().split()).rstrip(".")
