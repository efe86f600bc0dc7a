"""Whether there is another round: only for gaps that were named, never for the same ones, and within the limits."""

from __future__ import annotations

from concertino.contracts.plans import max_subtasks
from concertino.contracts.state import State
from concertino.orchestrator.core.policies import join

_PACE = 0.5
"""Of the time that a round took: at least as much must be left for the next, or what it begins is only cut off."""


def current(state: State) -> int:
    """The first round that is not over: rounds follow each other only where a report named gaps worth one."""
    number = 0
    while gaps_worth_a_round(state, number):
        number += 1
    return number


def gaps_worth_a_round(state: State, number: int) -> tuple[str, ...]:
    """The gaps that round ``number + 1`` is to close; none where it would not be worth it or may not be."""
    assert state.submitted is not None
    limits = state.submitted.limits
    synthesis = state.syntheses.get(number)
    if number >= len(state.rounds) or synthesis is None or synthesis.report is None or number + 1 >= limits.max_rounds:
        return ()
    # Up to this round only: what a later plan adds must not undo the decision that it was made for.
    so_far = sum(len(round_.plan.subtasks) for round_ in state.rounds[: number + 1])
    if so_far >= max_subtasks(limits, brought=False):
        return ()
    seen = {gap for i in range(number) if (s := state.syntheses.get(i)) and s.report for gap in s.report.open}
    if number > 0 and not _found_something_new(state, number):
        return ()
    if not _in_time(state, number):
        return ()
    return tuple(gap for gap in synthesis.report.open if gap not in seen)


def _in_time(state: State, number: int) -> bool:
    """Whether another round can come to something, by how long round ``number`` took."""
    began = state.times[f"synthesis.{number - 1}"] if number else state.submitted_at
    ended = state.times[f"synthesis.{number}"]
    return join.join_at(state) - ended >= (ended - began) * _PACE


def _found_something_new(state: State, number: int) -> bool:
    """A round that added nothing is not followed by another."""
    results = [state.results.get(subtask.work_id) for subtask in state.rounds[number].plan.subtasks]
    return any(result and result.findings for result in results)
