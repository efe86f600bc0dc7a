"""When the join closes: with the last result, when the time for results is up, or soon after the caller asked to finish."""

from __future__ import annotations

from concertino.contracts.state import State
from concertino.orchestrator.core.policies import finishing

JOIN, DEADLINE = "join", "deadline"
"""The two timers of a task. At the first, work ends and writing begins; at the second, everything ends."""

_WRITING_SHARE = 0.2
_WRITING_MOST = 120.0
_LAST_WORDS_SHARE = 0.02
_LAST_WORDS_MOST = 1.0


def ends_at(state: State) -> float:
    """Unix time at which the task has its outcome, whatever there is by then."""
    assert state.submitted is not None
    return state.submitted_at + state.submitted.limits.deadline


def join_at(state: State) -> float:
    """Unix time after which results come too late: what remains to the end is for writing them up."""
    assert state.submitted is not None
    return ends_at(state) - min(_WRITING_MOST, state.submitted.limits.deadline * _WRITING_SHARE)


def work_until(state: State) -> float:
    """Unix time at which workers stop, a little before :func:`join_at`: so that why they did is in the log in time."""
    assert state.submitted is not None
    return join_at(state) - min(_LAST_WORDS_MOST, state.submitted.limits.deadline * _LAST_WORDS_SHARE)


def closed(state: State, now: float) -> bool:
    """Whether results come too late, so that what there is, is written up."""
    return JOIN in state.due or over(state, now) or now >= join_at(state) or finishing.closed(state, now)


def over(state: State, now: float) -> bool:
    return DEADLINE in state.due or now >= ends_at(state)
