"""Sections of extracted text to passages of a readable length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from concertino.contracts.messages import Locator, Passage
from concertino.retrieval.roles import Role

MOST_CHARACTERS = 2400
"""About forty lines of prose: what one passage holds at the most, unless a single line is longer."""

SEPARATOR = " > "
"""Between the headings of a path, as in the titles of text documents."""


class Section(Struct):
    """What stands under one heading. ``fragment`` is its anchor, or empty where the format has none."""

    path: tuple[str, ...]
    fragment: str = ""
    blocks: list[str] = []
    """Paragraphs, lists, tables and code, in order."""

    @property
    def title(self) -> str:
        return SEPARATOR.join(self.path)


def passages(source: str, sections: Iterable[Section], role: Role) -> list[Passage]:
    """One or more passages a section; those without text are left out. The locator is the anchor, else the heading path."""
    return [
        Passage(
            source=source,
            text=text,
            locator=Locator(fragment=section.fragment or section.title or "top"),
            title=section.title,
            role=role,
        )
        for section in sections
        for text in pack(section.blocks)
    ]


def pack(blocks: Sequence[str]) -> Iterator[str]:
    """``blocks`` joined by blank lines into texts of at most about MOST_CHARACTERS; a longer block is cut between its lines."""
    text = ""
    for block in blocks:
        for piece in _cut(block):
            if text and len(text) + len(piece) > MOST_CHARACTERS:
                yield text
                text = piece
            else:
                text = f"{text}\n\n{piece}" if text else piece
    if text:
        yield text


def _cut(block: str) -> Iterator[str]:
    if len(block) <= MOST_CHARACTERS:
        yield block
        return
    lines: list[str] = []
    size = 0
    for line in block.split("\n"):
        if lines and size + len(line) > MOST_CHARACTERS:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    yield "\n".join(lines)
