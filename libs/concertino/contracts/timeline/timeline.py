"""From a state to its timeline: rows, the critical path, and what it all comes to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from concertino.contracts.messages import Usage
from concertino.contracts.state import State
from concertino.contracts.timeline.critical import path, phase
from concertino.contracts.timeline.rows import Placed, Times, place
from concertino.contracts.timeline.shapes import KindTotal, Phase, PhaseTotal, Row, Segment, Timeline
from concertino.contracts.view import budget, usage_view


def timeline(state: State, now: float) -> Timeline:
    """What the log says of ``state`` in time; ``now``, in Unix seconds, ends it while there is no outcome."""
    times, stages = place(state, now)
    critical_path = path(stages, times.end)
    critical: defaultdict[str, float] = defaultdict(float)
    for segment in critical_path:
        critical[segment.row] += segment.seconds
    every = [placed for stage in stages for placed in stage]
    outcome = state.outcome
    max_tokens, max_cost = budget(state)
    return Timeline(
        task=state.task,
        trace=state.trace.trace_id,
        request=state.submitted.request if state.submitted else "",
        status=outcome.status.value if outcome else "running",
        reason=outcome.reason if outcome else "",
        began=times.began,
        seconds=times.end,
        rounds=len({placed.work.round for placed in every}),
        rows=tuple(_row(placed, round(critical[placed.work.id], 6)) for placed in every),
        path=critical_path,
        phases=_phases(every, critical_path),
        kinds=_kinds(every, critical),
        usage=usage_view(sum((placed.usage for placed in every), Usage())),
        max_tokens=max_tokens,
        max_cost=max_cost,
        notes=tuple(_notes(state, times)),
    )


def _row(placed: Placed, critical: float) -> Row:
    work, settled = placed.work, placed.work.settled
    return Row(
        id=work.id,
        name=work.name,
        kind=work.kind,
        round=work.round,
        text=work.text,
        status=placed.status,
        after=work.after,
        start=placed.born,
        seconds=round(placed.ended - placed.born, 6),
        parts=placed.parts,
        attempts=placed.attempts,
        untold=placed.untold,
        model=settled.model if settled else "",
        error=settled.error.message if settled and settled.error else "",
        usage=usage_view(placed.usage),
        critical=critical,
        beside=placed.beside,
        slow_after=placed.slow_after,
    )


def _phases(every: Sequence[Placed], critical: Sequence[Segment]) -> dict[Phase, PhaseTotal]:
    """Every phase, in the order of the type."""
    on_path: defaultdict[Phase, float] = defaultdict(float)
    in_all: defaultdict[Phase, float] = defaultdict(float)
    for segment in critical:
        on_path[segment.phase] += segment.seconds
        if not segment.row:
            in_all[segment.phase] += segment.seconds
    for placed in every:
        for part in (*placed.parts, *placed.beside):
            in_all[phase(placed, part.doing)] += part.seconds
    names: Sequence[Phase] = get_args(Phase)
    return {name: PhaseTotal(round(on_path[name], 6), round(in_all[name], 6)) for name in names}


def _kinds(every: Sequence[Placed], critical: Mapping[str, float]) -> dict[str, KindTotal]:
    by_kind: defaultdict[str, list[Placed]] = defaultdict(list)
    for placed in every:
        by_kind[placed.work.kind].append(placed)
    return {kind: _kind(rows, critical) for kind, rows in by_kind.items()}


def _kind(rows: Sequence[Placed], critical: Mapping[str, float]) -> KindTotal:
    def took(*doing: str) -> float:
        return round(sum(part.seconds for placed in rows for part in (*placed.parts, *placed.beside) if part.doing in doing), 6)

    return KindTotal(
        rows=len(rows),
        attempts=sum(placed.attempts for placed in rows),
        waited=took("blocked", "sending", "queued"),
        worked=took("working"),
        retries=took("in_vain", "retrying"),
        critical=round(sum(critical.get(placed.work.id, 0.0) for placed in rows), 6),
        usage=usage_view(sum((placed.usage for placed in rows), Usage())),
    )


def _notes(state: State, times: Times) -> Iterator[str]:
    if state.unreadable:
        yield f"the task cannot be read: {state.unreadable.message}"
    elif state.submitted is None:
        yield "the beginning of this log has expired: what is left of it begins with its earliest fact"
    if state.done and state.submitted:
        where = f"task {state.submitted.again}" if state.submitted.again else "an earlier task"
        yield f"{len(state.done)} of {len(state.subtasks)} subtasks have their results from {where}"
    for other in sorted(state.again):
        yield f"task {other} runs again what failed in this one"
    if state.finish:
        reason = f": {state.finish.reason}" if state.finish.reason else ""
        yield f"asked to finish by the caller after {times.since(state.times['finish']):.1f} s{reason}"
    if state.cancel:
        reason = f": {state.cancel.reason}" if state.cancel.reason else ""
        yield f"cancelled by the caller after {times.since(state.times['cancel']):.1f} s{reason}"
    over = times.since(times.now) - state.submitted.limits.deadline if state.submitted and not state.outcome else 0.0
    if over > 0:
        yield f"its time was up {over:.1f} s ago, and no orchestrator has ended it (`concertino workers` shows who is there)"
