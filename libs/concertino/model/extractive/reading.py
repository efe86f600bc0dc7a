"""A passage as terms, read once for all that is asked of it."""

from __future__ import annotations

import re

from msgspec import Struct

from concertino.contracts.messages import Passage
from concertino.model.extractive.imports import imports
from concertino.retrieval.tokens import terms

MOST_CHARACTERS = 20_000
"""Of a passage. What does not fit is a line of data, and judging it would take longer than it is worth."""
_COMMENT = re.compile(r"^\s*(#|//|/\*|\*|--|;;|%)")
_QUOTES = re.compile(r'"""|\'\'\'')


class Reading(Struct, frozen=True):
    """``about`` is what the whole file says first of itself.

    ``lines`` are the terms of the text, and whether they stand in documentation: docstrings, comments, prose.
    """

    passage: Passage
    title: tuple[str, ...]
    path: tuple[str, ...]
    about: tuple[str, ...]
    lines: tuple[tuple[tuple[str, ...], bool], ...]


def read(passage: Passage, about: str = "") -> Reading:
    """The terms of ``passage``, and of what its file says ``about`` itself. Prose is one line, as its line ends mean
    nothing; imports are left out.
    """
    text = passage.text[:MOST_CHARACTERS]
    if not passage.language:
        lines = [(text, True)]
    else:
        lines = []
        quoted = False
        code = text.split("\n")
        for line, is_import in zip(code, imports(code), strict=True):
            marks = len(_QUOTES.findall(line))
            if not is_import:
                lines.append((line, quoted or marks > 0 or bool(_COMMENT.match(line))))
            quoted ^= marks % 2 == 1
    return Reading(
        passage,
        tuple(terms(passage.title)),
        tuple(terms(passage.source)),
        tuple(terms(about)),
        tuple((tuple(terms(line)), is_documentation) for line, is_documentation in lines),
    )
