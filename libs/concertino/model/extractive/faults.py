"""Findings with severities, put in order: what is wrong where, repository by repository."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from msgspec import Struct, structs

from concertino.contracts.messages import Result, ResultStatus, Severity, Source, Subtask
from concertino.masking import without_credentials
from concertino.model.extractive.checking import NOTHING_FOUND
from concertino.model.port import Exhibit, Writing

SEVERITIES: tuple[str, ...] = tuple(reversed([severity for severity in get_args(Severity) if severity]))
"""Worst first."""
_OF_SOME = re.compile(r" \([^()]*\)$")
"""How a check of several sources names those that something holds for."""
UNNAMED = "other"
"""The topic of a finding that says none."""


class Fault(Struct, frozen=True):
    """One finding, with everything that shows it."""

    repository: str
    exhibits: tuple[Exhibit, ...]

    @property
    def first(self) -> Exhibit:
        return self.exhibits[0]

    @property
    def severity(self) -> str:
        return self.first.severity

    @property
    def topic(self) -> str:
        return self.first.topic or UNNAMED


class Repository(Struct, frozen=True):
    """A source, with what is wrong in it, worst first. ``unchecked`` topics were left out, at least in part."""

    name: str
    faults: tuple[Fault, ...]
    unchecked: frozenset[str]
    clean: frozenset[str]
    """Topics that were checked, and nothing was found."""
    notes: tuple[str, ...] = ()
    """What could not be read."""
    missing: str = ""
    """Why it was not audited, or not to the end."""

    def count(self, severity: str) -> int:
        return sum(fault.severity == severity for fault in self.faults)

    def about(self, topic: str) -> int:
        return sum(fault.topic == topic for fault in self.faults)


class Audit(Struct, frozen=True):
    """``repositories``: the worst first, those without a finding too."""

    repositories: tuple[Repository, ...]
    topics: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    """What was not checked and why, and the repositories that it holds for."""

    @property
    def faults(self) -> list[Fault]:
        """All of them, the worst first; among equals in the order of the repositories."""
        found = [fault for repository in self.repositories for fault in repository.faults]
        return sorted(found, key=lambda fault: (SEVERITIES.index(fault.severity), -fault.first.confidence))


class _Seen:
    """What the results say of one repository beside its findings."""

    def __init__(self) -> None:
        self.checked: set[str] = set()
        self.left_out: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self.missing = ""

    def add(self, result: Result | None, location: str, beside: Sequence[str]) -> None:
        """``result`` is of a subtask that was to read it: a topic was checked where it found anything, or says it did not.

        ``beside`` are the other sources that it read: a gap that names some of them alone is none of this one.
        """
        self.missing = self.missing or _missing(result)
        if result is None:
            return
        self.checked.update(finding.topic or UNNAMED for finding in result.findings if finding.severity)
        self.notes.update(dict.fromkeys(result.notes))
        for gap in result.gaps:
            topic, _, reason = gap.partition(": ")
            if reason == NOTHING_FOUND:
                self.checked.add(topic)
            elif not beside:
                self.left_out[gap] = None
            elif location in gap or not any(other in gap for other in beside):
                self.left_out[_OF_SOME.sub("", gap) if location in gap else gap] = None


def audit(job: Writing) -> Audit:
    """The findings of ``job`` that have a severity."""
    reads = [(item.result, _sources(job, item.subtask)) for item in job.work.inputs]
    subtasks = {item.subtask.id: item.subtask for item in job.work.inputs}
    located = [(_location(job, exhibit, subtasks), exhibit) for exhibit in job.exhibits if exhibit.severity]
    names = _names([*(source.location for _, sources in reads for source in sources), *(place for place, _ in located)])
    seen = {name: _Seen() for name in names.values()}
    for result, sources in reads:
        locations = [source.location for source in sources]
        for location in locations:
            seen[names[location]].add(result, location, [other for other in locations if other != location])
    faults: dict[str, list[Fault]] = {name: [] for name in seen}
    for fault in _faults((names[place], exhibit) for place, exhibit in located):
        faults[fault.repository].append(fault)
    left_out: dict[str, list[str]] = {}
    for name, known in seen.items():
        for gap in known.left_out:
            left_out.setdefault(gap, []).append(name)
    # What holds for all of several is the check's own limit, and sets nobody apart.
    audited = {name for name, known in seen.items() if not known.missing}
    usual = {gap for gap, where in left_out.items() if len(seen) > 1 and audited <= set(where)}
    repositories = [
        Repository(
            name=name,
            faults=tuple(faults[name]),
            unchecked=frozenset(gap.partition(": ")[0] for gap in known.left_out if gap not in usual),
            clean=frozenset(known.checked - {fault.topic for fault in faults[name]}),
            notes=tuple(known.notes),
            missing=known.missing,
        )
        for name, known in seen.items()
    ]
    repositories.sort(key=lambda r: ([-r.count(severity) for severity in SEVERITIES], r.name.lower()))
    counts = Counter(fault.topic for found in faults.values() for fault in found)
    topics = dict.fromkeys([*(topic for topic, _ in counts.most_common()), *sorted({t for r in repositories for t in r.clean})])
    return Audit(tuple(repositories), tuple(topics), {gap: tuple(where) for gap, where in left_out.items()})


def _missing(result: Result | None) -> str:
    if result is None:
        return "no result came in time"
    if result.status == ResultStatus.FAILED:
        return result.error.message if result.error else "no reason was given"
    return f"not to the end: {result.error.message}" if result.error else ""


def _faults(located: Iterable[tuple[str, Exhibit]]) -> list[Fault]:
    """Exhibits of one claim in one repository are one finding."""
    groups: dict[tuple[str, str], list[Exhibit]] = {}
    for repository, exhibit in located:
        groups.setdefault((repository, exhibit.claim), []).append(exhibit)
    found = [Fault(repository, tuple(exhibits)) for (repository, _), exhibits in groups.items()]
    return sorted(found, key=lambda fault: (SEVERITIES.index(fault.severity), -fault.first.confidence))


def _location(job: Writing, exhibit: Exhibit, subtasks: Mapping[str, Subtask]) -> str:
    """The source that an exhibit is from: as its evidence says, else the one that its subtask read."""
    subtask = subtasks.get(exhibit.subtask)
    sources = _sources(job, subtask) if subtask and not exhibit.evidence.root else ()
    return sources[0].location if len(sources) == 1 else exhibit.evidence.root


def _sources(job: Writing, subtask: Subtask) -> Sequence[Source]:
    """Called as evidence calls them."""
    own = subtask.sources
    read = [source for source in job.work.sources if source.kind == subtask.kind] if own is None else own
    return [structs.replace(source, location=without_credentials(source.location)) for source in read]


def _names(locations: Iterable[str]) -> dict[str, str]:
    """What each location is called: as little of its end as tells it from the others."""
    parts = {location: [p for p in location.split("/") if p] or ["?"] for location in dict.fromkeys(locations)}
    named: dict[str, str] = {}
    for location, mine in parts.items():
        others = [theirs for other, theirs in parts.items() if other != location]
        length = next((n for n in range(1, len(mine)) if all(theirs[-n:] != mine[-n:] for theirs in others)), len(mine))
        named[location] = "/".join(mine[-length:]).removesuffix(".dist-info").removesuffix(".git")
    return named
