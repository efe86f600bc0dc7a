"""Kinds of material that a question asks for by its words: a test is no answer unless tests are what it is about."""

from __future__ import annotations

import re
from collections.abc import Mapping

Asked = frozenset[str]

_WORDS: Mapping[str, re.Pattern[str]] = {
    kind: re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for kind, words in {
        "test": r"tests?|tested|testing|unit ?tests?|test ?suite|fixtures?|coverage|regressions?",
        "release": r"versions?|releases?|released|changelog|since when|changes (?:in|since|between)|what(?:'s| is) new|"
        r"upgrad\w+|deprecat\w+|removed in|no longer|backwards?.compatib\w+|announce\w*",
        "legal": r"licen[sc]\w*|copyright|legal\w*|warranty|liab\w+|patents?|sell|commercial\w*|redistribut\w+|royalt\w+",
        "project": r"contribut\w+|maintain(?:er|ers|s|ed)|authors?|roadmap|sponsor\w*|donat\w+|community|report (?:a|the) bug|"
        r"pull requests?|vulnerabilit\w+|who (?:wrote|made|writes|makes)|code of conduct|release process|internals",
        "generated": r"generated|protobuf|stubs?",
        "site": r"search box|site search|docs? site",
    }.items()
}


def asked_for(text: str) -> Asked:
    """The kinds of :data:`~concertino.model.extractive.ranking.OUT_OF_PLACE` that ``text`` asks for."""
    return frozenset(kind for kind, words in _WORDS.items() if words.search(text))
