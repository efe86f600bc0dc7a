"""How a task ends: the status, and a reason that is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from concertino.contracts.messages import Finding, Outcome, OutcomeStatus, Report, ResultStatus, Subtask
from concertino.contracts.plans import unread
from concertino.contracts.state import Round, State
from concertino.orchestrator.core.policies import finishing, join, missing

_NAMED = 3
"""Troubles spelt out in a reason; the rest is counted."""


def failed(state: State, reason: str) -> Outcome:
    """Nothing came of it."""
    return Outcome(status=OutcomeStatus.FAILED, reason=reason, usage=state.usage)


def unplanned(state: State) -> Outcome:
    """There is no plan, and none is waited for any more."""
    how_far = missing.so_far(state, "plan.0")
    if state.finish:
        return failed(state, f"{_asked(state)} before there was a plan: {how_far}")
    return failed(state, f"no plan came before the deadline: {how_far}")


def out_of_time(state: State, number: int) -> str:
    """Why there is no report of round ``number``: its time is up."""
    return f"the deadline came before the findings were written up: {missing.so_far(state, f'synthesis.{number}')}"


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
    reason = "planned, as asked; nothing was run"
    if trouble := _makeshift(state, 0):
        return Outcome(status=OutcomeStatus.PARTIAL, reason=f"{reason}: {trouble}", usage=state.usage)
    return Outcome(status=OutcomeStatus.ANSWERED, reason=reason, usage=state.usage)


def unrunnable(state: State, round_: Round, problems: Sequence[str]) -> Outcome:
    """The plan of ``round_`` is not sound. What earlier rounds brought stays; what this one wanted was never begun."""
    why = f"the plan cannot be run: {_listed(problems)}"
    if round_.number == 0:
        return failed(state, why)
    return _concluded(state, state.rounds[: round_.number], [f"round {round_.number + 1}: {why}"])


def concluded(state: State, *notes: str) -> Outcome:
    """By what there is: results, the last report, and ``notes`` about what went wrong on the way."""
    return _concluded(state, state.rounds, notes)


def unwritten(state: State, outcome: Outcome) -> tuple[Finding, ...]:
    """What was found and stands in no report, though one was wanted: it was paid for. Not what a caller has joined himself."""
    if outcome.report or not state.rounds or not state.rounds[-1].plan.synthesize:
        return ()
    results = (state.results.get(subtask.work_id) for subtask in state.subtasks)
    return tuple(finding for result in results if result for finding in result.findings)


def _concluded(state: State, rounds: Sequence[Round], notes: Sequence[str]) -> Outcome:
    subtasks = [subtask for round_ in rounds for subtask in round_.plan.subtasks]
    settled = [r for s in subtasks if (r := state.results.get(s.work_id)) and r.status != ResultStatus.FAILED]
    troubles = [note for round_ in rounds for note in _troubles(state, round_)] + list(notes)
    asked = f", and {_asked(state)}" if state.finish else ""
    if state.submitted:
        troubles += unread(state.submitted.sources, subtasks)
    report = _last_report(state)
    if not settled:
        status, reason = OutcomeStatus.FAILED, f"no subtask succeeded{asked}"
    elif troubles:
        status, reason = OutcomeStatus.PARTIAL, f"{len(settled)} of {_count(len(subtasks), 'subtask')} came to something{asked}"
    elif report and not any(result.findings for result in settled):
        status, reason = OutcomeStatus.PARTIAL, f"nothing relevant was found in the sources{asked}"
    else:
        status, reason = OutcomeStatus.ANSWERED, f"{_count(len(subtasks), 'subtask')} done{asked}"
    if troubles:
        reason += ": " + _listed(troubles)
    return Outcome(status=status, reason=reason, report=report, usage=state.usage)


def _troubles(state: State, round_: Round) -> Iterator[str]:
    if trouble := _makeshift(state, round_.number):
        yield trouble
    whys = missing.reasons(state, round_.plan.subtasks)
    for subtask in round_.plan.subtasks:
        if trouble := _trouble(state, round_, subtask, whys):
            yield f"{subtask.id} ({subtask.kind}) {trouble}"
    synthesis = round_.synthesis
    if synthesis is None:
        return
    why = f": {synthesis.error.message}" if synthesis.error else ""
    if synthesis.status == ResultStatus.FAILED or synthesis.report is None:
        yield "the report could not be written" + (why or ": no reason given")
    elif synthesis.status == ResultStatus.PARTIAL or why:
        yield "the report is incomplete" + why


def _makeshift(state: State, number: int) -> str:
    """What is wrong with the plan of round ``number``, though it could be run."""
    planned = state.plans[number]
    if planned.status == ResultStatus.COMPLETE and planned.error is None:
        return ""
    why = f": {planned.error.message}" if planned.error else ""
    return f"the plan{f' of round {number + 1}' if number else ''} is a makeshift{why}"


def _trouble(state: State, round_: Round, subtask: Subtask, whys: Mapping[str, str]) -> str:
    result = state.results.get(subtask.work_id)
    if result is None:
        return f"did not come in time: {whys[subtask.work_id]}"
    why = f": {result.error.message}" if result.error else ""
    if result.status == ResultStatus.FAILED:
        return "failed" + (why or ": no reason given")
    if result.status == ResultStatus.PARTIAL or why:
        return "is incomplete" + why
    late = state.times[subtask.work_id] > join.join_at(state) or finishing.too_late(state, subtask.work_id)
    if round_.synthesis and late:
        return "came after the time for results was up"
    return ""


def _asked(state: State) -> str:
    assert state.finish is not None
    why = f" ({state.finish.reason})" if state.finish.reason else ""
    return f"the caller asked to finish{why}"


def _last_report(state: State) -> Report | None:
    reports = [s.report for _, s in sorted(state.syntheses.items()) if s.report]
    return reports[-1] if reports else None


def _listed(things: Sequence[str]) -> str:
    rest = f"; and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return "; ".join(things[:_NAMED]) + rest


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
