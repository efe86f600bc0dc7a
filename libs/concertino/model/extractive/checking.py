"""Objectives that ask for what a check finds: recognised by the check's own words, and answered by what it observes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from concertino.contracts.errors import Refused
from concertino.model.extractive.query import VAGUE
from concertino.model.observation import Checked, Observation
from concertino.model.port import Claim, Findings, Quote, Tools, ToolSpec
from concertino.retrieval.tokens import content_terms, stem

QUALITY = 0.9
"""Of a source on what stands in it."""
NOTHING_FOUND = "nothing found"

_CLAUSE = re.compile(r"[,;:!?()\n]|\.(?=\s|$)|\s[-–—]\s")
_SENTENCE = re.compile(r"[!?\n]|\.(?=\s|$)")
_ASKS_HOW = re.compile(
    r"^\W*(?:how|where|why|when|who|does|do|did|can|could|should|explain|describe|compare|what)\b", re.IGNORECASE
)
_ASKS_FOR = re.compile(
    r"\b(?:audit\w*|check\w*|scan\w*|inspect\w*|review\w*|find|list|identify|detect\w*|look(?:ing)? for|search(?:ing)? for"
    r"|report|name|flag|which|are there|is there|any)\b",
    re.IGNORECASE,
)
_AUDITS = re.compile(
    r"^\W*(?:please\s+)?(?:audit|(?:do|run|make|perform)\s+an?\s+(?:\w+\s+)?audit)\b(?!\s+(?:logs?|trails?|events?)\b)",
    re.IGNORECASE,
)
_WHERE = re.compile(r"\b(?:where|how|why|when)\b", re.IGNORECASE)
_MOST_BESIDE = 3
"""Words that may stand beside what is asked for in one word: "secrets" is a topic in a list, and not in a long sentence."""
_ASKING = frozenset(
    stem(word)
    for word in ("audit", "check", "scan", "inspect", "review", "find", "list", "identify", "detect", "look", "search", "name")
)


def wanted(objective: str, specs: Sequence[ToolSpec]) -> list[str]:
    """The checks that ``objective`` asks for, in the order of the tools; every one where it asks for an audit of nothing named.

    What a check finds is listed in the first sentence of its description. A question about how something is done asks for
    no check, whatever its words are.
    """
    checks = [spec for spec in specs if spec.checks]
    audits = _AUDITS.search(objective) is not None
    if not checks or not (audits or (_ASKS_FOR.search(objective) and not _ASKS_HOW.search(objective))):
        return []
    clauses = [clause for clause in _CLAUSE.split(objective) if clause.strip()]
    # Who lists what to audit may put the noun before the comma, and what is wrong with it behind.
    wide = [sentence for sentence in _SENTENCE.split(objective) if sentence.strip()] if audits else []
    named = [
        spec.name
        for spec in checks
        for phrases in (_phrases(spec),)
        if any(_asks(clause, phrase) for clause in clauses for phrase in phrases)
        or any(_asks(sentence, phrase) for sentence in wide for phrase in phrases if len(phrase) > 1)
    ]
    return named or ([spec.name for spec in checks] if audits else [])


def _phrases(spec: ToolSpec) -> list[list[str]]:
    sentence = re.split(r"\.\s|\.$", spec.description.strip(), maxsplit=1)[0]
    listed = re.sub(r"^\s*check\s+for\s+", "", sentence, flags=re.IGNORECASE)
    return [words for phrase in re.split(r",|\bor\b|\band\b", listed) if (words := content_terms(phrase))]


def _asks(clause: str, phrase: Sequence[str]) -> bool:
    """Whether ``clause`` holds every word of ``phrase``: of one word, where hardly anything else is spoken of."""
    if _WHERE.search(clause):
        return False
    terms = set(content_terms(clause)) - _ASKING
    return set(phrase) <= terms and (len(phrase) > 1 or len(terms - VAGUE) <= _MOST_BESIDE)


async def check(names: Sequence[str], tools: Tools) -> Findings:
    """What the checks ``names`` observe, as claims; what they did not find, or did not look at, as gaps."""
    claims: list[Claim] = []
    gaps: list[str] = []
    for name in names:
        try:
            checked = await tools.call(name)
        except Refused as e:
            gaps.append(f"{name}: {e}")
            continue
        assert isinstance(checked, Checked)
        claims.extend(_claim(observation) for observation in checked.found)
        gaps.extend(f"{checked.topic}: {reason}" for reason in checked.left_out)
        if checked.looked_at and not checked.found:
            gaps.append(f"{checked.topic}: {NOTHING_FOUND}")
    return Findings(claims=tuple(claims), gaps=tuple(gaps))


def _claim(observation: Observation) -> Claim:
    return Claim(
        claim=observation.claim,
        quotes=tuple(Quote(p.source, p.text, p.root) for p in observation.passages),
        quality=QUALITY,
        confidence=observation.confidence,
        severity=observation.severity,
        topic=observation.topic,
        advice=observation.advice,
    )
