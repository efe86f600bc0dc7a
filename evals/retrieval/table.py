"""The result, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from evals.retrieval.judge import Score, Verdict


def _of(part: int, whole: int) -> str:
    return f"{part}/{whole} {100 * part / whole:3.0f}%" if whole else "-"


LEGEND = """\
BM25       words, lower-cased, over chunks of 40 lines; it never stays silent
-stop      the same without the stop words of the question
+silence   the same, silent below the score that serves these very questions best (chosen in hindsight)"""

_ROWS: Sequence[tuple[str, Callable[[Score], str]]] = (
    ("hit@1 (file)", lambda s: _of(s.hit1, s.answerable)),
    ("hit@3 (distinct files)", lambda s: _of(s.hit3, s.answerable)),
    ("passage in the first 3 quotes", lambda s: _of(s.passage, s.answerable)),
    ("literal quotes", lambda s: _of(s.literal, s.quotes)),
    ("'nothing found', rightly", lambda s: _of(s.silent_right, s.unanswerable)),
    ("'nothing found', wrongly", lambda s: _of(s.silent_wrong, s.answerable)),
    ("served rightly in all", lambda s: _of(s.right, s.answerable + s.unanswerable)),
    ("seconds per question, median", lambda s: f"{s.median_seconds:.3f}"),
    ("seconds per question, worst", lambda s: f"{s.worst_seconds:.3f}"),
)


def table(scores: Mapping[str, Score]) -> str:
    """One column for each scored answerer."""
    cells = [["", *scores], *([label, *(show(s) for s in scores.values())] for label, show in _ROWS)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    first, *rest = ["  ".join(_padded(row, widths)) for row in cells]
    return "\n".join([first, "  ".join("-" * w for w in widths), *rest])


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    yield row[0].ljust(widths[0])
    yield from (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))


def misses(verdicts: Sequence[Verdict]) -> str:
    """What an answerer got wrong: the question, what it showed first, what would have been right."""
    lines = []
    for v in verdicts:
        if v.hit3 or (v.silent and not v.question.answer):
            continue
        wanted = " and ".join(" or ".join(group) for group in v.question.answer) or "nothing"
        shown = ", ".join(v.files) or "nothing"
        lines.append(f"{v.question.source}: {v.question.ask}\n    shown:  {shown}\n    wanted: {wanted}")
    return "\n".join(lines)
