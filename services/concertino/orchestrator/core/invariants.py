"""What must be true of every task at any time, whatever was delivered in whatever order. Stated once, checked everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from concertino.contracts.facts import Fact
from concertino.contracts.messages import OutcomeStatus
from concertino.contracts.plans import max_subtasks
from concertino.contracts.state import State
from concertino.orchestrator.core.effects import Dispatch, Effect, WriteOutcome

MAX_ATTEMPTS = 1
"""Attempts of one piece of work that a coordinator starts. (A queue may deliver an attempt more than once.)"""


def violations(state: State, effects: Sequence[Effect]) -> list[str]:
    """What is wrong with wanting ``effects`` in ``state``. Empty, always."""
    found: list[str] = []
    if state.outcome and effects:
        found.append("something is done after the outcome")
    if sum(isinstance(e, WriteOutcome) for e in effects) and len(effects) > 1:
        found.append("something else is done together with the outcome")
    for effect in effects:
        if isinstance(effect, Dispatch):
            found += _of_dispatch(state, effect)
    return found


def _of_dispatch(state: State, dispatch: Dispatch) -> list[str]:
    assert state.submitted is not None
    found: list[str] = []
    subtasks = {subtask.id: subtask for subtask in state.subtasks}
    ids = [work.id for work in dispatch.work]
    if dispatch.wave in state.dispatched:
        found.append(f"wave {dispatch.wave} is used twice")
    if len(ids) != len(set(ids)):
        found.append("work stands twice in one wave")
    for work in dispatch.work:
        type_, _, about = work.id.partition(".")
        if work.attempt > MAX_ATTEMPTS or work.attempt <= state.sent.get(work.id, 0):
            found.append(f"{work.id}: attempt {work.attempt} after {state.sent.get(work.id, 0)}")
        if type_ == "result":
            found += [f"{work.id}: {n} has no result" for n in subtasks[about].depends_on if n not in state.results]
            if about in state.results:
                found.append(f"{work.id} is dispatched though its result is there")
        elif int(about) >= state.submitted.limits.max_rounds:
            found.append(f"{work.id}: more rounds than {state.submitted.limits.max_rounds}")
    sent = {work for work in {*state.sent, *ids} if work.startswith("result.")}
    if len(sent) > max_subtasks(state.submitted.limits, brought=state.submitted.plan is not None):
        found.append(f"{len(sent)} subtasks are more than the limits allow")
    return found


def violations_of_log(facts: Sequence[Fact]) -> list[str]:
    """What is wrong with a whole log. Empty, always."""
    found: list[str] = []
    names = [str(fact.name) for fact in facts]
    found += [
        f"{name} was written more than once" for name in sorted(set(names)) if names.count(name) > 1 and "due" not in name
    ]
    state = State("")
    for fact in facts:
        state.apply(fact)
    dispatched = [work for d in state.dispatched.values() for work in d.work]
    found += [f"{work} attempt {n} stands in two waves" for work, n in set(dispatched) if dispatched.count((work, n)) > 1]
    if state.outcome and state.outcome.status == OutcomeStatus.ANSWERED and not state.plans:
        found.append("answered without a plan")
    return found
