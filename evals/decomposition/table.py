"""The result, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from evals.decomposition.judge import Score, Verdict, depth

LEGEND = """\
one each   one subtask for each kind that has sources of its own: what no planner at all would do
good plan  number, kinds, order and reading as they should be, no two subtasks on the same ground, the sources of an audit
           shared out, and whole briefs"""


def _of(part: int, whole: int) -> str:
    return f"{part}/{whole} {100 * part / whole:3.0f}%" if whole else "-"


def _domain(name: str) -> tuple[str, Callable[[Score], str]]:
    return f"good plans: {name}", lambda s: _of(*next((of for domain, of in s.domains.items() if domain == name), (0, 0)))


_ROWS: Sequence[tuple[str, Callable[[Score], str]]] = (
    ("planned at all", lambda s: _of(s.planned, s.asked)),
    ("as many workers as there should be", lambda s: _of(s.workers, s.asked)),
    ("  too few", lambda s: _of(s.too_few, s.asked)),
    ("  too many", lambda s: _of(s.too_many, s.asked)),
    ("the right kinds", lambda s: _of(s.kinds, s.asked)),
    ("the right order", lambda s: _of(s.order, s.asked)),
    ("all sources read", lambda s: _of(s.reads, s.asked)),
    ("no two on the same ground", lambda s: _of(s.apart, s.asked)),
    ("sources shared out: audit", lambda s: _of(s.shared, s.audits)),
    ("  times a source is read", lambda s: f"{s.times:.2f}"),
    *(_domain(name) for name in ("fact", "comparison", "chain", "survey", "audit", "whole")),
    ("good plans in all", lambda s: _of(s.good, s.asked)),
    ("whole briefs", lambda s: _of(s.briefs, s.subtasks)),
    ("subtasks in all", lambda s: str(s.subtasks)),
    ("seconds per plan, median", lambda s: f"{s.median_seconds:.3f}"),
    ("seconds per plan, worst", lambda s: f"{s.worst_seconds:.3f}"),
    ("US dollars in all", lambda s: f"{s.cost_usd:.2f}"),
)


def table(scores: Mapping[str, Score]) -> str:
    """One column for each planner."""
    cells = [["", *scores], *([label, *(show(s) for s in scores.values())] for label, show in _ROWS)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    first, *rest = ["  ".join(_padded(row, widths)).rstrip() for row in cells]
    return "\n".join([first, "  ".join("-" * w for w in widths), *rest])


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    yield row[0].ljust(widths[0])
    yield from (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))


def misses(verdicts: Sequence[Verdict]) -> str:
    """Every plan that is not good: the request, what is wrong with the plan, and what was planned."""
    return "\n".join(line for v in verdicts if not v.good for line in _miss(v))


def _miss(v: Verdict) -> Iterator[str]:
    yield f"{v.request.domain}: {' '.join(v.request.ask.split())}"
    if v.plan is None:
        yield f"    no plan: {v.trouble}"
        return
    least, most = v.request.workers
    kinds = ", ".join(sorted(v.request.kinds)) or "any of"
    wrong = {
        f"{len(v.plan.subtasks)} workers, not {least} to {most}": v.workers,
        f"kinds: not {kinds}{' or '.join(['', *sorted(v.request.may)])}": v.kinds,
        f"a depth of {depth(v.plan)}, not {v.request.depth[0]} to {v.request.depth[1]}": v.order,
        "sources that nobody reads": v.reads,
        "two on the same ground": v.apart,
        f"sources not shared out, but read {v.times:.1f} times": v.shared,
        "briefs that are not whole": v.whole,
    }
    yield f"    {'; '.join(text for text, right in wrong.items() if not right)}"
    for subtask in v.plan.subtasks[:8]:
        after = f" after {', '.join(subtask.depends_on)}" if subtask.depends_on else ""
        yield f"      {subtask.id} {subtask.kind}{after} ({len(subtask.sources or ())}): {subtask.objective[:100]}"
    if len(v.plan.subtasks) > 8:
        yield f"      and {len(v.plan.subtasks) - 8} more"
