"""A task that runs again what failed in another: which of its results are kept, and what is run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from concertino.contracts.errors import CannotRedrive
from concertino.contracts.failures import MISSING
from concertino.contracts.messages import Done, Failure, Limits, OutcomeStatus, Plan, Result, ResultStatus, Submitted, Subtask
from concertino.contracts.state import Round, State

_NAMED = 10


class Redrive(Struct, frozen=True):
    """What is to be submitted, and what that means."""

    submitted: Submitted
    run: tuple[str, ...]
    """Ids of the subtasks that are run, in the order of the plan. None where only planning or the report is made anew."""
    kept: tuple[str, ...]
    """Ids of those whose results it begins with."""


def redrive(state: State, subtasks: Collection[str], gone: Collection[str], limits: Limits) -> Redrive:
    """The task that runs again what failed in ``state``, or the ``subtasks`` that are named, and whatever depends on these.

    ``gone`` are digests of evidence that is not there any more: what rests on it is run again, too. Rounds become one plan.
    Raises :class:`CannotRedrive`, whose text says what to do.
    """
    task, outcome, submitted = state.task, state.outcome, state.submitted
    if submitted is None:
        raise CannotRedrive(f"what task {task} asked for cannot be read (any more): submit the request again")
    if outcome is None:
        raise CannotRedrive(
            f"task {task} is not over: wait for it (concertino follow {task}), or end it (concertino cancel {task})"
        )
    planned = state.subtasks
    if strange := sorted(set(subtasks) - {subtask.id for subtask in planned}):
        there = _listed([subtask.id for subtask in planned]) or "none"
        raise CannotRedrive(f"task {task} has no subtask {', '.join(map(repr, strange))}; it has: {there}")
    if not planned or submitted.until == "plan":
        if outcome.status not in (OutcomeStatus.FAILED, OutcomeStatus.CANCELLED):
            raise CannotRedrive(f"task {task} asked for a plan alone, and has one: there is nothing to run again")
        again = Submitted(
            request=submitted.request,
            sources=submitted.sources,
            limits=limits,
            lane=submitted.lane,
            plan=submitted.plan,
            until=submitted.until,
            again=task,
        )
        return Redrive(again, (), ())
    wanted = set(subtasks) or {subtask.id for subtask in planned if not _succeeded(state, subtask)}
    wanted |= {subtask.id for subtask in planned if _rests_on(state, subtask, gone)}
    run = _with_dependents(planned, wanted)
    if not run and not _ended_early(state):
        raise CannotRedrive(
            f"task {task} has no failed work: name the subtasks to run again: {_listed([subtask.id for subtask in planned])}"
        )
    kept = [subtask for subtask in planned if subtask.id not in run]
    again = Submitted(
        request=submitted.request,
        sources=submitted.sources,
        limits=limits,
        lane=submitted.lane,
        plan=Plan(
            subtasks=tuple(planned),
            why=" ".join(round_.plan.why for round_ in state.rounds if round_.plan.why),
            synthesize=_last(state).plan.synthesize,
        ),
        done=tuple(Done(work=subtask.work_id, result=_result(state, subtask)) for subtask in kept),
        again=task,
    )
    return Redrive(again, tuple(subtask.id for subtask in planned if subtask.id in run), tuple(subtask.id for subtask in kept))


def evidence_of(state: State) -> dict[str, set[str]]:
    """By kind of worker: digests of what the results of ``state`` rest on that are not failures."""
    found: dict[str, set[str]] = {}
    for subtask in state.subtasks:
        if _succeeded(state, subtask):
            found.setdefault(subtask.kind, set()).update(_digests(state.results[subtask.work_id]))
    return found


def _succeeded(state: State, subtask: Subtask) -> bool:
    result = state.results.get(subtask.work_id)
    return result is not None and result.status != ResultStatus.FAILED


def _digests(result: Result) -> set[str]:
    return {evidence.digest for finding in result.findings for evidence in finding.evidence}


def _rests_on(state: State, subtask: Subtask, gone: Collection[str]) -> bool:
    return _succeeded(state, subtask) and not _digests(state.results[subtask.work_id]).isdisjoint(gone)


def _with_dependents(planned: Iterable[Subtask], wanted: set[str]) -> set[str]:
    """``wanted``, and all that was done with what it brought."""
    planned, run = list(planned), set(wanted)
    while more := {s.id for s in planned if s.id not in run and not run.isdisjoint(s.depends_on)}:
        run |= more
    return run


def _ended_early(state: State) -> bool:
    """Whether a report, or the plan of another round, is what failed."""
    last = _last(state)
    unplanned = state.plans.get(last.number + 1)
    written = last.synthesis is not None and last.synthesis.report is not None and last.synthesis.status != ResultStatus.FAILED
    return (last.plan.synthesize and not written) or (unplanned is not None and unplanned.plan is None)


def _last(state: State) -> Round:
    """The last round that anybody was asked in."""
    return [round_ for round_ in state.rounds if round_.plan.subtasks][-1]


def _result(state: State, subtask: Subtask) -> Result:
    """What is known of a subtask that is not run again; where that is nothing, this."""
    found = state.results.get(subtask.work_id)
    if found is not None:
        return found
    why = f"nothing came of it in task {state.task}, and it was not to be run again"
    return Result(status=ResultStatus.FAILED, error=Failure(code=MISSING, message=why, retryable=True))


def _listed(ids: Sequence[str]) -> str:
    rest = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + rest
