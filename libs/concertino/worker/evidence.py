"""Nothing is claimed that was not seen: what a worker reads is remembered, and only that can be quoted."""

from __future__ import annotations

import hashlib
import re

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
        """Evidence for the literal ``text``. Raises :class:`QuoteNotSeen` if it stands in nothing seen of ``source``.

        Line ends and empty lines around it do not matter. Where it stands more than once, the first place counts.
        """
        literal = text.strip("\r\n")
        for quote in dict.fromkeys((literal, literal.replace("\r\n", "\n"), re.sub("\r?\n", "\r\n", literal))):
            for passage in self._seen.get(source, {}).values():
                start = passage.text.find(quote) if quote.strip() else -1
                if start >= 0:
                    return self._cite(passage, start, quote)
        raise QuoteNotSeen(
            f"nothing that was read of {source!r} contains {literal[:80]!r}: quote word for word what a tool returned, or what "
            f"evidence.saw() was told"
        )

    def _cite(self, passage: Passage, start: int, quote: str) -> Evidence:
        digest = hashlib.sha256(passage.text.encode()).hexdigest()
        self._cited[digest] = passage.text
        return Evidence(
            digest=digest,
            span=(start, start + len(quote)),
            source=passage.source,
            locator=_locate(passage, start, quote),
            quote=quote,
        )

    def ground(self, findings: Findings) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        """Claims as findings with evidence, and what was dropped and why: quotes that were not seen, and the claims that had no
        other."""
        grounded: list[Finding] = []
        dropped: list[str] = []
        for claim in findings.claims:
            evidence = self._evidence(claim)
            if claim.quotes and not evidence:
                dropped.append(f"not kept, as its quote was in nothing that was read: {claim.claim}")
                continue
            if len(evidence) < len(claim.quotes):
                dropped.append(f"a quote that was in nothing that was read was taken from: {claim.claim}")
            grounded.append(
                Finding(claim=claim.claim, evidence=evidence, quality=claim.quality, confidence=claim.confidence),
            )
        return tuple(grounded), tuple(dropped)

    def _evidence(self, claim: Claim) -> tuple[Evidence, ...]:
        found: list[Evidence] = []
        for quote in claim.quotes:
            try:
                found.append(self.quote(quote.source, quote.text))
            except QuoteNotSeen:
                continue  # counted, and named, by who asked
        return tuple(found)

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
