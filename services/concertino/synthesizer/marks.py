"""Marks: ``[3]`` in a text cites exhibit 3. What cites nothing that was checked does not stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from concertino.contracts.messages import Citation
from concertino.model.port import Exhibit

_PIECE = re.compile(r"(?P<code>(?<![`\\])(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))|(?P<space> ?)(?<!\\)\[(?P<id>\d{1,4})\]")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,})")


def cited(text: str, exhibits: Sequence[Exhibit]) -> tuple[str, tuple[Citation, ...]]:
    """``text`` without marks that name no exhibit, and a citation for each that it names, in the order of the text.

    ``[1]`` in code, inline or fenced, is the code's own and stays as it is; so does ``\\[1]``.
    """
    by_id = {exhibit.id: exhibit.evidence for exhibit in exhibits}
    order: dict[str, None] = {}

    def keep(piece: re.Match[str]) -> str:
        if piece["code"]:
            return piece[0]
        if piece["id"] not in by_id:
            return ""
        order.setdefault(piece["id"])
        return piece[0]

    lines = [line if fenced else _PIECE.sub(keep, line) for line, fenced in _lines(text)]
    citations = tuple(
        Citation(id=id_, source=e.source, locator=e.locator, quote=e.quote, digest=e.digest)
        for id_ in order
        if (e := by_id[id_])
    )
    return "\n".join(lines), citations


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of ``text``, and whether each belongs to a fenced block. A fence ends at one as long as it, or longer."""
    open_ = ""
    for line in text.split("\n"):
        if open_:
            yield line, True
            closing = line.strip()
            if len(closing) >= len(open_) and set(closing) == {open_[0]}:
                open_ = ""
        elif fence := _FENCE.match(line):
            open_ = fence["fence"]
            yield line, True
        else:
            yield line, False
