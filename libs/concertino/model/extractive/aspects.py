"""The aspects of a request: the questions in it that can be worked on apart. Splits only where the language says so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from concertino.model.extractive.protect import Protected, protect
from concertino.model.extractive.query import VAGUE
from concertino.retrieval.tokens import content_terms

LONGEST = 4000
"""Characters of an aspect; of more, as of a log that was pasted in, the beginning and the end are kept."""

_ASKING = (
    r"(?:how|what|where|why|when|which|who|whose|does|do|did|is|are|was|were|can|could|should|will|would|list|explain|describe"
    r"|compare|find|show|tell|give|summari[sz]e|identify|check|outline|name|count|verify|determine)"
)
_TOLD = (
    r"(?:get|look (?:up|for|into)|work out|search|extract|trace|review|audit|analy[sz]e|assess|evaluate|survey|collect|examine"
    r"|investigate|(?:see|say) (?:how|what|where|why|when|which|who|whose|whether|if))"
)
"""Verbs that ask too, and stand too often in the middle of a question for it to be taken apart before them."""
_ASKS = re.compile(rf"^(?:{_ASKING}|{_TOLD})\b|[?？]$", re.IGNORECASE)
_ASKS_OF_EACH = re.compile(rf"^for each\b[^,.?]{{0,40}}?,?\s+(?:{_ASKING}|{_TOLD})\b", re.IGNORECASE)
_IN_ENGLISH = re.compile(rf"^{_ASKING}\b", re.IGNORECASE)
_PARAGRAPH = re.compile(r"\n\s*\n")
_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)]|\(?[a-h][.)])\s+")
_SENTENCE = re.compile(rf"(?<=[?？])\s*(?=\S)|(?<=[!.;])\s+(?=[A-Z0-9\"'(])|;\s+(?={_ASKING}\b)")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|etc|cf|ca|approx|incl|resp|no)\.", re.IGNORECASE)
_CONJUNCTION = re.compile(
    rf"\s*[,;]?\s+and\s+(?:also\s+)?(?={_ASKING}\b)|,\s+(?=(?:how|what|why)\s+(?!much\b|many\b|long\b|if\b))", re.IGNORECASE
)
_THEN = re.compile(
    r"\s*(?:[,;]\s*(?:and\s+)?then|[,;]?\s*\band\s+(?:then|based on (?:that|this|it)|from there))\b[,\s]+", re.IGNORECASE
)
_FIRST = re.compile(
    r"^(?:and|also|so|first(?:ly)?|first of all|to begin with|second(?:ly)?|third(?:ly)?|please)\b[,:\s]*", re.IGNORECASE
)
_AFTER = re.compile(
    r"^(?:then|next|finally|lastly|after that|afterwards|based on (?:that|this|it)|with that|from there)\b[,:\s]*",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|he|she|the (?:former|latter|same|other|result)|the (?:first|second|other) one|if so)\b"
    r"|\bwhich (?:one|of|would|should|do)\b|^what would\b"
    r"|\b(?:this|these|those)\b(?!\s+(?:project|repo|repository|code|codebase|library|package|document|documentation|version)\b)"
    r"|\b(?:do|does|did|is|of|for|with|about|after|before|like|than|why|how|when|where|what)\s+that\b|\bthat\W*$",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\b(?:compar(?:e[ds]?|ing|isons?)|differ(?:s|ences?)?|versus|vs|better|trade-?offs?|which of (?:the|these|those))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w{2,}")
_COUNTS = {
    "one",
    "two",
    "three",
    "four",
    "five",
    "sever",
    "thing",
    "question",
    "follow",
    "need",
    "want",
    "thank",
    "hello",
    "hi",
}


class Aspect(Struct, frozen=True):
    """One question of the request. ``after`` says that it builds on the one before."""

    text: str
    after: bool = False


def aspects(request: str) -> list[Aspect]:
    """The questions in ``request``, in order. One, the request itself, unless it plainly holds several.

    A part that points back ("and how does it stop?") cannot be understood alone and stays with what it points to. What does not
    ask, such as an introduction or a block of code, is context of every question.
    """
    protected = protect(request)
    found: list[Aspect] = []
    context: list[str] = []
    for clause, after in _clauses(protected.text):
        if not _ASKS.search(clause) and not (after and _ASKS_OF_EACH.search(clause)):
            context.append(clause)
        elif found and not after and _is_unclear_alone(clause):
            found[-1] = Aspect(f"{found[-1].text} {clause}", found[-1].after)
        elif found and after and _POINTS_BACK.search(clause):
            found.append(Aspect(f"{clause} ({found[-1].text})", after=True))
        else:
            found.append(Aspect(clause, after and bool(found)))
    if len(found) < 2:
        return [whole(request)]
    said = " ".join(text for text in context if _says_something(text))
    return [Aspect(_fit(_restored(a.text, said, protected)), a.after) for a in found]


def compares(request: str) -> bool:
    """Whether ``request`` sets things side by side."""
    return bool(_COMPARES.search(request))


def whole(request: str) -> Aspect:
    """The request as one aspect, whatever it holds."""
    return Aspect(_fit(" ".join(request.split())))


def _restored(text: str, context: str, protected: Protected) -> str:
    return " ".join(protected.restore(f"{text} ({context})" if context else text).split())


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """The clauses of ``text``, and whether each is to follow on the one before."""
    for sentence in _sentences(text):
        for i, part in enumerate(_THEN.split(sentence)):
            for j, piece in enumerate(_CONJUNCTION.split(part)):
                clause = _FIRST.sub("", piece.strip(" ,;"))
                after = bool(_AFTER.match(clause)) or (i > 0 and j == 0)
                clause = _AFTER.sub("", clause).strip(" ,;")
                if clause:
                    yield clause, after


def _sentences(text: str) -> Iterator[str]:
    for paragraph in _PARAGRAPH.split(text):
        for line in _lines(paragraph.split("\n")):
            ends = [m.end() for m in _ABBREVIATION.finditer(line)]
            start = 0
            for cut in _SENTENCE.finditer(line):
                if cut.start() not in ends:
                    yield line[start : cut.start()]
                    start = cut.end()
            yield line[start:]


def _lines(lines: Sequence[str]) -> list[str]:
    """What belongs together: wrapped lines are one; items of a list stand apart, each with the introduction if it needs it."""
    stripped = [line.strip() for line in lines if line.strip()]
    if len(stripped) > 1 and all(_IN_ENGLISH.match(line) for line in stripped):
        return stripped
    joined: list[str] = []
    items: list[int] = []
    for line in stripped:
        if _ITEM.match(line):
            items.append(len(joined))
            joined.append(_ITEM.sub("", line))
        elif joined:
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    intro = joined[0] if items and items[0] == 1 else ""
    if intro.endswith(":") and len(items) > 1 and not any(_ASKS.search(joined[i]) for i in items):
        if _COMPARES.search(intro):
            return [" ".join(joined)]
        return [f"{intro} {joined[i]}" for i in items]
    return joined


def _is_unclear_alone(clause: str) -> bool:
    """Other languages than English point back in ways that are not known here: their short questions stay together."""
    least = 4 if _IN_ENGLISH.match(clause) else 5
    return bool(_POINTS_BACK.search(clause)) or len(_WORD.findall(clause)) < least


def _says_something(text: str) -> bool:
    return not set(content_terms(text)) <= VAGUE | _COUNTS


def _fit(text: str) -> str:
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]} … {text[-half:]}"
