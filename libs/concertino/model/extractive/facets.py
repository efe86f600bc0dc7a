"""Facets of one question: the things or the points of view that it lists, each worth a search of its own."""

from __future__ import annotations

import re

from concertino.model.extractive.aspects import Aspect, compares

MOST = 10
"""A longer list is not a list of facets."""
LONGEST = 2000
"""Characters of a request that lists facets: in a longer one something was pasted."""
_WORDS = 15
"""Of one facet, at the most."""
_SHORT = 3
"""Words of each facet where ``and`` alone may stand before the last."""
_NAMED = 4
"""Names in a list that make it one of facets where nothing is compared."""

_POINTS = re.compile(r"(?P<intro>[^:\n]{10,300}):\s+(?P<items>(?:[^:\n.!?]|[.!?](?!\s))+[.!?]?)")
_COMMA = re.compile(r",\s+(?:and\s+|or\s+)?")
_AND = re.compile(r"\s+(?:and|or)\s+")
_VERB = r"(?:(?:[Cc]ompare|[Dd]escribe|[Ff]ind|[Ll]ist|[Ss]how|[Ww]hich|[Hh]ow|[Ww]hat|[Dd]oes|[Dd]o|[Ii]s|[Aa]re)\b)"
_WORD = r"[A-Z](?:[\w.+#-]*[\w+#])?"
_NAME = rf"(?!{_VERB})(?:the\s+)?{_WORD}(?:\s+{_WORD}){{0,3}}"
_NAMES = re.compile(rf"\b{_NAME}(?:,\s+{_NAME})*,?\s+(?:and|or|vs\.?|versus)\s+{_NAME}")
_BETWEEN = re.compile(r",\s+(?:and\s+|or\s+)?|\s+(?:and|or|vs\.?|versus)\s+")


def facets(request: str) -> list[Aspect]:
    """The facets of ``request``, each put as the whole question about it alone; empty where it lists none."""
    return _things(request) or points(request)


def _things(request: str) -> list[Aspect]:
    """``Compare NATS and Kafka as ...``: names in a list. Two are enough where they are compared."""
    listed = _NAMES.search(request) if len(request) <= LONGEST else None
    if listed is None:
        return []
    names = _BETWEEN.split(listed[0])
    if not (2 if compares(request) else _NAMED) <= len(names) <= MOST:
        return []
    return [Aspect(" ".join(f"{request[: listed.start()]}{name}{request[listed.end() :]}".split())) for name in names]


def points(request: str) -> list[Aspect]:
    """``An overview of the market: vendors, pricing and licences``: what stands behind a colon."""
    found = _POINTS.fullmatch(request.strip()) if len(request) <= LONGEST else None
    if found is None:
        return []
    items = _COMMA.split(found["items"].rstrip(" .?!"))
    last = _AND.split(items[-1])
    if len(last) == 2 and all(len(part.split()) <= _SHORT for part in (*items[:-1], *last)):
        items[-1:] = last
    if not 3 <= len(items) <= MOST or any(not item or len(item.split()) > _WORDS for item in items):
        return []
    return [Aspect(f"{' '.join(found['intro'].split())}: {item}") for item in items]
