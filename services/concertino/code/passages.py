"""Code to passages: a function is one, a class is its head and its methods, and what stands between is grouped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from concertino.code.kinds import Reading, reading_of
from concertino.code.languages import Language
from concertino.code.pieces import LONGEST_LINE, Range, cut, says_something
from concertino.code.syntax import HOLDERS, Symbol, Syntax
from concertino.contracts.messages import Locator, Passage
from concertino.retrieval import chunk
from concertino.retrieval.roles import Role, role_of

VERSION = "2"
"""Of the passages made here: an index of another version starts anew."""

MOST_LINES = 80
"""Of one definition: a longer one is cut where a statement ends."""
MOST_BETWEEN = 40
"""Lines of what stands between definitions, and of files without a structure we read, in one passage."""
_SMALL_VALUE = 3
_NAMES_IN_TITLE = 6
_MINIFIED = 300
"""Characters a line, on average: such a file is not parsed."""
_SECTION = re.compile(r"\s*\[+\s*([^\]\[]{1,80}?)\s*\]+\s*$")


def passages(path: str, text: str) -> list[Passage]:
    """The passages of one file, in order and without overlap; none where it is of no kind that is read.

    ``text`` has ``\\n`` line ends. A passage's text is literally its lines, its title the qualified name of what it defines.
    """
    reading = reading_of(path, text[:200])
    if reading is None:
        return []
    if reading.prose:
        return chunk.passages(path, text)
    lines = text.split("\n")
    if reading.structure is None or len(text) > _MINIFIED * len(lines):
        return _of_blocks(path, lines, reading)
    return _of_structure(path, lines, Syntax(reading.structure, text), reading.structure)


def _of_structure(path: str, lines: Sequence[str], syntax: Syntax, language: Language) -> list[Passage]:
    role = role_of(path)
    owners = _owners(len(lines), syntax.symbols)
    borders = syntax.borders(MOST_BETWEEN)
    named = _named(syntax.symbols)
    made: list[Passage] = []
    for owner, group in groupby(range(1, len(lines) + 1), key=lambda number: owners[number]):
        numbers = list(group)
        symbol = syntax.symbols[owner] if owner >= 0 else None
        whole = symbol is not None and symbol.kind not in HOLDERS
        for piece in cut(lines, (numbers[0], numbers[-1]), borders, MOST_LINES if whole else MOST_BETWEEN):
            if not whole and not says_something(lines, piece):
                continue
            title = symbol.name if symbol else _names(named, piece)
            made.append(_passage(path, lines, piece, title, "definition" if title and role == "text" else role, language.name))
    return made


def _owners(count: int, symbols: Sequence[Symbol]) -> list[int]:
    """For each line (from 1) the innermost symbol that is a passage of its own, by index; -1 outside of all."""
    owners = [-1] * (count + 1)
    divided = _divided(symbols)
    ends: dict[int, int] = {}
    """Of each divided symbol (-1: the file): the last line taken from it."""
    for i, symbol in enumerate(symbols):
        first, last = symbol.lines
        if not (symbol.parent < 0 or symbol.parent in divided) or first <= ends.get(symbol.parent, 0):
            divided.discard(i)
        elif symbol.kind == "constant" or (symbol.kind == "value" and last - first + 1 < _SMALL_VALUE):
            continue
        else:
            owners[first : last + 1] = [i] * (last - first + 1)
            ends[symbol.parent] = last
    return owners


def _divided(symbols: Sequence[Symbol]) -> set[int]:
    """Those whose members are passages of their own: whatever holds members, and functions too long to stay whole."""
    return {i for i, s in enumerate(symbols) if s.kind in HOLDERS or s.lines[1] - s.lines[0] >= MOST_LINES}


def _named(symbols: Sequence[Symbol]) -> dict[int, list[str]]:
    """What the file itself defines, by the line it starts on."""
    named: dict[int, list[str]] = {}
    for symbol in symbols:
        if symbol.parent < 0:
            named.setdefault(symbol.lines[0], []).append(symbol.name)
    return named


def _names(named: Mapping[int, Sequence[str]], piece: Range) -> str:
    """The names that stand for a piece between definitions: the first few that it defines."""
    names = [name for number in range(piece[0], piece[1] + 1) for name in named.get(number, ())]
    return ", ".join(names[:_NAMES_IN_TITLE])


def _of_blocks(path: str, lines: Sequence[str], reading: Reading) -> list[Passage]:
    borders = [
        i + 1
        for i, line in enumerate(lines)
        if line[:1].strip() and (i == 0 or not lines[i - 1].strip() or _SECTION.match(line[:LONGEST_LINE]))
    ]
    role = role_of(path)
    made: list[Passage] = []
    title = ""
    for piece in cut(lines, (1, len(lines)), borders, MOST_BETWEEN):
        if section := _SECTION.match(lines[piece[0] - 1]):
            title = section[1]
        if says_something(lines, piece):
            made.append(_passage(path, lines, piece, title, role, reading.language))
    return made


def _passage(path: str, lines: Sequence[str], piece: Range, title: str, role: Role, language: str) -> Passage:
    text = "\n".join(lines[piece[0] - 1 : piece[1]])
    return Passage(source=path, text=text, locator=Locator(lines=piece), title=title, role=role, language=language)
