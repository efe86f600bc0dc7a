"""How a task ends: the status, and a reason that is true."""

from __future__ import annotations

from concertino.contracts.messages import Outcome, OutcomeStatus, Report, ResultStatus, Synthesized
from concertino.contracts.state import State

_NAMED = 3
"""Failures spelt out in a reason; the rest is counted."""


def failed(state: State, reason: str) -> Outcome:
    """Nothing came of it."""
    return Outcome(status=OutcomeStatus.FAILED, reason=reason, usage=state.usage)


def cancelled(state: State) -> Outcome:
    """The caller asked for it. A report that was written already is kept."""
    assert state.cancel is not None
    return Outcome(
        status=OutcomeStatus.CANCELLED,
        reason=state.cancel.reason or "cancelled by the caller",
        report=_last_report(state),
        usage=state.usage,
    )


def planned(state: State) -> Outcome:
    """A plan was all that was asked for."""
    return Outcome(status=OutcomeStatus.ANSWERED, reason="planned, as asked; nothing was run", usage=state.usage)


def concluded(state: State, *notes: str) -> Outcome:
    """By what there is: results, the last report, and ``notes`` about what went wrong on the way."""
    results = [state.results.get(subtask.id) for subtask in state.subtasks]
    settled = [r for r in results if r and r.status != ResultStatus.FAILED]
    troubles = [*_troubles(state), *notes]
    report = _last_report(state)
    findings = sum(len(r.findings) for r in settled)
    if not settled:
        status, reason = OutcomeStatus.FAILED, "no subtask succeeded"
    elif troubles or any(r.status == ResultStatus.PARTIAL for r in settled):
        status, reason = OutcomeStatus.PARTIAL, f"{len(settled)} of {len(results)} subtasks came to something"
    elif report and not findings:
        status, reason = OutcomeStatus.PARTIAL, "nothing relevant was found in the sources"
    else:
        status, reason = OutcomeStatus.ANSWERED, f"{_count(len(results), 'subtask')} done"
    if troubles:
        rest = f"; and {len(troubles) - _NAMED} more" if len(troubles) > _NAMED else ""
        reason += ": " + "; ".join(troubles[:_NAMED]) + rest
    return Outcome(status=status, reason=reason, report=report, usage=state.usage)


def unwritten(synthesis: Synthesized) -> str:
    """The note about a synthesis that failed."""
    return f"the report could not be written: {synthesis.error.message if synthesis.error else 'no reason given'}"


def _troubles(state: State) -> list[str]:
    found: list[str] = []
    for subtask in state.subtasks:
        result = state.results.get(subtask.id)
        if result is None:
            found.append(f"{subtask.id} ({subtask.kind}) did not come in time")
        elif result.error:
            found.append(f"{subtask.id} ({subtask.kind}): {result.error.message}")
    return found


def _last_report(state: State) -> Report | None:
    reports = [s.report for _, s in sorted(state.syntheses.items()) if s.report]
    return reports[-1] if reports else None


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
