"""Plans by rules: each aspect of the request goes to every kind that reads a source given, or whose description fits."""

from __future__ import annotations

import itertools

from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Announcement, Plan, Source, Subtask
from concertino.contracts.plans import brief
from concertino.model.extractive.aspects import Aspect, aspects
from concertino.model.port import Planning
from concertino.retrieval.tokens import query_terms

SOURCES_AT_ONCE = 4
"""Sources that one subtask reads; more are shared out, so that they are read in parallel."""


def plan(job: Planning) -> Plan:
    """The subtasks for ``job``. Raises :class:`Invalid` where nobody on the bus could do anything about it."""
    work = job.work
    readers = _readers(job)
    if not readers and not work.gaps:
        raise Invalid(_nobody(job))
    asked = [Aspect(gap) for gap in work.gaps] or aspects(work.request)
    if work.limits.effort == "low":
        asked = asked[:1] if work.gaps else [Aspect(" ".join(work.request.split()))]
    number = int(work.id.partition(".")[2])
    done = {brief(item.subtask) for item in work.inputs}
    subtasks: list[Subtask] = []
    ids: dict[int, list[str]] = {}
    for i, aspect in enumerate(asked):
        for kind, sources in readers:
            subtask = Subtask(
                id=f"r{number}s{len(subtasks) + 1}" if number else f"s{len(subtasks) + 1}",
                kind=kind,
                objective=aspect.text,
                expected_output="the passages that answer, quoted, each with its place",
                sources=sources,
                depends_on=tuple(ids.get(i - 1, ())) if aspect.after else (),
            )
            if brief(subtask) not in done and len(subtasks) < job.max_subtasks:
                subtasks.append(subtask)
                ids.setdefault(i, []).append(subtask.id)
    return Plan(subtasks=tuple(subtasks), why=_why(asked, readers, len(subtasks), bool(work.gaps)))


def _readers(job: Planning) -> list[tuple[str, tuple[Source, ...]]]:
    """Who reads what: kinds with their share of the sources. A kind that is not the natural reader of any has to fit."""
    request = set(query_terms(job.work.request))
    found: list[tuple[str, tuple[Source, ...]]] = []
    for kind in _one_each(job.kinds):
        natural = tuple(s for s in job.work.sources if s.kind == kind.kind)
        readable = tuple(s for s in job.work.sources if s.kind in kind.sources)
        if natural:
            batches = [natural[i : i + SOURCES_AT_ONCE] for i in range(0, len(natural), SOURCES_AT_ONCE)]
            found += [(kind.kind, batch) for batch in batches]
        elif (readable or not kind.sources) and _fits(kind, request):
            found.append((kind.kind, readable))
    return found


def _one_each(kinds: tuple[Announcement, ...]) -> list[Announcement]:
    """One announcement of each kind, in the order of their names, without those that plan or write."""
    public = sorted((k for k in kinds if not k.internal), key=lambda k: k.kind)
    return [next(group) for _, group in itertools.groupby(public, key=lambda k: k.kind)]


def _fits(kind: Announcement, request: set[str]) -> bool:
    """Whether the request names the kind, or speaks of what its description speaks of."""
    described = set(query_terms(kind.description))
    return bool(request & set(query_terms(kind.kind))) or len(request & described) >= min(2, len(described))


def _nobody(job: Planning) -> str:
    kinds = ", ".join(sorted({k.kind for k in job.kinds if not k.internal})) or "none"
    if not job.work.sources:
        return f"there is nothing to read: name sources (--code, --docs); workers on the bus: {kinds}"
    unread = ", ".join(sorted({s.kind for s in job.work.sources}))
    return f"no worker on the bus reads sources of kind {unread}; workers on the bus: {kinds}"


def _why(asked: list[Aspect], readers: list[tuple[str, tuple[Source, ...]]], planned: int, again: bool) -> str:
    kinds = ", ".join(sorted({kind for kind, _ in readers}))
    what = "gap" if again else "aspect"
    count = f"{len(asked)} {what}{'' if len(asked) == 1 else 's'}"
    cut = "" if planned >= len(asked) * len(readers) else "; what was asked before, or is over the limit, is left out"
    return f"by rule: {count} × {kinds}{cut}"
