"""The pieces that a quote is made of: sentences of prose, lines of code and of everything else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from concertino.contracts.messages import Passage
from concertino.model.extractive.imports import imports
from concertino.retrieval.headings import OBJECT_LEVEL, headings

_SENTENCE_END = re.compile(r"(?<=[.!?:])[\"'”’)\]`*]*\s+(?=[\"'“‘(\[`*:]*[A-Z0-9])")
_ABBREVIATED = re.compile(r"\b(e\.g|i\.e|etc|vs|cf|no|approx|\d)\.$", re.IGNORECASE)
_LITERAL = re.compile(r"\s{3,}\S|\t|[`~:]{3,}|\.\. |[-*+|>#] |\d+[.)] |:\w[\w -]*:(?!`)|@|<")
_MARK = re.compile(
    r"\s*(\.\. (version(added|changed)|module|currentmodule|deprecated|index|highlight|image|figure|toctree|_[^:]+)::?"
    r"|[_*]*(new|changed|added|deprecated|available) (in|since)( version)? v?\d[\d.]*[_*.:]*\s*$"
    r"|:[\w -]+:(\s|$)|`{3,}|~{3,}|:{3,}|\{eval-rst\}|<!--|\[//\]: |[^\w\s]{3,}\s*$)",
    re.IGNORECASE,
)
_LEANING = re.compile(
    r"(it|its|this|that|these|those|they|he|she|then|so|but|however|also|otherwise|instead|and|thus|therefore)\b", re.I
)
_OPEN = re.compile(r"[(\[{,\\]$|^(@|async def |def |class |func |fn |function )(?!.*[:;{]$)")
_WORDS = re.compile(r"(?:[#/*]+ ?)?[\"'`:(-]*[A-Za-z`][^=(){};]*$|\S+ \S+ \S+ \S+")
_CLOSED = re.compile(r"([.!?:;{})]|\"\"\"|''')[\"')\]`]*$")


class Unit(Struct, frozen=True):
    """Characters ``start`` to ``end`` of the passage, about ``lines`` of it. A ``mark`` says nothing by itself."""

    start: int
    end: int
    lines: int
    mark: bool = False


def units_of(passage: Passage) -> list[Unit]:
    """The units of a passage in order, blank lines left out."""
    return list(_lines(passage.text) if passage.language else _prose(passage))


def leans(before: str, after: str) -> bool:
    """Whether the sentence ``after`` is not understood without the one ``before``."""
    return bool(_LEANING.match(after.lstrip())) or before.rstrip().endswith(":")


def goes_on(before: str, after: str) -> bool:
    """Whether two lines of code belong to one bracket, or to one sentence of a comment or docstring."""
    before, after = before.strip(), after.strip()
    if _OPEN.search(before):
        return True
    wrapped = bool(_WORDS.match(before)) and bool(_WORDS.match(after)) and not _CLOSED.search(before)
    return wrapped and (before[-1] in ",-" or not after[0].isupper())


def _lines(text: str) -> Iterator[Unit]:
    start = 0
    lines = text.split("\n")
    for line, is_import in zip(lines, imports(lines), strict=True):
        if line.strip():
            yield Unit(start, start + len(line), 1, mark=is_import)
        start += len(line) + 1


def _prose(passage: Passage) -> Iterator[Unit]:
    lines = passage.text.split("\n")
    titles = {i for h in headings(passage.source, lines) for i in range(h.start, h.end) if h.level < OBJECT_LEVEL}
    paragraph: int | None = None
    position = 0
    for i, line in enumerate([*lines, ""]):
        plain = bool(line.strip()) and i not in titles and not _LITERAL.match(line) and not _MARK.match(line)
        if paragraph is not None and not plain:
            yield from _sentences(passage.text, paragraph, position - 1)
            paragraph = None
        if plain:
            paragraph = position if paragraph is None else paragraph
        elif line.strip():
            yield Unit(position, position + len(line), 1, mark=i in titles or bool(_MARK.match(line)))
        position += len(line) + 1


def _sentences(text: str, start: int, end: int) -> Iterator[Unit]:
    for match in [*_SENTENCE_END.finditer(text, start, end), None]:
        stop = match.start() if match else end
        if match and _ABBREVIATED.search(text, max(start, stop - 8), stop):
            continue
        piece = text[start:stop]
        if piece.strip():
            yield Unit(start, stop, 1 + max(piece.count("\n"), len(piece) // 120))
        start = match.end() if match else end
