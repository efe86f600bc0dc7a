"""Nothing is claimed that was not seen: what a worker reads is remembered, and only that can be quoted."""

from __future__ import annotations

import hashlib

from msgspec import structs

from concertino.bus.port import Bus
from concertino.contracts.errors import QuoteNotSeen
from concertino.contracts.messages import Evidence, Finding, Locator, Passage
from concertino.model.port import Claim, Findings


class EvidenceLog:
    """The passages that were seen while one piece of work was done."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._seen: dict[str, dict[str, Passage]] = {}
        self._cited: dict[str, str] = {}

    def saw(self, passage: Passage) -> None:
        """Remember ``passage``. Tools that return passages need not call this: their toolbox does."""
        self._seen.setdefault(passage.source, {}).setdefault(passage.text, passage)

    def quote(self, source: str, text: str) -> Evidence:
        """Evidence for the literal ``text``. Raises :class:`QuoteNotSeen` if it stands in nothing seen of ``source``."""
        quote = text.strip("\n")
        for passage in self._seen.get(source, {}).values():
            start = passage.text.find(quote) if quote.strip() else -1
            if start >= 0:
                digest = hashlib.sha256(passage.text.encode()).hexdigest()
                self._cited[digest] = passage.text
                span = (start, start + len(quote))
                return Evidence(digest=digest, span=span, source=source, locator=_locate(passage, start, quote), quote=quote)
        raise QuoteNotSeen(f"nothing that was read of {source!r} contains {quote[:80]!r}")

    def ground(self, findings: Findings) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        """Claims as findings with evidence, and the claims whose quotes were not seen: those are not findings."""
        grounded, dropped = [], []
        for claim in findings.claims:
            finding = self._ground(claim)
            if finding:
                grounded.append(finding)
            else:
                dropped.append(claim.claim)
        return tuple(grounded), tuple(dropped)

    def _ground(self, claim: Claim) -> Finding | None:
        evidence = []
        for quote in claim.quotes:
            try:
                evidence.append(self.quote(quote.source, quote.text))
            except QuoteNotSeen:
                continue
        if claim.quotes and not evidence:
            return None
        return Finding(claim=claim.claim, evidence=tuple(evidence), quality=claim.quality, confidence=claim.confidence)

    async def keep(self) -> None:
        """Store every passage that was quoted, under its digest. To be done before the result is written."""
        for text in self._cited.values():
            await self._bus.put_blob(text.encode())


def _locate(passage: Passage, start: int, quote: str) -> Locator:
    """The quote's own lines where the passage has lines; else wherever the passage is."""
    if passage.locator.lines is None:
        return passage.locator
    first = passage.locator.lines[0] + passage.text.count("\n", 0, start)
    return structs.replace(passage.locator, lines=(first, first + quote.count("\n")))
