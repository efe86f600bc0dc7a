"""The aspects of a request: the questions in it that can be worked on apart. Splits only where the language says so."""

from __future__ import annotations

import re

from msgspec import Struct

_ASKING = (
    r"(?:how|what|where|why|when|which|who|whose|does|do|is|are|can|could|should|will|would|list|explain|describe|compare|find)"
)
_SENTENCE = re.compile(r"(?<=[?!.;])\s+(?=[A-Z0-9`\"'(])|\n+")
_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)]|\(?[a-h][.)])\s+")
_CONJUNCTION = re.compile(rf"\s*[,;]?\s+and\s+(?:also\s+)?(?={_ASKING}\b)", re.IGNORECASE)
_THEN = re.compile(r"\s*(?:[,;]\s*(?:and\s+)?then|\band\s+then)\b[,\s]+", re.IGNORECASE)
_AFTER = re.compile(r"^(?:then|after that|afterwards|based on (?:that|this|it)|with that|from there)\b[,\s]*", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|that|those|these|this|he|she|the (?:former|latter|same|other|result))\b", re.IGNORECASE
)
_ASKS = re.compile(rf"^{_ASKING}\b|\?$", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9_]{2,}")


class Aspect(Struct, frozen=True):
    """One question of the request. ``after`` says that it builds on the one before."""

    text: str
    after: bool = False


def aspects(request: str) -> list[Aspect]:
    """The questions in ``request``, in order. One, the request itself, unless it plainly holds several.

    A part that points back ("and how does it stop?") cannot be understood alone and stays with what it points to.
    """
    found: list[Aspect] = []
    for sentence in _sentences(request):
        for i, part in enumerate(_THEN.split(sentence)):
            for j, clause in enumerate(_CONJUNCTION.split(part)):
                after = bool(_AFTER.match(clause)) or (i > 0 and j == 0)
                text = _AFTER.sub("", clause).strip(" ,;")
                if text:
                    found.append(Aspect(text, after and bool(found)))
    asked = [a for a in found if _ASKS.search(a.text)]
    whole = [Aspect(" ".join(request.split()))]
    if len(asked) < 2 or any(_alone_is_unclear(a) for a in found[1:]):
        return whole
    # What does not ask (an introduction) is context of every question.
    context = " ".join(a.text for a in found if a not in asked)
    return [Aspect(f"{a.text} ({context})" if context else a.text, a.after) for a in asked]


def _sentences(request: str) -> list[str]:
    return [cleaned for line in _SENTENCE.split(request) if (cleaned := _ITEM.sub("", line).strip())]


def _alone_is_unclear(aspect: Aspect) -> bool:
    return not aspect.after and (bool(_POINTS_BACK.search(aspect.text)) or len(_WORD.findall(aspect.text)) < 4)
