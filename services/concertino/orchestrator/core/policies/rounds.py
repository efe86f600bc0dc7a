"""Whether there is another round: only for gaps that were named, never for the same ones, and within the limits."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator

from concertino.contracts.budget import amount, left_for_work
from concertino.contracts.messages import Amount, Settled, Spent
from concertino.contracts.plans import max_subtasks
from concertino.contracts.state import Round, State
from concertino.orchestrator.core.policies import join

TOO_DEAR = "too little of the budget is left for another round on what is still open"
_PACE = 0.5
"""Of the time that a round took, and of what it cost: at least as much must be left for the next, or what it begins is only
cut off."""


def current(state: State) -> int:
    """The first round that is not over: rounds follow each other only where a report named gaps worth one."""
    number = 0
    while gaps_worth_a_round(state, number):
        number += 1
    return number


def gaps_worth_a_round(state: State, number: int) -> tuple[str, ...]:
    """The gaps that round ``number + 1`` is to close; none where it would not be worth it or may not be."""
    gaps = _gaps_to_close(state, number)
    return gaps if gaps and _found_something_new(state, number) and _affordable(state, number) else ()


def why_none(state: State, number: int) -> tuple[str, ...]:
    """Why there is no round ``number + 1`` for gaps that it might have closed, where that is no limit of the caller's own."""
    if not _gaps_to_close(state, number):
        return ()
    if not _found_something_new(state, number):
        return (f"round {number + 1} found nothing that was not known before, so there was no other on what is still open",)
    return () if _affordable(state, number) else (TOO_DEAR,)


def _gaps_to_close(state: State, number: int) -> tuple[str, ...]:
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
    if not _in_time(state, number):
        return ()
    return tuple(gap for gap in synthesis.report.open if gap not in seen)


def _in_time(state: State, number: int) -> bool:
    """Whether another round can come to something, by how long round ``number`` took."""
    began = state.times[f"synthesis.{number - 1}"] if number else state.submitted_at
    ended = state.times[f"synthesis.{number}"]
    return join.join_at(state) - ended >= (ended - began) * _PACE


def _affordable(state: State, number: int) -> bool:
    """Whether another round can come to something, by what round ``number`` cost."""
    assert state.submitted is not None
    spent = spent_by(state, number)
    before = spent_by(state, number - 1) if number else Amount()
    tokens, dollars = left_for_work(state.submitted.limits, spent)
    enough = tokens >= (spent.tokens - before.tokens) * _PACE and dollars >= (spent.cost - before.cost) * _PACE
    return enough and tokens > 0 and dollars > 0


def spent_by(state: State, number: int) -> Amount:
    """What the log knew of spending when the report of round ``number`` came. What it learns later changes nothing."""
    report = f"synthesis.{number}"
    until = state.times[report]
    settled: dict[str, Settled | Spent] = {
        **{f"plan.{n}": planned for n, planned in state.plans.items()},
        **{s.work_id: state.results[s.work_id] for s in state.subtasks if s.work_id in state.results},
        **{f"synthesis.{n}": synthesis for n, synthesis in state.syntheses.items()},
        **{f"spent.{about}": lost for about, lost in state.lost.items()},
    }
    counted = [amount(one.usage) for name, one in settled.items() if name == report or state.times.get(name, until) < until]
    return functools.reduce(operator.add, counted, Amount())


def _found_something_new(state: State, number: int) -> bool:
    """A later round that added nothing is not followed by another: neither a quote nor, without one, a claim."""
    if number == 0:
        return True
    known = {mark for round_ in state.rounds[:number] for mark in _marks(state, round_)}
    return any(mark not in known for mark in _marks(state, state.rounds[number]))


def _marks(state: State, round_: Round) -> Iterator[str]:
    """What makes the findings of ``round_`` what they are. A model words the same differently; what it quotes stays."""
    results = (state.results.get(subtask.work_id) for subtask in round_.plan.subtasks)
    for finding in (finding for result in results if result for finding in result.findings):
        yield from (" ".join(text.casefold().split()) for text in [e.quote for e in finding.evidence] or [finding.claim])
