"""Evidence, checked and put in order: pure functions from results to exhibits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

from concertino.contracts.messages import Evidence, Finding, Input, ResultStatus
from concertino.model.port import Exhibit


def text_of(digest: str, blob: bytes | None) -> str | None:
    """What is kept under ``digest``, if ``blob`` is that; None where it is missing, something else, or no text."""
    if blob is None or hashlib.sha256(blob).hexdigest() != digest:
        return None
    try:
        return blob.decode()
    except UnicodeDecodeError:
        return None


def stands(evidence: Evidence, text: str | None) -> bool:
    """Whether ``text``, which the evidence names by its digest, holds the quote, literally, where it says."""
    start, end = evidence.span
    return text is not None and 0 <= start < end and bool(evidence.quote.strip()) and text[start:end] == evidence.quote


def exhibits(inputs: Iterable[Input], texts: Mapping[str, str | None]) -> tuple[list[Exhibit], int]:
    """What may be cited, best first and each thing once, with ids from "1" on; and how many quotes failed the check.

    ``texts`` maps each digest to what is kept under it. Findings are weighed by confidence and the quality of their source;
    among equals the order of the plan decides.
    """
    candidates: list[tuple[float, str, Finding, Evidence]] = []
    failed = 0
    for item in inputs:
        for finding in item.result.findings if item.result else ():
            for evidence in finding.evidence:
                if stands(evidence, texts.get(evidence.digest)):
                    candidates.append((_weight(finding), item.subtask.id, finding, evidence))
                else:
                    failed += 1
    candidates.sort(key=lambda c: -c[0])
    kept: list[Exhibit] = []
    quotes: set[str] = set()
    at: defaultdict[Hashable, list[Evidence]] = defaultdict(list)
    for _, subtask, finding, evidence in candidates:
        folded = " ".join(evidence.quote.split()).casefold()
        places = list(_places(evidence))
        if folded in quotes or any(_overlap(evidence, other) for place in places for other in at[place]):
            continue
        quotes.add(folded)
        for place in places:
            at[place].append(evidence)
        kept.append(Exhibit(str(len(kept) + 1), finding.claim, evidence, subtask, finding.quality, finding.confidence))
    return kept, failed


def assertions(inputs: Iterable[Input]) -> tuple[str, ...]:
    """Claims that came without evidence, each once."""
    claims = (f.claim for item in inputs if item.result for f in item.result.findings if not f.evidence)
    return tuple(dict.fromkeys(claims))


def missing(inputs: Iterable[Input]) -> tuple[str, ...]:
    """The parts that failed or did not come, or not all of them, with the reason."""
    found: list[str] = []
    for item in inputs:
        what = f"“{item.subtask.objective}” ({item.subtask.kind})"
        if item.result is None:
            found.append(f"{what}: no result came in time")
        elif item.result.status == ResultStatus.FAILED:
            found.append(f"{what} failed: {item.result.error.message if item.result.error else 'no reason was given'}")
        elif item.result.error:
            found.append(f"{what} is incomplete: {item.result.error.message}")
    return tuple(dict.fromkeys(found))


def gaps(inputs: Sequence[Input], answered: Collection[str]) -> tuple[str, ...]:
    """What workers looked for in vain, and what they noted, each once. ``answered`` are objectives that a sibling did find
    something for: a worker that found nothing on those is no gap."""
    results = [(i.subtask.objective in answered, i.result) for i in inputs if i.result]
    found = [gap for has_answer, result in results if not has_answer for gap in result.gaps]
    return tuple(dict.fromkeys([*found, *(note for _, result in results for note in result.notes)]))


def _weight(finding: Finding) -> float:
    return finding.confidence * (0.75 + 0.25 * finding.quality)


def _places(evidence: Evidence) -> Iterator[Hashable]:
    """Where it would meet others that quote the same: the passage, and its lines if it has lines."""
    yield evidence.digest
    if evidence.locator.lines:
        a, b = evidence.locator.lines
        for line in range(a, b + 1):
            yield evidence.source, line


def _overlap(a: Evidence, b: Evidence) -> bool:
    """Whether two quotes that met at a place share words there: two sources may each have a line 1 of a README.md."""
    if a.digest == b.digest:
        return a.span[0] < b.span[1] and b.span[0] < a.span[1]
    return not set(a.quote.split("\n")).isdisjoint(b.quote.split("\n")) or a.quote in b.quote or b.quote in a.quote
