"""Where something is defined, by its name: first what the index knows by title, then every file that mentions it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

from msgspec import Struct

from concertino.code.base import Base
from concertino.code.kinds import reading_of
from concertino.code.pieces import LONGEST_LINE
from concertino.code.syntax import Symbol, Syntax
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage
from concertino.retrieval.roles import role_of

MOST_SECONDS = 5.0
_MOST_LINES = 80
_MOST_TITLES = 200
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


class Outline(Struct, frozen=True):
    """What a file defines, in its order. ``symbols`` have qualified names, kinds, and lines counted from 1."""

    source: str
    language: str
    symbols: tuple[Symbol, ...]


def outline(path: str, text: str) -> Outline:
    """The symbols of one file. :class:`Invalid` where its language has no structure that we read."""
    reading = reading_of(path, text[:200])
    if reading is None or reading.structure is None:
        raise Invalid(f"{path!r} is in no language with an outline: use read or search on it")
    return Outline(path, reading.language, tuple(Syntax(reading.structure, text).symbols))


def find(base: Base, name: str, limit: int) -> list[Passage]:
    """Passages that define ``name``: exactly, then apart from case and underscores, then as part of a longer name."""
    wanted = name.strip().removesuffix("()")
    if not _folded(wanted):
        raise Invalid(f"{name!r} is no name: give an identifier, as max_retries or Retry.sleep")
    known = _of_index(base, wanted)
    if not known or known[0][0] > _APART_FROM_CASE:
        known = _best([*known, *_of_files(base, wanted)])
    return [passage for _, passage in known[:limit]]


_EXACT, _APART_FROM_CASE, _PART = range(3)


def _of_index(base: Base, wanted: str) -> list[tuple[int, Passage]]:
    hits = base.index.search(wanted, _MOST_TITLES).hits
    return _best((_likeness(hit.passage.title.split(", "), wanted), hit.passage) for hit in hits if hit.passage.language)


def _of_files(base: Base, wanted: str) -> Iterator[tuple[int | None, Passage]]:
    """Also what no title names: attributes, nested functions, constants among many."""
    mention = re.compile("_?".join(re.escape(part) for part in _PARTS.findall(_last(wanted))), re.IGNORECASE)
    until = time.monotonic() + MOST_SECONDS
    for path, text in base.texts():
        if time.monotonic() > until:
            return
        reading = reading_of(path, text[:200])
        if reading is None or reading.structure is None or not mention.search(text):
            continue
        lines = text.split("\n")
        for symbol in Syntax(reading.structure, text).symbols:
            likeness = _likeness([symbol.name], wanted)
            if likeness is not None and (passage := _passage(path, lines, symbol, reading.language)):
                yield likeness, passage


def _best(rated: Iterable[tuple[int | None, Passage]]) -> list[tuple[int, Passage]]:
    """Best likeness first, tests last among equals, each place once."""
    places: dict[tuple[str, int], tuple[int, Passage]] = {}
    for likeness, passage in rated:
        if likeness is not None and passage.locator.lines is not None:
            places.setdefault((passage.source, passage.locator.lines[0]), (likeness, passage))
    return sorted(places.values(), key=lambda r: (r[0], r[1].role != "definition", len(r[1].title)))


def _likeness(names: Iterable[str], wanted: str) -> int | None:
    found = [likeness for name in names if (likeness := _alike(name, wanted)) is not None]
    return min(found, default=None)


def _alike(name: str, wanted: str) -> int | None:
    """How ``wanted`` matches the end of a qualified name."""
    if name == wanted or name.endswith(f".{wanted}"):
        return _EXACT
    folded, sought = _folded(name), _folded(wanted)
    if folded == sought or folded.endswith(f".{sought}"):
        return _APART_FROM_CASE
    return _PART if _last(sought) in _last(folded) and (("." not in sought) or sought in folded) else None


def _folded(name: str) -> str:
    return re.sub(r"[^\w.]|_", "", name).casefold().strip(".")


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _passage(path: str, lines: list[str], symbol: Symbol, language: str) -> Passage | None:
    first, last = symbol.lines[0], min(symbol.lines[1], symbol.lines[0] + _MOST_LINES - 1)
    shown = lines[first - 1 : last]
    if any(len(line) > LONGEST_LINE for line in shown):
        return None
    role = role_of(path)
    return Passage(
        source=path,
        text="\n".join(shown),
        locator=Locator(lines=(first, last)),
        title=symbol.name,
        role="definition" if role == "text" else role,
        language=language,
    )
