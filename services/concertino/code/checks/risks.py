"""Calls that let data become code, skip a check, or race: found by the shape of code, as ``risks.toml`` lists them."""

from __future__ import annotations

import re
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from ast_grep_py import SgNode, SgRoot
from msgspec import Meta, Struct

from concertino.code.base import Base
from concertino.code.checks.shape import MOST_QUOTED, listed, part_of, passage, several
from concertino.code.kinds import reading_of
from concertino.code.pieces import readable
from concertino.contracts.messages import Passage, Severity, Share
from concertino.model.observation import Checked, Observation

TOPIC = "risky calls"
MOST_SECONDS = 60.0
_MOST_LINES = 6
"""Of one call that is quoted."""
_MOST_TEXT = 4_000
"""Characters of a call that are looked at."""
_LITERAL = re.compile(r"\${1,3}[A-Z_]*|([A-Za-z_]\w*)")


class Risk(Struct, frozen=True):
    """One row of the table: its fields are explained there."""

    id: str
    language: str
    patterns: Annotated[tuple[str, ...], Meta(min_length=1)]
    severity: Severity
    confidence: Share
    what: str
    advice: str
    must: str = ""
    unless: str = ""
    file: str = ""

    def is_in(self, text: str) -> bool:
        """Whether ``text`` holds the words of any pattern: cheap, and nearly always false."""
        return any(all(word in text for word in words) for words in _words(self.patterns)) and (
            not self.file or re.search(self.file, text) is not None
        )

    def holds(self, call: str) -> bool:
        """Whether the text of a matched ``call`` is what is meant."""
        return (not self.must or re.search(self.must, call, re.DOTALL) is not None) and (
            not self.unless or re.search(self.unless, call, re.DOTALL) is None
        )


class Place(Struct, frozen=True):
    """Lines, counted from 1."""

    path: str
    first: int
    last: int


def check(base: Base, *, seconds: float = MOST_SECONDS) -> Checked:
    """Every file of the project's own in a language that the table has."""
    found: dict[str, list[Place]] = defaultdict(list)
    left_out: dict[str, None] = {}
    read = 0
    until = time.monotonic() + seconds
    for path, text in base.texts():
        reading = reading_of(path, text[:200])
        rows = _table().get(reading.language, ()) if reading else ()
        if not rows or part_of(path) in ("test", "aside"):
            continue
        if part_of(path) == "vendored":
            left_out["copies of other projects are not searched for risky calls"] = None
            continue
        if time.monotonic() > until:
            left_out[f"the search for risky calls stopped after {seconds:g} seconds"] = None
            break
        read += 1
        if wanted := [row for row in rows if row.is_in(text)]:
            root = SgRoot(readable(text), wanted[0].language).root()
            for row in wanted:
                found[row.id].extend(_places(path, root, row))
    rows_by_id = {row.id: row for rows in _table().values() for row in rows}
    observations = [_observation(base, rows_by_id[id_], places) for id_, places in found.items() if places]
    if not read:
        return Checked(TOPIC, (), "", (*left_out, "there is no code of its own in a language that is searched for risky calls"))
    left_out["whether data of others gets to these calls was not followed"] = None
    return Checked(TOPIC, tuple(observations), several(read, "file"), tuple(left_out))


def _places(path: str, root: SgNode, row: Risk) -> Iterator[Place]:
    seen: set[int] = set()
    for pattern in row.patterns:
        for node in root.find_all(pattern=pattern):
            lines = node.range()
            if lines.start.index not in seen and row.holds(node.text()[:_MOST_TEXT]):
                seen.add(lines.start.index)
                first = lines.start.line + 1
                yield Place(path, first, min(lines.end.line + 1, first + _MOST_LINES - 1))


def _observation(base: Base, row: Risk, places: Sequence[Place]) -> Observation:
    places = sorted(places, key=lambda place: (place.path, place.first))
    where = listed([f"{place.path}:{place.first}" for place in places], MOST_QUOTED)
    return Observation(
        topic=TOPIC,
        claim=f"In {several(len(places), 'place')} {row.what}: {where}.",
        severity=row.severity,
        confidence=row.confidence,
        passages=tuple(_quoted(base, place) for place in places[:MOST_QUOTED]),
        advice=row.advice,
    )


def _quoted(base: Base, place: Place) -> Passage:
    return passage(base, place.path, base.text(place.path).split("\n"), place.first, place.last)


@cache
def _table() -> Mapping[str, tuple[Risk, ...]]:
    """By language."""
    rows = tomllib.loads(Path(__file__).with_name("risks.toml").read_text("utf-8"))["risk"]
    by_language: dict[str, list[Risk]] = defaultdict(list)
    for row in msgspec.convert(rows, tuple[Risk, ...]):
        by_language[row.language].append(row)
    return {language: tuple(rows) for language, rows in by_language.items()}


@cache
def _words(patterns: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(word for word in _LITERAL.findall(pattern) if word) for pattern in patterns)
