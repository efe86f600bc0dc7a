"""What was found by a task that has no report: the findings as workers brought them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from concertino.cli.show.text import clean, place, short_roots
from concertino.contracts.messages import Finding
from concertino.contracts.view import TaskView

TITLE = "Found so far"
CAVEAT = "Nobody has written this up, or compared it with the evidence that is kept."
MOST = 50
"""Findings that are shown; ``--json`` has all."""


class Found(NamedTuple):
    """A claim, and where it is said: place and quote."""

    claim: str
    evidence: tuple[tuple[str, str], ...]


def found_so_far(task: TaskView) -> list[Found]:
    """Empty where there is a report, where nothing is lacking, or while more may come."""
    if task.report or task.status in ("running", "answered"):
        return []
    findings = [finding for subtask in task.subtasks for finding in subtask.findings]
    roots = short_roots(evidence.root for finding in findings for evidence in finding.evidence)
    return [Found(clean(finding.claim), tuple(_evidence(finding, roots))) for finding in findings[:MOST]]


def left_out(task: TaskView) -> str:
    """A line about findings that are not shown, if there are any."""
    more = sum(len(subtask.findings) for subtask in task.subtasks) - MOST
    return f"{more:,} more: --json has them" if more > 0 else ""


def _evidence(finding: Finding, roots: dict[str, str]) -> Iterator[tuple[str, str]]:
    for one in finding.evidence:
        yield place(one.source, one.locator, roots[one.root]), clean(one.quote).strip("\n")
