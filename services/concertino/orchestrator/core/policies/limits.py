"""What one piece of work may take: until somebody begins it, and from then on. A coordinator holds both, worker or none.

Counted is from facts of others alone, so that every replica comes to the same moments: a subtask waits from when its plan and
what it depends on are there, and not from when some coordinator has sent it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from concertino.contracts.errors import DeadlineExceeded, QueuedTooLong
from concertino.contracts.facts import failure
from concertino.contracts.messages import COORDINATOR, Failure, Planned, Result, ResultStatus, Settled, Work
from concertino.contracts.state import State
from concertino.orchestrator.core.policies import alarms, join

TIMER = "limit-"
"""How its timers are called, with the Unix time in milliseconds."""
LAST_WORDS = 2.0
"""Seconds beyond a limit that workers have to say that they have begun in time, or to write down what they have."""


class Bound(NamedTuple):
    """At Unix time ``at`` the work has failed, and why."""

    at: float
    why: Failure


def bounds(state: State, work: Collection[Work]) -> dict[str, Bound]:
    """The ids of those of ``work`` that something bounds before results come too late anyway."""
    assert state.submitted is not None
    if state.submitted.limits.max_queued is None and all(w.brief.max_seconds is None for w in work):
        return {}
    since = dict(_since(state))
    tried = {name.rpartition(".")[0] for name in state.lost} | since.keys()
    planned = dict(_planned(state))
    found: dict[str, Bound] = {}
    for w in work:
        bound = _bound(w, since.get(w.id), w.id in tried, _ready_at(state, w, planned))
        if bound and bound.at < join.join_at(state) and not w.id.startswith("synthesis."):
            found[w.id] = bound
    return found


def overdue(state: State, now: float, bounded: Mapping[str, Bound]) -> tuple[tuple[str, Settled], ...]:
    """What is to be written in the place of a worker's result, by work id."""
    time = alarms.clock(state, now, TIMER)
    return tuple((id_, _failed(state, id_, bound.why)) for id_, bound in bounded.items() if bound.at <= time)


def _bound(work: Work, since: float | None, tried: bool, ready: float) -> Bound | None:
    brief, queued = work.brief, work.limits.max_queued
    if queued is not None and not tried:
        why = f"no worker began it within {queued:g} s (max_queued)"
        return Bound(ready + queued + LAST_WORDS, failure(QueuedTooLong(why)))
    if brief.max_seconds is not None and since is not None:
        why = f"it was not done {brief.max_seconds:g} s after it was begun (max_seconds)"
        # The same would take as long again: unlike other deadlines, this one is of the work itself.
        return Bound(since + brief.max_seconds + LAST_WORDS, Failure(code=DeadlineExceeded.code, message=why))
    return None


def _ready_at(state: State, work: Work, planned: Mapping[str, float]) -> float:
    """Unix time from which on nothing but its queue held ``work``: all that it is made of was there."""
    needed = (state.times.get(other.subtask.work_id, 0.0) for other in work.inputs)
    return max((planned.get(work.id, state.submitted_at), *needed))


def _planned(state: State) -> Iterator[tuple[str, float]]:
    """Work, with the Unix time at which it was known that it is to be done."""
    for round_ in state.rounds:
        at = max(state.times.get(f"plan.{round_.number}", 0.0), state.submitted_at)
        yield from ((subtask.work_id, at) for subtask in round_.plan.subtasks)
        if round_.synthesis:
            yield f"plan.{round_.number + 1}", state.times[f"synthesis.{round_.number}"]


def _since(state: State) -> Iterator[tuple[str, float]]:
    """Work that was begun, with the Unix time at which it first was."""
    times = ((name, state.times[f"begun.{name}"] - max(begun.seconds, 0.0)) for name, begun in state.begun.items())
    for name, at in sorted(times, key=lambda found: found[1], reverse=True):  # the first stays
        yield name.rpartition(".")[0], max(at, state.submitted_at)


def _failed(state: State, work: str, why: Failure) -> Settled:
    type_ = Planned if work.startswith("plan.") else Result
    attempts = sum(name.rpartition(".")[0] == work for name in state.lost.keys() | state.begun.keys())
    return type_(status=ResultStatus.FAILED, error=why, attempts=attempts, worker=COORDINATOR)
