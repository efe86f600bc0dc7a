"""What follows the prose of a report, so that nothing goes silently: points it left out, disputes, what was set aside, gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from concertino.contracts.messages import Failure
from concertino.model import marks
from concertino.model.anthropic.items import PLACES, Item, title
from concertino.model.anthropic.prose import uncited
from concertino.model.anthropic.reduce import Reduced
from concertino.model.anthropic.weigh import Weighed, conflicts, exhibits, in_vain, placed, with_same
from concertino.model.extractive.markup import inline
from concertino.model.extractive.sections import disputes, section
from concertino.model.port import Exhibit, Writing

_NOTHING = "Nothing that was found answers this."
_UNPROVEN = "Nothing that could be quoted answers this."


class Case(Struct, frozen=True):
    """What was decided, and on what. ``unknown`` counts references to what is no finding; ``shortfall`` says why the decision
    could not be put right."""

    job: Writing
    reduced: Reduced
    weighed: Weighed
    unknown: int
    items: Mapping[str, Item]
    exhibits: Mapping[str, Exhibit]
    shortfall: Failure | None = None

    @property
    def in_vain(self) -> tuple[str, ...]:
        """What workers looked for in vain, and the weighing passes over."""
        return in_vain(self.job, self.weighed)

    @property
    def unplaced(self) -> list[str]:
        """Items that the weighing says nothing about."""
        used = placed(self.weighed)
        return [id_ for id_ in self.items if id_ not in used]


def closing(case: Case, prose: str, named: Sequence[str], shortfall: Failure | None) -> str:
    """Markdown to follow ``prose``, which ``shortfall`` says why it is not whole. ``named``: the gaps to list."""
    job = case.job
    lines = _left_out(case, prose, shortfall)
    if not prose and not lines:
        lines = [_UNPROVEN if job.assertions else _NOTHING, ""]
    lines += disputes(conflicts(case.weighed, case.items))
    lines += section("Said by workers, without evidence", job.assertions)
    lines += section("Set aside", list(_set_aside(case)))
    vain = case.in_vain
    lines += section("Not found, or missing", [gap for gap in named if gap not in vain])
    lines += section("Also looked for in vain", vain)
    return "\n".join([*(["", ""] if prose else []), *lines])


def gaps(case: Case, prose: str) -> tuple[str, ...]:
    """What the report does not answer, what did not come, and what of the findings is nowhere in it; last what workers looked
    for in vain besides."""
    found = [*case.weighed.gaps, *case.job.missing]
    if case.reduced.over:
        found.append(f"not weighed, for want of room: {_findings(case, case.reduced.over)}")
    if nowhere := _nowhere(case, prose):
        found.append(f"neither used nor set aside: {_findings(case, nowhere)}")
    if bare := uncited(prose):
        found.append(f"{bare} passage{'' if bare == 1 else 's'} of the report cite{'s' if bare == 1 else ''} nothing")
    return tuple(dict.fromkeys([*found, *case.in_vain]))


def _left_out(case: Case, prose: str, shortfall: Failure | None) -> list[str]:
    """Points of the outline that the prose does not cite."""
    cited = set(marks.ids(prose))
    covered = with_same({item.id for item in case.items.values() if not cited.isdisjoint(item.exhibits)}, case.weighed)
    points = [p for s in case.weighed.sections for p in s.points if covered.isdisjoint(p.findings)]
    lines = [f"- {inline(p.claim)}{''.join(f' [{id_}]' for id_ in exhibits(p.findings, case.items))}" for p in points]
    if not shortfall:
        return ["## Also found", "", *lines, ""] if lines else []
    why = inline(shortfall.message.rstrip("."))
    note = f"*{'The text breaks off here' if prose else 'The report was decided, and not written out'}: {why}.*"
    return [note, "", *(["## What was to be said", "", *lines, ""] if lines else [])]


def _set_aside(case: Case) -> Iterator[str]:
    """Each reason, with what it is the reason for."""
    weighed = case.weighed
    used = {id_ for s in weighed.sections for p in s.points for id_ in p.findings}
    used |= {id_ for d in weighed.conflicts for p in d.sides for id_ in p.findings}
    by_reason: dict[str, list[str]] = {}
    for why, ids in case.reduced.aside:
        by_reason.setdefault(why, []).extend(ids)
    for aside in (*weighed.set_aside, *weighed.doubtful):
        ids = tuple(exhibit for id_ in aside.findings if id_ not in used for exhibit in case.items[id_].exhibits)
        if ids:
            by_reason.setdefault(aside.why, []).extend(ids)
    for why, found in by_reason.items():
        yield f"{why.strip().rstrip('.') or 'no reason given'}: {_findings(case, dict.fromkeys(found))}"


def _nowhere(case: Case, prose: str) -> list[str]:
    cited = set(marks.ids(prose))
    return [
        exhibit for id_ in case.unplaced if cited.isdisjoint(case.items[id_].exhibits) for exhibit in case.items[id_].exhibits
    ]


def _findings(case: Case, ids: Iterable[str]) -> str:
    """How many, and where the first of them stand."""
    found = [case.exhibits[id_].evidence for id_ in ids]
    places = list(dict.fromkeys(map(title, found)))
    more = f" and {len(places) - PLACES} more" if len(places) > PLACES else ""
    return f"{len(found)} finding{'' if len(found) == 1 else 's'} ({', '.join(places[:PLACES])}{more})"
