"""Weighing: what answers, what agrees, what disagrees, what is doubtful, what is open. A structured output, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from concertino.contracts.messages import Conflict, Position
from concertino.masking import without_credentials
from concertino.model.anthropic.items import PLACES, Item
from concertino.model.anthropic.material import Block, cut, data
from concertino.model.anthropic.reduce import Aside
from concertino.model.port import Writing

LISTED = 200
"""Gaps, missing parts and claims without evidence that are shown, of each."""
LINE = 400
"""Characters of one that are shown."""


class Point(Struct, frozen=True):
    """One statement of the report, and the ids that support it, best first."""

    claim: str
    findings: tuple[str, ...]


class Section(Struct, frozen=True):
    """A part of the outline."""

    heading: str
    points: tuple[Point, ...]


class Same(Struct, frozen=True):
    """Ids that say the same."""

    findings: tuple[str, ...]


class Dispute(Struct, frozen=True):
    """Sides that cannot both be right. An empty resolution: both stand."""

    statement: str
    sides: tuple[Point, ...]
    resolution: str = ""
    why: str = ""


class Closed(Struct, frozen=True):
    """What a worker looked for in vain, by its number, and the ids that answer it after all."""

    gap: int
    findings: tuple[str, ...]


class Weighed(Struct, frozen=True):
    """The whole of it. The prompt says what belongs into each field."""

    answer: str
    sections: tuple[Section, ...] = ()
    same: tuple[Same, ...] = ()
    conflicts: tuple[Dispute, ...] = ()
    doubtful: tuple[Aside, ...] = ()
    set_aside: tuple[Aside, ...] = ()
    gaps: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    closed: tuple[Closed, ...] = ()
    repeated: tuple[int, ...] = ()


def shown(job: Writing, items: Sequence[Item]) -> list[Block]:
    """What a model is to weigh."""
    work = job.work
    another = [{"kind": kind.kind, "does": cut(kind.description, LINE), "reads": kind.sources} for kind in job.kinds]
    parts = [
        data("request", work.request),
        data("findings", [item.shown for item in items]),
        data("without_evidence", _listed(job.assertions)),
        data("looked_for_in_vain", _numbered(job.gaps)),
        data("missing", _listed(job.missing)),
        data(
            "another_round",
            {"kinds": another, "sources": _listed([without_credentials(s.location) for s in work.sources])} if another else {},
        ),
        f"Weigh these {len(items)} findings.",
    ]
    return [{"type": "text", "text": part} for part in parts]


class Objections:
    """What is wrong with a weighing, in words for its author: told once. What is still wrong then is mended by :func:`mended`,
    which is better than no report."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._ids = [item.id for item in items]
        self.first: Weighed | None = None
        """What was objected to: it counts where no better one comes."""

    def __call__(self, weighed: Weighed) -> Sequence[str]:
        if self.first is not None:
            return ()
        self.first = weighed
        used = placed(weighed)
        found: list[str] = []
        if unknown := sorted(_named(weighed).difference(self._ids)):
            found.append(f"these ids are none of the findings: {', '.join(unknown)}")
        if forgotten := [id_ for id_ in self._ids if id_ not in used]:
            found.append(f"these findings stand nowhere, put each where it belongs: {', '.join(forgotten)}")
        if any(len(dispute.sides) < 2 for dispute in weighed.conflicts):
            found.append("a conflict has two sides or more")
        return found


def mended(weighed: Weighed, items: Sequence[Item]) -> tuple[Weighed, int]:
    """``weighed`` without references to what is no finding, and without what then rests on nothing; and how many these were."""
    known = {item.id for item in items}
    unknown = len(_named(weighed) - known)

    def points(made: Iterable[Point]) -> tuple[Point, ...]:
        return tuple(Point(p.claim, ids) for p in made if (ids := _known(p.findings, known)) and p.claim.strip())

    def asides(made: Iterable[Aside]) -> tuple[Aside, ...]:
        return tuple(Aside(ids, a.why) for a in made if (ids := _known(a.findings, known)))

    disputes = (Dispute(d.statement, points(d.sides), d.resolution, d.why) for d in weighed.conflicts)
    gaps = tuple(dict.fromkeys(gap for gap in (*weighed.gaps, *weighed.open) if gap.strip()))
    unsupported = sum(not point.findings for section in weighed.sections for point in section.points)
    return Weighed(
        answer=weighed.answer,
        sections=tuple(Section(s.heading, kept) for s in weighed.sections if (kept := points(s.points))),
        same=tuple(Same(ids) for group in weighed.same if len(ids := _known(group.findings, known)) > 1),
        conflicts=tuple(dispute for dispute in disputes if len(dispute.sides) > 1),
        doubtful=asides(weighed.doubtful),
        set_aside=asides(weighed.set_aside),
        gaps=gaps,
        open=tuple(gap for gap in dict.fromkeys(weighed.open) if gap.strip()),
        closed=tuple(Closed(c.gap, ids) for c in weighed.closed if (ids := _known(c.findings, known))),
        repeated=weighed.repeated,
    ), unknown + unsupported


def placed(weighed: Weighed) -> set[str]:
    """Every id that has its place; one that only says the same as others, where one of these has."""
    used = {id_ for section in weighed.sections for point in section.points for id_ in point.findings}
    used |= {id_ for dispute in weighed.conflicts for side in dispute.sides for id_ in side.findings}
    used |= {id_ for aside in (*weighed.doubtful, *weighed.set_aside) for id_ in aside.findings}
    return with_same(used, weighed)


def with_same(ids: set[str], weighed: Weighed) -> set[str]:
    """``ids``, and those that say the same as one of them."""
    return ids.union(*(group.findings for group in weighed.same if not ids.isdisjoint(group.findings)))


def in_vain(job: Writing, weighed: Weighed) -> tuple[str, ...]:
    """What workers looked for in vain, and ``weighed``, mended, neither says itself nor names findings for."""
    dealt_with = {closed.gap for closed in weighed.closed} | (set(weighed.repeated) if weighed.gaps else set())
    dealt_with &= set(range(1, LISTED + 1))
    said = {_plain(gap) for gap in weighed.gaps}
    return tuple(gap for number, gap in enumerate(job.gaps, 1) if number not in dealt_with and _plain(gap) not in said)


def conflicts(weighed: Weighed, by_id: Mapping[str, Item]) -> tuple[Conflict, ...]:
    """The conflicts as a report states them."""
    return tuple(
        Conflict(
            statement=dispute.statement,
            positions=tuple(Position(claim=side.claim, citations=exhibits(side.findings, by_id)) for side in dispute.sides),
            resolution=dispute.resolution,
            why=dispute.why,
        )
        for dispute in weighed.conflicts
    )


def exhibits(findings: Iterable[str], by_id: Mapping[str, Item]) -> tuple[str, ...]:
    """The exhibits that items rest on, the best few of each."""
    return tuple(dict.fromkeys(exhibit for id_ in findings for exhibit in by_id[id_].exhibits[:PLACES]))


def _named(weighed: Weighed) -> set[str]:
    """Every id that it refers to."""
    return placed(weighed).union(*(closed.findings for closed in weighed.closed))


def _known(ids: Iterable[str], known: set[str]) -> tuple[str, ...]:
    return tuple(id_ for id_ in dict.fromkeys(ids) if id_ in known)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _numbered(entries: Sequence[str]) -> list[Any]:
    """Numbers are what an answer names them by; they count from 1."""
    listed = _listed(entries)
    numbered = [{"number": number, "gap": entry} for number, entry in enumerate(listed[:LISTED], 1)]
    return [*numbered, *listed[LISTED:]]


def _listed(entries: Sequence[str]) -> list[Any]:
    more = [f"and {len(entries) - LISTED} more"] if len(entries) > LISTED else []
    return [*(cut(entry, LINE) for entry in entries[:LISTED]), *more]
