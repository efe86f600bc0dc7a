"""Evidence, checked and put in order: pure functions from results to exhibits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

from msgspec import structs

from concertino.contracts.messages import Evidence, Finding, Input, ResultStatus
from concertino.model.extractive import Extractive
from concertino.model.port import Exhibit

AROUND = 200
"""Characters before and after a quote that go with it: enough to see what it was taken from."""


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
    among equals the order of the plan decides. What others claim on a quote that is taken already stands with it; the same
    words in two of the caller's sources are two exhibits.
    """
    candidates, failed = _candidates(inputs, texts)
    kept: list[Exhibit] = []
    others: defaultdict[int, dict[str, None]] = defaultdict(dict)
    quotes: dict[tuple[str, str], int] = {}
    at: defaultdict[Hashable, list[int]] = defaultdict(list)
    for subtask, finding, evidence in candidates:
        # Faults are told apart by claim and source: one line may be wrong in two ways, and the same line in two places.
        apart = f"{evidence.root or subtask} {finding.claim}" if finding.severity else evidence.root
        folded = apart, " ".join(evidence.quote.split()).casefold()
        places = [(apart, place) for place in _places(evidence)]
        met = (n for place in places for n in at[place] if _overlap(evidence, kept[n].evidence))
        taken = quotes.get(folded, next(met, None))
        if taken is not None:
            if finding.claim != kept[taken].claim:
                others[taken].setdefault(finding.claim)
            continue
        quotes[folded] = len(kept)
        for place in places:
            at[place].append(len(kept))
        kept.append(
            Exhibit(
                id=str(len(kept) + 1),
                claim=finding.claim,
                evidence=evidence,
                subtask=subtask,
                quality=finding.quality,
                confidence=finding.confidence,
                severity=finding.severity,
                topic=finding.topic,
                advice=finding.advice,
                around=_around(evidence, texts[evidence.digest] or ""),
            )
        )
    return [
        structs.replace(exhibit, also=tuple(others[n])) if n in others else exhibit for n, exhibit in enumerate(kept)
    ], failed


def _candidates(inputs: Iterable[Input], texts: Mapping[str, str | None]) -> tuple[list[tuple[str, Finding, Evidence]], int]:
    """Quotes that stand, with their findings and subtasks, best first, and how many do not."""
    found: list[tuple[str, Finding, Evidence]] = []
    failed = 0
    for item in inputs:
        for finding in item.result.findings if item.result else ():
            for evidence in finding.evidence:
                if stands(evidence, texts.get(evidence.digest)):
                    found.append((item.subtask.id, finding, evidence))
                else:
                    failed += 1
    return sorted(found, key=lambda candidate: -_weight(candidate[1])), failed


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
            found.append(f"{what}: no result came in time{f': {item.why}' if item.why else ''}")
        elif item.result.status == ResultStatus.FAILED:
            found.append(f"{what} failed: {item.result.error.message if item.result.error else 'no reason was given'}")
        elif item.result.error:
            found.append(f"{what} is incomplete: {item.result.error.message}")
    return tuple(dict.fromkeys(found))


def gaps(inputs: Sequence[Input], found_for: Collection[str]) -> tuple[str, ...]:
    """What workers looked for in vain, each once. ``found_for``: the subtasks that something was found for.

    Rules know no more of a gap than its objective: once a sibling found something on that, theirs is none. What a model says it
    missed is for whoever weighs to judge.
    """
    finders: dict[str, set[str]] = defaultdict(set)
    for i in inputs:
        if i.subtask.id in found_for:
            finders[i.subtask.objective].add(i.subtask.id)
    results = [
        i.result
        for i in inputs
        if i.result and (i.result.model != Extractive.name or finders[i.subtask.objective] <= {i.subtask.id})
    ]
    return tuple(dict.fromkeys(gap for result in results for gap in result.gaps))


def notes(inputs: Iterable[Input]) -> tuple[str, ...]:
    """What workers want a reader of the report to know, each once."""
    return tuple(dict.fromkeys(note for i in inputs if i.result for note in i.result.notes))


def _weight(finding: Finding) -> float:
    return finding.confidence * (0.75 + 0.25 * finding.quality)


def _around(evidence: Evidence, text: str) -> tuple[str, str]:
    start, end = evidence.span
    return text[max(0, start - AROUND) : start], text[end : end + AROUND]


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
