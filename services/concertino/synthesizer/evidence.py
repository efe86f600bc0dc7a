"""Evidence, checked and put in order: pure functions from results to exhibits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from concertino.contracts.messages import Citation, Evidence, Finding, Input, Locator, ResultStatus
from concertino.model.port import Exhibit

_MARK = re.compile(r"\[(\d{1,4})\]")


def stands(evidence: Evidence, blob: bytes | None) -> bool:
    """Whether ``blob`` is what the evidence names and holds its quote, literally, where it says."""
    if blob is None or hashlib.sha256(blob).hexdigest() != evidence.digest:
        return False
    start, end = evidence.span
    return bool(evidence.quote.strip()) and blob.decode("utf-8", "replace")[start:end] == evidence.quote


def exhibits(inputs: Iterable[Input], checked: Mapping[str, bytes | None]) -> tuple[list[Exhibit], int]:
    """What may be cited, best first and each thing once, with ids from "1" on; and how many quotes failed the check.

    ``checked`` maps each digest to what is kept under it. Findings are weighed by confidence and the quality of their source.
    """
    candidates: list[tuple[float, str, Finding, Evidence]] = []
    failed = 0
    for item in inputs:
        for finding in item.result.findings if item.result else ():
            for evidence in finding.evidence:
                if stands(evidence, checked.get(evidence.digest)):
                    candidates.append((_weight(finding), item.subtask.id, finding, evidence))
                else:
                    failed += 1
    candidates.sort(key=lambda c: -c[0])
    kept: list[Exhibit] = []
    for _, subtask, finding, evidence in candidates:
        if not any(_same(evidence, exhibit.evidence) for exhibit in kept):
            kept.append(Exhibit(str(len(kept) + 1), finding.claim, evidence, subtask, finding.quality, finding.confidence))
    return kept, failed


def assertions(inputs: Iterable[Input]) -> tuple[str, ...]:
    """Claims that came without evidence, each once."""
    claims = (f.claim for item in inputs if item.result for f in item.result.findings if not f.evidence)
    return tuple(dict.fromkeys(claims))


def missing(inputs: Iterable[Input]) -> tuple[str, ...]:
    """The parts that failed or did not come, with the reason."""
    found: list[str] = []
    for item in inputs:
        what = f"{item.subtask.objective} ({item.subtask.kind})"
        if item.result is None:
            found.append(f"{what}: no result came in time")
        elif item.result.status == ResultStatus.FAILED or item.result.error:
            found.append(f"{what}: {item.result.error.message if item.result.error else 'failed without a reason'}")
    return tuple(dict.fromkeys(found))


def gaps(inputs: Sequence[Input], answered: Collection[str]) -> tuple[str, ...]:
    """What workers looked for in vain, and what they noted, each once. ``answered`` are objectives that a sibling did find
    something for: a worker that found nothing on those is no gap."""
    results = [(i.subtask.objective in answered, i.result) for i in inputs if i.result]
    found = [gap for has_answer, result in results if not has_answer for gap in result.gaps]
    return tuple(dict.fromkeys([*found, *(note for _, result in results for note in result.notes)]))


def cited(text: str, exhibits: Sequence[Exhibit]) -> tuple[str, tuple[Citation, ...]]:
    """``text`` without marks that name no exhibit, and a citation for each that it names, in the order of the text.

    ``[1]`` inside a fenced block is the quote's own and stays as it is.
    """
    by_id = {exhibit.id: exhibit.evidence for exhibit in exhibits}
    order: dict[str, None] = {}

    def keep(mark: re.Match[str]) -> str:
        if mark[1] not in by_id:
            return ""
        order.setdefault(mark[1])
        return mark[0]

    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if fence:
            fence = "" if stripped == fence else fence
        elif stripped.startswith("```"):
            fence = stripped[: len(stripped) - len(stripped.lstrip("`"))]
        else:
            line = _MARK.sub(keep, line)
        lines.append(line)
    citations = tuple(
        Citation(id=id_, source=e.source, locator=e.locator, quote=e.quote, digest=e.digest)
        for id_ in order
        if (e := by_id[id_])
    )
    return "\n".join(lines), citations


def _weight(finding: Finding) -> float:
    return finding.confidence * (0.75 + 0.25 * finding.quality)


def _same(a: Evidence, b: Evidence) -> bool:
    """Two quotes of one thing: the same words anywhere, or overlapping places of one source."""
    if _folded(a.quote) == _folded(b.quote):
        return True
    return a.source == b.source and (_overlap(a.locator, b.locator) or (a.digest == b.digest and _spans_overlap(a, b)))


def _folded(quote: str) -> str:
    return " ".join(quote.split()).casefold()


def _overlap(a: Locator, b: Locator) -> bool:
    return bool(a.lines and b.lines and a.lines[0] <= b.lines[1] and b.lines[0] <= a.lines[1])


def _spans_overlap(a: Evidence, b: Evidence) -> bool:
    return a.span[0] < b.span[1] and b.span[0] < a.span[1]
