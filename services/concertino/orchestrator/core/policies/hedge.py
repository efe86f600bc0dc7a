"""When a second attempt is made beside a slow first: once for a subtask, while it is at work, and if there is time for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from concertino.contracts.messages import Work
from concertino.contracts.state import State
from concertino.contracts.subjects import parse_nth
from concertino.orchestrator.core.policies import alarms, join

HEDGE = 2
"""The attempt that a hedge is."""
TIMER = "hedge-"
"""How its timer is called, with the Unix time in milliseconds at which it goes off."""

AHEAD = 0.25
"""Seconds. Timers go off no oftener than that: at the first of them, what the next would be for is slow, too. Parts of one plan
begin within milliseconds, and the straggler among them would wait for a timer of its own."""

_PACE = 0.5
"""Of the time after which work is slow: at least as much must be left, or the second attempt is only cut off."""


class Hedging(Struct, frozen=True):
    """What a replica knows of stragglers. How long it would wait goes into the log, with the work, so that all wait alike."""

    after: Mapping[str, float] = {}
    """By kind: seconds of work after which it is slow. Kinds that are not hedged are left out."""
    left: Mapping[str, int] = {}
    """By kind: how many hedges there may be now."""


OFF = Hedging()


def slow_at(state: State, work: Collection[Work]) -> dict[str, float]:
    """The ids of those of ``work`` that may be hedged, with the Unix time from which on they are slow.

    Such work has one attempt, of which the log says that it is under way: what waits in a queue, or for another try, is not
    slow. Plans and reports are none of it: a reader would see two reports being written, line by line. And whoever limits what
    a task may spend has nothing spent twice.
    """
    if not state.hedge_after:
        return {}
    ids = {w.id for w in work if not limited(w)}
    began: dict[str, float] = {}
    for name, begun in state.begun.items():
        id_, _, nth = name.rpartition(".")
        if id_ not in state.hedge_after or id_ not in ids or parse_nth(nth)[0] != 1:
            continue
        if begun.hedge and name not in state.lost and name not in state.returned:
            began[id_] = max(state.times[f"begun.{name}"] - max(begun.seconds, 0.0), began.get(id_, 0.0))
    found: dict[str, float] = {}
    for id_, since in began.items():
        after = state.hedge_after[id_]
        at = max(since, state.submitted_at) + after
        if id_ not in state.results and state.sent.get(id_) == 1 and at + after * _PACE <= join.work_until(state):
            found[id_] = at
    return found


def limited(work: Work) -> bool:
    """Whether there is a limit to what may be spent on it, or on its task."""
    return any(of.max_tokens is not None or of.max_cost is not None for of in (work.limits, work.brief))


def overdue(state: State, now: float, slow: Mapping[str, float], hedging: Hedging) -> set[str]:
    """Those of the ``slow`` work that are to be hedged now, the slowest first, as far as there may be hedges."""
    left, found = dict(hedging.left), set[str]()
    time = alarms.clock(state, now, TIMER, AHEAD)
    for work, _ in sorted(slow.items(), key=lambda item: (item[1], item[0])):
        kind = work.split(".")[1]
        if slow[work] <= time and left.get(kind, 0) > 0:
            left[kind] -= 1
            found.add(work)
    return found


def took(state: State, work: str) -> float:
    """Seconds that ``work`` took, or would have taken at the least: of work that a hedge did, those until then of the first
    attempt too. (Else what is known of a kind would get quicker with each hedge that wins, and hedges ever more.)"""
    result = state.results[work]
    if not result.hedge:
        return result.seconds
    began = [
        state.times[f"begun.{name}"] - max(begun.seconds, 0.0)
        for name, begun in state.begun.items()
        if (parts := name.rpartition("."))[0] == work and parse_nth(parts[2])[0] == 1
    ]
    return max(result.seconds, state.times[work] - min(began)) if began else result.seconds
