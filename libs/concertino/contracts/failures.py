"""Which work of a task came to nothing, and why: read from its log alone."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from concertino.contracts.messages import ResultStatus, Settled, Subtask, Usage
from concertino.contracts.state import State
from concertino.contracts.subjects import PLAN, SYNTHESIZE, parse_nth
from concertino.contracts.view import Status, UsageView, usage_view

MISSING = "missing"
"""The code of work that the log says nothing of when its task ends."""


class FailedWork(Struct, frozen=True):
    """A piece of work that brought nothing: a line of ``concertino failures``."""

    task: str
    work: str
    """Its id, as in the log: ``result.<kind>.<subtask>``, ``plan.<round>`` or ``synthesis.<round>``."""
    kind: str
    subtask: str
    """Empty for a plan or a report."""
    code: str
    """As in :mod:`concertino.contracts.errors`, or a worker's own; ``missing`` where nothing came of it before the end."""
    error: str
    retryable: bool
    attempts: int
    usage: UsageView
    """All that models took for it, attempts in vain included."""
    at: float
    """Unix seconds at which it was given up."""
    status: Status
    """Of its task, now."""
    reported: bool
    """Whether the task was answered without it: there is a report."""
    redriven: tuple[str, ...]
    """The tasks that run its task again."""


def failed_work(state: State) -> tuple[FailedWork, ...]:
    """All of it, in the order of rounds. What is missing is that only once the task has its outcome."""
    return tuple(_failed(state))


def _failed(state: State) -> Iterator[FailedWork]:
    number = 0
    for round_ in state.rounds:
        number = round_.number + 1
        if round_.number and not round_.plan.subtasks:
            continue  # another round was thought of, and nobody was left to ask
        begun = [s for s in round_.plan.subtasks if s.work_id in state.sent or s.work_id in state.results]
        if state.outcome and not begun and not _planned_only(state):
            yield _lost(state, f"plan.{round_.number}", PLAN, "", f"nothing of the plan was begun: {state.outcome.reason}")
            continue
        for subtask in round_.plan.subtasks:
            yield from _subtask(state, subtask)
        writing = f"synthesis.{round_.number}"
        if round_.synthesis and (round_.synthesis.status == ResultStatus.FAILED or round_.synthesis.report is None):
            yield _told(state, writing, SYNTHESIZE, "", round_.synthesis)
        elif state.outcome and round_.synthesis is None and writing in state.sent:
            yield _lost(state, writing, SYNTHESIZE, "", "the task ended before it was written")
    planning, planned = f"plan.{number}", state.plans.get(number)
    if planned is not None and planning in state.times:
        yield _told(state, planning, PLAN, "", planned)
    elif state.outcome and planned is None and planning in state.sent:
        yield _lost(state, planning, PLAN, "", "the task ended before there was a plan")


def _planned_only(state: State) -> bool:
    return state.submitted is not None and state.submitted.until == "plan"


def _subtask(state: State, subtask: Subtask) -> Iterator[FailedWork]:
    result = state.results.get(subtask.work_id)
    if result is not None:
        if result.status == ResultStatus.FAILED:
            yield _told(state, subtask.work_id, subtask.kind, subtask.id, result)
    elif state.outcome and not _planned_only(state):
        why = "did not end in time" if subtask.work_id in state.sent else "was not begun before the end"
        yield _lost(state, subtask.work_id, subtask.kind, subtask.id, why)


def _told(state: State, work: str, kind: str, subtask: str, settled: Settled) -> FailedWork:
    error = settled.error
    return _made(
        state,
        work,
        kind,
        subtask,
        code=error.code if error else "",
        error=error.message if error else "no reason given",
        retryable=error.retryable if error else False,
        attempts=settled.attempts,
        usage=settled.usage,
        at=state.times[work],
    )


def _lost(state: State, work: str, kind: str, subtask: str, why: str) -> FailedWork:
    told = [parse_nth(name.rpartition(".")[2])[1] for name in _deliveries(state, work)]
    return _made(
        state,
        work,
        kind,
        subtask,
        code=MISSING,
        error=why,
        retryable=True,
        attempts=max(told, default=1 if work in state.sent else 0),
        usage=Usage(),
        at=state.times.get("outcome", 0.0),
    )


def _made(
    state: State,
    work: str,
    kind: str,
    subtask: str,
    *,
    code: str,
    error: str,
    retryable: bool,
    attempts: int,
    usage: Usage,
    at: float,
) -> FailedWork:
    in_vain = (lost.usage for name, lost in state.lost.items() if name.rpartition(".")[0] == work)
    return FailedWork(
        task=state.task,
        work=work,
        kind=kind,
        subtask=subtask,
        code=code,
        error=error,
        retryable=retryable,
        attempts=attempts,
        usage=usage_view(sum(in_vain, usage)),
        at=at,
        status=state.outcome.status.value if state.outcome else "running",
        reported=bool(state.outcome and state.outcome.report),
        redriven=tuple(sorted(state.again)),
    )


def _deliveries(state: State, work: str) -> Iterator[str]:
    """The names of facts about deliveries of ``work``."""
    return (name for name in (*state.begun, *state.lost) if name.rpartition(".")[0] == work)
