"""Reports made of quotes: what answers best first, each claim with its citation, conflicts, gaps, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from concertino.contracts.messages import Conflict, Locator
from concertino.model.extractive.conflicts import conflicts
from concertino.model.port import Draft, Exhibit, Writing

CITED = 8
"""Exhibits in a report at the most: after that the reader is better served by the sources."""

_HOW = (
    "*Made without a language model: passages were retrieved, ranked and quoted literally; nothing is paraphrased or inferred.*"
)
_NOTHING = "Nothing in the sources answers this."


def write(job: Writing) -> Draft:
    """The report on ``job``. Every sentence about the sources is a quote or names one."""
    shown = _balanced(job)
    disputed = conflicts(shown)
    lines: list[str] = []
    if shown:
        objectives = {item.subtask.id: item.subtask.objective for item in job.work.inputs}
        groups = _by_objective(shown, objectives)
        for objective, exhibits in groups.items():
            if len(groups) > 1:
                lines += [f"## {objective}", ""]
            lines += _answer(exhibits)
    else:
        lines += [_NOTHING, ""]
    if job.assertions:
        lines += ["## Said by workers, without evidence", "", *(f"- {claim}" for claim in job.assertions), ""]
    lines += _disputes(disputed)
    gaps = (*job.gaps, *job.missing)
    if gaps:
        lines += ["## Not found or missing", "", *(f"- {gap}" for gap in gaps), ""]
    return Draft(text="\n".join([*lines, _HOW, ""]), conflicts=disputed, gaps=gaps, open=_open(job))


def _balanced(job: Writing) -> list[Exhibit]:
    """The best exhibits, each aspect with its own best first, so that no aspect crowds out another."""
    objectives = {item.subtask.id: item.subtask.objective for item in job.work.inputs}
    queues = [list(exhibits) for exhibits in _by_objective(job.exhibits, objectives).values()]
    share = max(2, CITED // max(1, len(queues)))
    chosen = {exhibit.id for queue in queues for exhibit in queue[:share]}
    return [exhibit for exhibit in job.exhibits if exhibit.id in chosen]


def _by_objective(exhibits: Sequence[Exhibit], objectives: dict[str, str]) -> dict[str, list[Exhibit]]:
    groups: dict[str, list[Exhibit]] = {}
    for exhibit in exhibits:
        groups.setdefault(objectives.get(exhibit.subtask, ""), []).append(exhibit)
    return groups


def _answer(exhibits: Sequence[Exhibit]) -> list[str]:
    first, *others = exhibits
    lines = [f"{first.claim} [{first.id}]", "", *_block(first), ""]
    if others:
        lines += ["See also:", ""]
        for exhibit in others:
            lines += [f"- {exhibit.claim} [{exhibit.id}]", "", *(f"  {line}".rstrip() for line in _block(exhibit)), ""]
    return lines


def _block(exhibit: Exhibit) -> list[str]:
    """The quote as a fenced block, headed by its place. The fence is longer than any in the quote."""
    quote = exhibit.evidence.quote
    fence = "```"
    while fence in quote:
        fence += "`"
    return [f"`{exhibit.evidence.source}`{place(exhibit.evidence.locator)}", "", fence, *quote.split("\n"), fence]


def place(locator: Locator) -> str:
    """Where in the source, in words, with a leading comma."""
    if locator.lines:
        a, b = locator.lines
        return f", line {a}" if a == b else f", lines {a}–{b}"
    if locator.page is not None:
        return f", page {locator.page}"
    return f", {locator.fragment}" if locator.fragment else ""


def _disputes(disputed: Sequence[Conflict]) -> list[str]:
    if not disputed:
        return []
    lines = ["## Where the sources disagree", ""]
    for conflict in disputed:
        lines.append(f"- {conflict.statement}")
        for position in conflict.positions:
            marks = "".join(f" [{id_}]" for id_ in position.citations)
            lines.append(f"  - {position.claim}{marks}")
        verdict = f"{conflict.resolution}: {conflict.why}" if conflict.resolution else f"Open: {conflict.why}"
        lines.append(f"  - {verdict}.")
    return [*lines, ""]


def _open(job: Writing) -> tuple[str, ...]:
    """Objectives for which nobody found anything: another round may ask whoever was not asked yet."""
    by_objective: dict[str, bool] = {}
    for item in job.work.inputs:
        objective = item.subtask.objective
        found = bool(item.result and item.result.findings)
        by_objective[objective] = by_objective.get(objective, False) or found
    return tuple(objective for objective, answered in by_objective.items() if not answered)
