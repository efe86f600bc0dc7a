"""What the coordinator counts. Only whoever wrote a fact counts it: so each counts once, however many replicas there are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from concertino.contracts.messages import Outcome, OutcomeStatus, Settled, Work
from concertino.contracts.state import State
from concertino.contracts.subjects import LANES, kind_of
from concertino.orchestrator.core.policies import hedge
from concertino.telemetry import metrics
from concertino.telemetry.labels import ANSWERS, OTHER


def nothing_yet() -> None:
    """Show as 0 what did not happen yet."""
    for outcome, lane in itertools.product(OutcomeStatus, LANES):
        metrics.TASKS.labels(outcome, lane)
    for answer in ANSWERS:
        metrics.HANDED_OVER.labels(answer)


def handed_over(*, answered: bool) -> None:
    """Another replica was to look at what came here."""
    metrics.HANDED_OVER.labels("answered" if answered else "unanswered").inc()


def sent(work: Sequence[Work]) -> None:
    """``work`` is in its queues."""
    for kind in {w.brief.kind for w in work if w.id.startswith("result.")}:
        metrics.hedged(kind)
    for w in work:
        if w.attempt == hedge.HEDGE:
            metrics.HEDGES.labels(w.brief.kind).inc()


def failed(work: str, result: Settled) -> None:
    """``result`` was written in the place of a worker's."""
    kind = kind_of(work)
    metrics.RESULTS.labels(kind, result.status).inc()
    metrics.FAILURES.labels(kind, result.error.code if result.error else OTHER).inc()


def ended(state: State, outcome: Outcome, now: float) -> None:
    """The task has its outcome. What cannot be read has no lane, and no beginning."""
    metrics.TASKS.labels(outcome.status, state.submitted.lane if state.submitted else OTHER).inc()
    metrics.TASK_ROUNDS.inc(len(state.rounds))
    if state.submitted:
        metrics.TASK_SECONDS.labels(outcome.status).observe(max(now - state.submitted_at, 0.0))
    for subtask in state.subtasks:
        if state.sent.get(subtask.work_id, 0) == hedge.HEDGE:
            result = state.results.get(subtask.work_id)
            metrics.HEDGES_ENDED.labels(subtask.kind, "won" if result and result.hedge else "lost").inc()
    if outcome.status != OutcomeStatus.CANCELLED:
        for round_ in state.rounds:
            kinds = {subtask.work_id: subtask.kind for subtask in round_.plan.subtasks}
            if not kinds.keys().isdisjoint(state.sent):  # else it was never begun: nobody waited
                for work in kinds.keys() - state.results.keys():
                    metrics.MISSING.labels(kinds[work]).inc()
