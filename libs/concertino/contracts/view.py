"""A task as people and programs see it: the JSON of ``concertino ask --json`` and ``show --json``. Its names are a contract."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from concertino.contracts.messages import Finding, Locator, Report, Result, Subtask
from concertino.contracts.state import State

Status = Literal["running", "answered", "partial", "failed", "cancelled"]


class CitationView(Struct, frozen=True):
    id: str
    source: str
    locator: Locator
    quote: str


class PositionView(Struct, frozen=True):
    claim: str
    citations: tuple[str, ...]


class ConflictView(Struct, frozen=True):
    statement: str
    positions: tuple[PositionView, ...]
    resolution: str
    why: str


class ReportView(Struct, frozen=True):
    text: str
    citations: tuple[CitationView, ...]
    conflicts: tuple[ConflictView, ...]
    gaps: tuple[str, ...]


class RoundView(Struct, frozen=True):
    why: str
    subtasks: tuple[Subtask, ...]


class PlanView(Struct, frozen=True):
    rounds: tuple[RoundView, ...]


class SubtaskView(Struct, frozen=True):
    """``status`` is ``waiting`` (for others), ``queued`` (or running), then the result's, or ``missing`` if none came."""

    id: str
    kind: str
    objective: str
    status: Literal["waiting", "queued", "complete", "partial", "failed", "missing"]
    attempts: int
    findings: tuple[Finding, ...]
    seconds: float
    """Of the attempt that ended it."""
    error: str


class UsageView(Struct, frozen=True):
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class TaskView(Struct, frozen=True):
    """The whole of a task."""

    task: str
    status: Status
    reason: str
    report: ReportView | None
    plan: PlanView
    subtasks: tuple[SubtaskView, ...]
    usage: UsageView

    def to_json(self) -> bytes:
        """Indented JSON, every field present."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def view(state: State) -> TaskView:
    """``state`` for its readers."""
    outcome, usage = state.outcome, state.usage
    report = outcome.report if outcome else None
    return TaskView(
        task=state.task,
        status=outcome.status.value if outcome else "running",
        reason=outcome.reason if outcome else "",
        report=_report(report) if report else None,
        plan=PlanView(rounds=tuple(RoundView(why=r.plan.why, subtasks=r.plan.subtasks) for r in state.rounds)),
        subtasks=tuple(_subtask(state, subtask) for subtask in state.subtasks),
        usage=UsageView(usage.model_calls, usage.input_tokens, usage.output_tokens, usage.cost_usd),
    )


def _report(report: Report) -> ReportView:
    return ReportView(
        text=report.text,
        citations=tuple(CitationView(c.id, c.source, c.locator, c.quote) for c in report.citations),
        conflicts=tuple(
            ConflictView(c.statement, tuple(PositionView(p.claim, p.citations) for p in c.positions), c.resolution, c.why)
            for c in report.conflicts
        ),
        gaps=report.gaps,
    )


def _subtask(state: State, subtask: Subtask) -> SubtaskView:
    result = state.results.get(subtask.id)
    return SubtaskView(
        id=subtask.id,
        kind=subtask.kind,
        objective=subtask.objective,
        status=_status(state, subtask, result),
        attempts=result.attempts if result else state.sent.get(f"result.{subtask.id}", 0),
        findings=result.findings if result else (),
        seconds=round(result.seconds, 3) if result else 0.0,
        error=result.error.message if result and result.error else "",
    )


def _status(
    state: State, subtask: Subtask, result: Result | None
) -> Literal["waiting", "queued", "complete", "partial", "failed", "missing"]:
    if result:
        return result.status.value
    if state.outcome:
        return "missing"
    return "queued" if f"result.{subtask.id}" in state.sent else "waiting"
