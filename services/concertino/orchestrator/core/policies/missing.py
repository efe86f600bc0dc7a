"""Why something did not come in time, as far as the log tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TypeAlias

from concertino.contracts.messages import Subtask
from concertino.contracts.state import State
from concertino.contracts.subjects import parse_nth

_Tried: TypeAlias = Mapping[str, Collection[str]]
"""By work id: the deliveries of which the log knows."""


def reasons(state: State, subtasks: Collection[Subtask]) -> dict[str, str]:
    """Why there is no result of those of ``subtasks`` that have none: by work id, in words for a reader."""
    missing = [subtask for subtask in subtasks if subtask.work_id not in state.results]
    if not missing:
        return {}
    tried = _tried(state)
    done = {subtask.id for subtask in state.subtasks if subtask.work_id in state.results}
    return {subtask.work_id: _why(state, subtask, done, tried) for subtask in missing}


def so_far(state: State, work: str) -> str:
    """How far ``work`` got that is no subtask."""
    return _got_to(state, work, _tried(state)) or _waited(state, work)


def _why(state: State, subtask: Subtask, done: Collection[str], tried: _Tried) -> str:
    if word := _got_to(state, subtask.work_id, tried):
        return word
    if held := [name for name in subtask.depends_on if name not in done]:
        return f"it depends on {', '.join(held)}, which did not come either"
    return _waited(state, subtask.work_id)


def _waited(state: State, work: str) -> str:
    return "no worker had begun it" if work in state.sent else "it had not been handed out"


def _got_to(state: State, work: str, tried: _Tried) -> str:
    """Empty where nobody is known to have begun it."""
    if work not in tried:
        return ""
    *before, last = sorted(tried[work], key=lambda nth: (parse_nth(nth), nth))
    times = f" ({len(before) + 1} attempts)" if before else ""
    if ended := state.lost.get(f"{work}.{last}"):
        return f"it was to be tried again{times}: {ended.why or 'no reason given'}"
    begun = state.begun[f"{work}.{last}"]
    by = f" by {begun.worker}" if begun.worker else ""
    if f"{work}.{last}" in state.returned:
        return f"it was begun{by}, which handed it back, and by nobody since{times}"
    hedged = parse_nth(last)[0] > 1
    if not hedged and any(f"{work}.{nth}" not in state.lost and f"{work}.{nth}" not in state.returned for nth in before):
        return f"a worker was lost over it; it was begun again{by}, and did not end{times}"
    return f"it was begun{by}, and did not end: it took too long, or its worker was lost{times}"


def _tried(state: State) -> _Tried:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name in (*state.begun, *state.lost):
        work, _, nth = name.rpartition(".")
        found[work].add(nth)
    return found
