"""Code inside of prose, put aside while the prose is taken apart: ``and then`` in it is no conjunction."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

_CODE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t]*\1[ \t]*$|\Z)|(?<!`)`[^`\n]+`(?!`)", re.MULTILINE | re.DOTALL)
# Of the private use area, so that no text of people holds them; a letter, so that they count as a word.
_PLACE = "\ue000x{}\ue001"
_PLACES = re.compile("\ue000x(\\d+)\ue001")


class Protected(Struct, frozen=True):
    """``text`` with a place in it for each piece of code."""

    text: str
    pieces: Mapping[str, str]

    def restore(self, text: str) -> str:
        """Part of :attr:`text` with its code in it again."""
        return _PLACES.sub(lambda place: self.pieces[place[1]], text)


def protect(text: str) -> Protected:
    """``text`` with its code put aside. A fenced block stands as a paragraph of its own."""
    pieces: dict[str, str] = {}

    def put_aside(code: re.Match[str]) -> str:
        number = str(len(pieces))
        pieces[number] = code[0]
        place = _PLACE.format(number)
        return f"\n\n{place}\n\n" if code[1] else place

    return Protected(_CODE.sub(put_aside, _PLACES.sub("", text)), pieces)
