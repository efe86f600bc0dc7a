"""What a search asks for: words, and for each of them what may stand in its place.

``resume`` is one word. ``(resume^1|continue^0.8|restart^0.6)`` are alternatives, the best of which counts, each weighed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from concertino.retrieval.tokens import query_terms, terms

Wanted = Mapping[str, float]
"""Terms that all stand for one thing, and what each is worth (at most 1)."""

_ALTERNATIVES = re.compile(r"\(([^()|^\s]+\^\d+(?:\.\d+)?(?:\|[^()|^\s]+\^\d+(?:\.\d+)?)*)\)")


def alternatives(forms: Mapping[str, float], weight: float = 1.0) -> str:
    """``forms`` in the notation of a search; ``weight`` counts for all of them."""
    written = [f"{term}^{round(worth * weight, 3)}" for term, worth in forms.items()]
    return f"({'|'.join(written)})"


def wanted(query: str) -> list[Wanted]:
    """What ``query`` asks for, thing by thing: alternatives as written, and each other term by itself."""
    found = [dict(_forms(match[1].split("|"))) for match in _ALTERNATIVES.finditer(query)]
    plain = _ALTERNATIVES.sub(" ", query)
    if plain.strip():
        known = {term for forms in found for term in forms}
        found += [{term: 1.0} for term in query_terms(plain) if term not in known]
    return [forms for forms in found if forms]


def shown(query: str) -> str:
    """``query`` for people: of alternatives the first, with an ellipsis for the others."""
    return _ALTERNATIVES.sub(lambda match: match[1].partition("^")[0] + ("…" if "|" in match[1] else ""), query)


def _forms(written: Iterable[str]) -> Iterator[tuple[str, float]]:
    for form in written:
        word, _, weight = form.partition("^")
        for term in terms(word)[-1:]:
            yield term, min(float(weight), 1.0)
