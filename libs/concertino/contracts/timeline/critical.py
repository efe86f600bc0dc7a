"""The critical path: what a task was waiting for, at each moment from its beginning to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from concertino.contracts.timeline.rows import Placed
from concertino.contracts.timeline.shapes import Doing, Phase, Segment

_PHASES: Mapping[Doing, Phase] = {
    "blocked": "dependencies",
    "sending": "coordination",
    "queued": "queue",
    "in_vain": "retries",
    "retrying": "retries",
}
_WORK: Mapping[str, Phase] = {"plan": "planning", "synthesis": "synthesis"}


def phase(placed: Placed, doing: Doing) -> Phase:
    """What time goes into while ``placed`` is ``doing`` that."""
    return _PHASES.get(doing) or _WORK.get(placed.work.id.partition(".")[0], "work")


def path(stages: Sequence[Sequence[Placed]], end: float) -> tuple[Segment, ...]:
    """From 0 to ``end`` without a gap. It is found backwards: whatever came last was waited for."""
    by_id = {placed.work.id: placed for stage in stages for placed in stage}
    found: list[Segment] = []
    at, candidates = end, list(stages[-1]) if stages else []
    passed: set[str] = set()
    while candidates:
        last = max(candidates, key=lambda placed: (min(placed.ended, at), -placed.ready))
        passed.add(last.work.id)
        found += _segment("", "coordination", last.ended, at)
        at = min(at, last.ended)
        found += list(_back(last, at))
        at = min(at, last.ready)
        candidates = [by_id[id_] for id_ in (*last.work.before, *last.work.after) if id_ in by_id and id_ not in passed]
    found += _segment("", "coordination", 0.0, at)
    return tuple(reversed(found))


def _back(placed: Placed, at: float) -> Iterator[Segment]:
    """What became of ``placed`` between the moment when it could begin and ``at``, the last first."""
    for part in reversed(placed.parts):
        start, stop = max(part.start, placed.ready), min(part.start + part.seconds, at)
        yield from _segment(placed.work.id, phase(placed, part.doing), start, stop)


def _segment(row: str, phase: Phase, start: float, stop: float) -> Iterable[Segment]:
    return (Segment(row, phase, start, round(stop - start, 6)),) if round(stop - start, 6) > 0 else ()
