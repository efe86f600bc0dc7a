"""Plans by rules: each aspect of the request goes to every kind that reads a source given, or whose description fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct, structs

from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Effort, Plan, Source, Subtask, Work
from concertino.contracts.plans import brief
from concertino.model.extractive.aspects import Aspect, aspects, compares, whole
from concertino.model.extractive.facets import facets, points
from concertino.model.extractive.readers import Reader, readers
from concertino.model.port import Planning

AT_ONCE: dict[Effort, int] = {"low": 10_000, "auto": 4, "medium": 4, "high": 1}
"""Sources that one subtask reads; more are shared out, so that they are read in parallel."""
COMPARERS = 4
"""Subtasks among which things that are compared are shared out."""


_NAMED = 3
"""Aspects that a brief names as left to others; the rest is counted."""
_SHOWN = 120
"""Characters of each."""


class _Part(Struct, frozen=True):
    """An aspect, and the kind that works on it."""

    aspect: int
    reader: Reader


def plan(job: Planning) -> Plan:
    """The subtasks for ``job``. Raises :class:`Invalid` where nobody on the bus could do anything about it.

    The effort decides how far the work is shared out. ``low``: the request as it stands, one subtask for each natural reader of
    its sources, and no other round. ``auto`` and ``medium``: every aspect apart, sources by fours (fewer where they are
    compared), and every other kind whose description fits. ``high``: the same with each source by itself. A single question
    that lists its facets is put facet by facet where there are not many sources to read for each. Where that makes more
    subtasks than are allowed, aspects are asked as one, and subtasks read more sources each; what is over the limit even then
    is left out, and said to be.

    Another round puts each gap to kinds and sources that were not asked for it yet.
    """
    work, effort = job.work, job.work.limits.effort
    again = work.id != "plan.0"
    able = readers(job.kinds, work.sources, work.request)
    asked = [Aspect(gap) for gap in work.gaps] if again else aspects(work.request)
    if effort == "low":
        asked = [] if again else [whole(work.request)]
    elif len(asked) == 1 and not again:
        asked = _facets(work.request, able) or asked
    parts = _parts(asked, able, effort, work.request)
    if not parts and not again:
        raise Invalid(_nobody(job))
    at_once = _at_once(able, effort, work.request)
    if not again and _too_many(parts, asked, at_once, job.max_subtasks):
        asked = [whole(work.request)]
        parts = _parts(asked, able, effort, work.request)
    if again:
        parts = list(_not_asked_yet(parts, asked, work))
    at_once = _sources_at_once(parts, at_once, job.max_subtasks)
    wanted = _subtasks(parts, asked, at_once, work.id, effort)
    subtasks = _without_loose_ends(wanted[: job.max_subtasks])
    return Plan(subtasks=subtasks, why=_why(job, asked, parts, len(wanted) - len(subtasks)))


def _facets(request: str, able: Sequence[Reader]) -> list[Aspect]:
    """Of a request that is one question. What is read is read once for each facet, so there must not be much of it."""
    most = max((len(reader.sources) for reader in able if reader.natural), default=0)
    if most > 1:
        return []
    return facets(request) if most == 0 else points(request)


def _at_once(able: Sequence[Reader], effort: Effort, request: str) -> int:
    """Sources of one subtask: fewer where they are set side by side, so that each has somebody who reads it closely."""
    most = max((len(reader.sources) for reader in able if reader.natural), default=0)
    if effort == "low" or not compares(request):
        return AT_ONCE[effort]
    return min(AT_ONCE[effort], max(1, -(-most // COMPARERS)))


def _too_many(parts: Sequence[_Part], asked: Sequence[Aspect], at_once: int, limit: int) -> bool:
    """Whether aspects cost too much when they are asked apart: nothing is to be read once for each if that crowds others out.
    Where one aspect waits for another they are kept apart as long as there is room."""
    if len(parts) > limit:
        return True
    if any(aspect.after for aspect in asked):
        return False
    return sum(len(_batches(part.reader.sources, at_once)) for part in parts) > limit


def _parts(asked: Sequence[Aspect], able: Sequence[Reader], effort: Effort, request: str) -> list[_Part]:
    """Who is asked what, by aspect. Natural readers come first: where the plan is cut, it is cut behind them."""
    natural = [reader for reader in able if reader.natural]
    parts = [_Part(i, reader) for i in range(len(asked)) for reader in natural]
    for reader in able:
        if reader.natural or (effort == "low" and natural):
            continue
        fitting = [i for i, aspect in enumerate(asked) if reader.fits(aspect.text)]
        if not fitting and reader.fits(request):
            fitting = list(range(len(asked)))
        parts += [_Part(i, reader) for i in fitting]
    return sorted(parts, key=lambda part: part.aspect)  # stable: natural readers stay first


def _not_asked_yet(parts: Sequence[_Part], asked: Sequence[Aspect], work: Work) -> Iterator[_Part]:
    """``parts`` without sources in which their kind was asked the same before, however they were shared out then."""
    before: dict[tuple[str, str], set[Source]] = {}
    for subtask in (item.subtask for item in work.inputs):
        kind, objective, _ = brief(subtask)
        natural = tuple(s for s in work.sources if s.kind == kind)
        before.setdefault((kind, objective), set()).update(natural if subtask.sources is None else subtask.sources)
    for part in parts:
        kind, objective, _ = brief(Subtask(id="x", kind=part.reader.kind, objective=asked[part.aspect].text))
        known = before.get((kind, objective))
        left = tuple(s for s in part.reader.sources if s not in (known or ()))
        if left or known is None:
            yield structs.replace(part, reader=structs.replace(part.reader, sources=left))


def _sources_at_once(parts: Sequence[_Part], at_once: int, limit: int) -> int:
    """Sources of one subtask: as many as it takes to read all of them within ``limit`` subtasks, if that is possible."""
    most = max((len(part.reader.sources) for part in parts), default=0)
    while at_once < most and sum(len(_batches(part.reader.sources, at_once)) for part in parts) > limit:
        at_once += 1
    return at_once


def _batches(sources: tuple[Source, ...], at_once: int) -> list[tuple[Source, ...]]:
    """In runs of nearly the same length; one, empty, where there are no sources to read."""
    count = max(1, -(-len(sources) // at_once))
    return [sources[len(sources) * i // count : len(sources) * (i + 1) // count] for i in range(count)]


def _subtasks(parts: Sequence[_Part], asked: Sequence[Aspect], at_once: int, work: str, effort: Effort) -> list[Subtask]:
    number = int(work.partition(".")[2])
    prefix = f"r{number}s" if number else "s"
    made: list[Subtask] = []
    ids: dict[int, list[str]] = {}
    for part in parts:
        aspect = asked[part.aspect]
        before = max((i for i in ids if i < part.aspect), default=-1)
        batches = _batches(part.reader.sources, at_once)
        left = _left_to_others(part, parts, asked, len(batches))
        for sources in batches:
            subtask = Subtask(
                id=f"{prefix}{len(made) + 1}",
                kind=part.reader.kind,
                objective=aspect.text,
                expected_output="the passages that answer, quoted, each with its place",
                boundaries=left,
                sources=sources,
                effort=effort,
                depends_on=tuple(ids.get(before, ())) if aspect.after else (),
            )
            made.append(subtask)
            ids.setdefault(part.aspect, []).append(subtask.id)
    return made


def _left_to_others(part: _Part, parts: Sequence[_Part], asked: Sequence[Aspect], batches: int) -> str:
    """What its siblings do, in so far as they are told apart by it."""
    others = [asked[i].text for i in dict.fromkeys(p.aspect for p in parts) if i != part.aspect]
    said = [f"others work on: {'; '.join(map(_shown, others[:_NAMED]))}"] if others else []
    if len(others) > _NAMED:
        said.append(f"and on {len(others) - _NAMED} questions more")
    if batches > 1:
        said.append("the other sources are read by others")
    if kinds := sorted({p.reader.kind for p in parts if p.aspect == part.aspect} - {part.reader.kind}):
        said.append(f"{', '.join(kinds)}: asked the same of what they read")
    return "; ".join(said)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _without_loose_ends(subtasks: Sequence[Subtask]) -> tuple[Subtask, ...]:
    """What depends on something that was asked before, or was cut, depends on nothing there."""
    ids = {subtask.id for subtask in subtasks}
    return tuple(structs.replace(s, depends_on=tuple(needed for needed in s.depends_on if needed in ids)) for s in subtasks)


def _nobody(job: Planning) -> str:
    kinds = ", ".join(sorted({k.kind for k in job.kinds if not k.internal})) or "none"
    if not job.work.sources:
        return f"there is nothing to read: name sources (--code, --docs, --url); workers on the bus: {kinds}"
    unread = ", ".join(sorted({s.kind for s in job.work.sources}))
    return f"no worker on the bus reads sources of kind {unread}; workers on the bus: {kinds}"


def _why(job: Planning, asked: Sequence[Aspect], parts: Sequence[_Part], cut: int) -> str:
    what = "gap" if job.work.gaps else "aspect"
    kinds = ", ".join(sorted({part.reader.kind for part in parts})) or "nobody who was not asked yet"
    said = [f"by rule: {len(asked)} {what}{'' if len(asked) == 1 else 's'} × {kinds}"]
    if cut:
        said.append(f"{cut} subtasks over the limit of {job.max_subtasks} are left out")
    read = {source for part in parts for source in part.reader.sources}
    if not job.work.gaps and (unread := sorted({source.kind for source in job.work.sources if source not in read})):
        said.append(f"nobody is asked about sources of kind {', '.join(unread)}")
    return "; ".join(said)
