"""Reports made of quotes: what answers best first, then what else does, what is disputed, what is missing, how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from concertino.model.extractive import audit
from concertino.model.extractive.conflicts import conflicts
from concertino.model.extractive.markup import block, inline, place
from concertino.model.extractive.sections import disputes, section
from concertino.model.port import Draft, Exhibit, Writing

CITED = 8
"""Exhibits in a report at the most: after that the reader is better served by the sources."""
SOURCES, AS_SURE = 3, 0.6
"""Sources that are cited however unsure their quotes are, and the share of the best one's confidence that the others need."""
_HEADING = 100
"""Characters of a heading at the most."""

HOW = "*Made without a language model: passages were retrieved, ranked and quoted word for word; nothing is inferred.*"
_NOTHING = "Nothing in the sources answers this."
_UNPROVEN = "Nothing that could be quoted answers this."


def write(job: Writing, how: str = HOW) -> Draft:
    """The report on ``job``, closing with ``how`` it was made. Every sentence about the sources is a quote or names one.

    Findings that were checked for, and have severities, make the report of an audit.
    """
    if audit.is_audit(job):
        return audit.report(job, audit.HOW if how is HOW else how)
    objectives = {item.subtask.id: item.subtask.objective for item in job.work.inputs}
    shown = _balanced(job.exhibits, objectives)
    disputed = conflicts(shown)
    lines: list[str] = []
    groups = _by_objective(shown, objectives)
    for objective, exhibits in groups.items():
        if len(groups) > 1:
            lines += [f"## {_heading(objective)}", ""]
        lines += _answer(exhibits)
    if not shown:
        lines += [_UNPROVEN if job.assertions else _NOTHING, ""]
    lines += section("Said by workers, without evidence", job.assertions)
    lines += disputes(disputed)
    gaps = (*job.gaps, *job.missing)
    lines += section("Not found, or missing", gaps)
    return Draft(text="\n".join([*lines, how, ""]), conflicts=disputed, gaps=gaps, open=_open(job), verbatim=True)


def _balanced(exhibits: Sequence[Exhibit], objectives: dict[str, str]) -> list[Exhibit]:
    """The best exhibits, each aspect with its own best first, so that no aspect crowds out another."""
    queues = [list(group) for group in _by_objective(exhibits, objectives).values()]
    share = max(2, CITED // max(1, len(queues)))
    chosen = {exhibit.id for queue in queues for exhibit in _worth(queue[:share])}
    return [exhibit for exhibit in exhibits if exhibit.id in chosen]


def _worth(queue: Sequence[Exhibit]) -> list[Exhibit]:
    """What is about as sure as the best, and in any case the best of the first few sources: one may be wrong about the best."""
    first: dict[str, Exhibit] = {}
    for exhibit in queue:
        first.setdefault(exhibit.evidence.source, exhibit)
    kept = {exhibit.id for exhibit in list(first.values())[:SOURCES]}
    return [e for e in queue if e.id in kept or e.confidence >= queue[0].confidence * AS_SURE]


def _by_objective(exhibits: Iterable[Exhibit], objectives: dict[str, str]) -> dict[str, list[Exhibit]]:
    """In the order of the plan: the order in which things were asked."""
    groups: dict[str, list[Exhibit]] = {objective: [] for objective in objectives.values()}
    for exhibit in exhibits:
        groups.setdefault(objectives.get(exhibit.subtask, ""), []).append(exhibit)
    return {objective: group for objective, group in groups.items() if group}


def _answer(exhibits: Sequence[Exhibit]) -> list[str]:
    """One claim with its quote; the others in a line each: their quotes are among the citations."""
    first, *others = exhibits
    lines = [_claim(first), "", *block(first.evidence.source, first.evidence.quote), ""]
    if others:
        lines += ["See also:", "", *(f"- {_claim(exhibit)}" for exhibit in others), ""]
    return lines


def _claim(exhibit: Exhibit) -> str:
    """The claim, with its place where it names its source, or behind it."""
    named = f"`{exhibit.evidence.source}`"
    fragment = exhibit.evidence.locator.fragment
    # What the claim says of its place need not stand there twice.
    where = named if fragment and fragment in exhibit.claim else place(exhibit.evidence.source, exhibit.evidence.locator)
    if exhibit.claim.startswith(named):
        rest = exhibit.claim.removeprefix(named)
        return f"{where}{' ' if rest[:1].isspace() else ''}{inline(rest)} [{exhibit.id}]"
    return f"{inline(exhibit.claim)} ({where}) [{exhibit.id}]"


def _heading(objective: str) -> str:
    words = " ".join(objective.split())
    if words.partition(" ")[0].isalpha():
        words = words[:1].upper() + words[1:]
    return inline(words if len(words) <= _HEADING else words[:_HEADING].rsplit(" ", 1)[0] + " …")


def _open(job: Writing) -> tuple[str, ...]:
    """Objectives for which nobody found anything: another round may ask whoever was not asked yet."""
    by_objective: dict[str, bool] = {}
    for item in job.work.inputs:
        objective = item.subtask.objective
        found = bool(item.result and item.result.findings)
        by_objective[objective] = by_objective.get(objective, False) or found
    return tuple(objective for objective, answered in by_objective.items() if not answered)
