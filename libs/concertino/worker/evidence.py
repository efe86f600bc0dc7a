"""Nothing is claimed that was not seen: what a worker reads is remembered, and only that can be quoted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

from msgspec import structs

from concertino.bus.port import Bus
from concertino.contracts.errors import QuoteNotSeen
from concertino.contracts.messages import Evidence, Finding, Locator, Passage
from concertino.masking import without_known
from concertino.model.port import Claim, Findings, Quote
from concertino.worker.door import cleaned

_NAMED = 80
"""Characters that an error repeats of a name or a quote."""


class EvidenceLog:
    """The passages that were seen while one piece of work of ``kind`` was done."""

    def __init__(self, bus: Bus, kind: str) -> None:
        self._bus, self._kind = bus, kind
        self._seen: dict[str, dict[tuple[str, str], Passage]] = {}
        self._cited: dict[str, str] = {}

    def saw(self, passage: Passage) -> None:
        """Remember ``passage``. Tools that return passages need not call this: their toolbox does.

        It is remembered, quoted and kept without what looks like a secret in it.
        """
        self.admit(cleaned(passage))

    def admit(self, passage: Passage) -> None:
        """The same for what is clean already."""
        self._seen.setdefault(passage.source, {}).setdefault((passage.root, passage.text), passage)

    def quote(self, source: str, text: str, root: str = "") -> Evidence:
        """Evidence for the literal ``text``. Raises :class:`QuoteNotSeen` if it stands in nothing seen of ``source``.

        Line ends and empty lines around it do not matter. Where it stands more than once, the first place counts; ``root``
        says which of several sources is meant.
        """
        found = next(self._places(source, text, root), None)
        if found is None:
            raise QuoteNotSeen(self._not_seen(source, text, root))
        passage, start, quote = found
        # Something in it may have turned out to be secret since it was seen: beside its name, elsewhere.
        if (kept := without_known(passage.text)) is not passage.text:
            quote = without_known(quote)
            start = kept.find(quote)
            passage = structs.replace(passage, text=kept)
        if start < 0:
            raise QuoteNotSeen(self._not_seen(source, quote, root))
        return self._cite(passage, start, quote)

    def _places(self, source: str, text: str, root: str) -> Iterator[tuple[Passage, int, str]]:
        """Each passage in which ``text`` stands, where it begins, and how it stands there."""
        literal = cleaned(text.strip("\r\n"))
        for quote in dict.fromkeys((literal, literal.replace("\r\n", "\n"), re.sub("\r?\n", "\r\n", literal))):
            for passage in self._seen.get(source, {}).values():
                start = passage.text.find(quote) if quote.strip() and root in {"", passage.root} else -1
                if start >= 0:
                    yield passage, start, quote

    def _not_seen(self, source: str, text: str, root: str) -> str:
        within = f" in {_named(root)}" if root else ""
        return (
            f"nothing that was read of {_named(source)}{within} contains {_named(text.strip())}: quote word for word what "
            "a tool returned, or what evidence.saw() was told"
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
            root=passage.root,
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
                Finding(
                    claim=claim.claim,
                    evidence=evidence,
                    quality=claim.quality,
                    confidence=claim.confidence,
                    severity=claim.severity,
                    topic=claim.topic,
                    advice=claim.advice,
                )
            )
        return tuple(grounded), tuple(dropped)

    def problems(self, findings: Findings) -> list[str]:
        """Every quote that stands in nothing that was read, or in several sources where it does not say which, in words for
        whoever quoted it."""
        return [problem for claim in findings.claims for quote in claim.quotes if (problem := self._problem(quote))]

    def _problem(self, quote: Quote) -> str:
        roots = list(dict.fromkeys(passage.root for passage, _, _ in self._places(quote.source, quote.text, quote.root)))
        if not roots:
            return self._not_seen(quote.source, quote.text, quote.root)
        if len(roots) > 1 and not quote.root:
            return (
                f"{_named(quote.text.strip())} stands in {_named(quote.source)} of several sources: say which is meant, by its "
                f"root: {', '.join(map(_named, roots))}"
            )
        return ""

    def _evidence(self, claim: Claim) -> tuple[Evidence, ...]:
        found: list[Evidence] = []
        for quote in claim.quotes:
            try:
                found.append(self.quote(quote.source, quote.text, quote.root))
            except QuoteNotSeen:
                continue  # counted, and named, by who asked
        return tuple(found)

    async def keep(self) -> None:
        """Store every passage that was quoted, under its digest. To be done before the result is written."""
        for text in self._cited.values():
            await self._bus.put_blob(self._kind, text.encode())


def _locate(passage: Passage, start: int, quote: str) -> Locator:
    """The quote's own lines where the passage has lines; else wherever the passage is."""
    if passage.locator.lines is None:
        return passage.locator
    first = passage.locator.lines[0] + passage.text.count("\n", 0, start)
    return structs.replace(passage.locator, lines=(first, first + quote.count("\n")))


def _named(text: str) -> str:
    """What a model wrote, for a message to it: one line, and never long."""
    return json.dumps(text if len(text) <= _NAMED else f"{text[:_NAMED]} …", ensure_ascii=False)
