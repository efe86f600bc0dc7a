"""What a whole file is about: the page's title and opening words, a module's docstring, and the names below it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from concertino.contracts.messages import Passage

_OPENING = 400
_OUTLINE = 4000
_READ = 2000
"""Characters."""
_DOCSTRING = re.compile(r'\s*(?:#[^\n]*\n\s*)*[rRuUbB]{0,2}("""|\'\'\')(.*?)(\1|$)', re.DOTALL)
_COMMENT = re.compile(r"\s*(?:/\*+(.*?)\*/|((?:(?://|#|--)[^\n]*\n)+))", re.DOTALL)
_LEGAL = re.compile(r"copyright|licen[sc]e|SPDX|coding[:=]|all rights reserved", re.IGNORECASE)
_DIRECTIVE = re.compile(r"^(\.\. [\w-]+::.*|\.\. _.*|\s+:[\w-]+:.*|[^\w\s]{3,}\s*|---\s*|\w+: .*)$", re.MULTILINE)


class About(Struct, frozen=True):
    """``opening``: what the file says first of itself. ``outline``: the names of everything in it."""

    opening: str
    outline: str


def about(passages: Sequence[Passage]) -> About:
    """What the file of these passages (in order) is about."""
    if not passages:
        return About("", "")
    first = passages[0]
    title = "" if first.language else first.title.partition(" > ")[0]
    head = first.text[:_READ]
    opening = _documentation(head) if first.language else _DIRECTIVE.sub("", head)
    names = dict.fromkeys(part for p in passages for part in p.title.split(" > "))
    return About(f"{title} {opening[:_OPENING]}".strip(), " ".join(names)[:_OUTLINE])


def _documentation(code: str) -> str:
    if match := _DOCSTRING.match(code):
        return match[2].strip()
    comment = _COMMENT.match(code)
    text = (comment[1] or comment[2] or "") if comment else ""
    return "" if _LEGAL.search(text) else text
