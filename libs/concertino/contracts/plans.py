"""Whether a plan can be run: checked by the client before anything is stored, and by the orchestrator whoever wrote it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from graphlib import CycleError, TopologicalSorter

from concertino.contracts.messages import Limits, Plan, Subtask

PLANNED_SUBTASKS = 20
"""Subtasks at the most, where a model plans and the caller sets no limit."""
BROUGHT_SUBTASKS = 10_000
"""The same for a plan that the caller brings."""


def max_subtasks(limits: Limits, *, brought: bool) -> int:
    """How many subtasks a task may have over all rounds."""
    return limits.max_subtasks or (BROUGHT_SUBTASKS if brought else PLANNED_SUBTASKS)


def problems(
    plan: Plan, limits: Limits, kinds: Collection[str], *, brought: bool, earlier: Iterable[Subtask] = ()
) -> list[str]:
    """Everything that keeps ``plan`` from being run, in words for its author; empty if it is sound.

    ``kinds`` are those on the bus, ``brought`` says that the caller wrote it, ``earlier`` are subtasks of previous rounds.
    """
    before = {subtask.id for subtask in earlier}
    found: list[str] = []
    if not plan.subtasks:
        found.append("it has no subtasks")
    limit = max_subtasks(limits, brought=brought)
    if len(plan.subtasks) + len(before) > limit:
        found.append(f"it has {len(plan.subtasks) + len(before)} subtasks, and {limit} are allowed")
    counts = Counter(subtask.id for subtask in plan.subtasks)
    found += [f"subtask id {id_!r} stands {n} times" for id_, n in counts.items() if n > 1]
    found += [f"subtask id {id_!r} was used by an earlier round" for id_ in counts if id_ in before]
    unknown = sorted({subtask.kind for subtask in plan.subtasks} - set(kinds))
    if unknown:
        found.append(f"no worker does {', '.join(map(repr, unknown))}; on the bus: {', '.join(sorted(kinds)) or 'none'}")
    for subtask in plan.subtasks:
        found += [
            f"subtask {subtask.id!r} depends on {needed!r}, which does not exist"
            for needed in subtask.depends_on
            if needed not in counts and needed not in before
        ]
    try:
        TopologicalSorter({s.id: s.depends_on for s in plan.subtasks}).prepare()
    except CycleError as e:
        found.append(f"its dependencies form a cycle: {' → '.join(reversed(e.args[1]))}")
    return found
