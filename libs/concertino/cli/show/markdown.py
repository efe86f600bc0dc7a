"""A report as plain Markdown: for files, pipes and other programs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from concertino.cli.show.closing import closing, gaps_to_add, in_order, unmentioned_conflicts
from concertino.cli.show.found import CAVEAT, TITLE, found_so_far, left_out
from concertino.cli.show.text import clean, place, short_roots
from concertino.contracts.view import ReportView, TaskView


def markdown(task: TaskView, seconds: float | None) -> str:
    """The whole of what there is to print for ``task``. ``seconds`` is how long it took."""
    status, rest = closing(task, seconds)
    parts = [*(_parts(task.report) if task.report else _found(task))]
    if parts:
        parts.append("---")
    return "\n\n".join([*parts, f"**{status}**{rest}"]) + "\n"


def _parts(report: ReportView) -> Iterator[str]:
    yield clean(report.text).strip()
    if conflicts := unmentioned_conflicts(report):
        yield "## Conflicts"
        for conflict in conflicts:
            lines = [f"- {_flat(conflict.statement)}"]
            lines += ["  - " + " ".join([_flat(p.claim), *(f"[{id_}]" for id_ in p.citations)]) for p in conflict.positions]
            if conflict.resolution:
                lines.append(f"  - **{_flat(conflict.resolution)}** {_flat(conflict.why)}".rstrip())
            yield "\n".join(lines)
    if gaps := gaps_to_add(report):
        yield "## Not found"
        yield "\n".join(f"- {_flat(gap)}" for gap in gaps)
    if report.citations:
        yield "## Evidence"
    roots = short_roots(citation.root for citation in report.citations)
    for citation in in_order(report.citations):
        yield f"[{clean(citation.id)}] `{place(citation.source, citation.locator, roots[citation.root])}`"
        yield _fenced(clean(citation.quote).strip("\n"))


def _found(task: TaskView) -> Iterator[str]:
    findings = found_so_far(task)
    if findings:
        yield f"## {TITLE}"
        yield f"*{CAVEAT}*"
    for claim, evidence in findings:
        yield f"- {_flat(claim)}"
        for where, said in evidence:
            yield f"`{where}`"
            yield _fenced(said)
    if findings and (more := left_out(task)):
        yield more


def _fenced(text: str) -> str:
    """A literal block, its fence longer than any in ``text``."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _flat(text: str) -> str:
    return " ".join(clean(text).split())
