"""Which files of a code base are read, and how: by name, and by the first line of a script without an ending."""

from __future__ import annotations

import re

from msgspec import Struct

from concertino.code.languages import BY_ENDING, BY_NAME, NAMED, OTHERS, PROSE, SHEBANGS, Language
from concertino.retrieval.tree import File

MOST_DATA_BYTES = 128 * 1024
"""Of a JSON, YAML, XML or SQL file: a larger one is data, not configuration."""

_DATA = frozenset({"json", "yaml", "xml", "sql"})
_SHEBANG = re.compile(r"#!\s*\S*?/?(?:env\s+(?:-S\s+)?)?([a-z]+)[\d.]*(?:\s|$)")
_PROSE_NAME = re.compile(r"[A-Z][A-Z_-]+")


class Reading(Struct, frozen=True):
    """How a file is read: by its structure, as prose, or (neither) by blocks of lines."""

    language: str = ""
    structure: Language | None = None
    prose: bool = False


def reading_of(path: str, start: str) -> Reading | None:
    """How ``path``, whose text begins with ``start``, is read; None if not at all."""
    name = path.rpartition("/")[2]
    lower = name.lower()
    stem = lower.partition(".")[0] if lower.startswith(("dockerfile.", "makefile.")) else lower
    if language := NAMED.get(stem):
        return Reading(language)
    ending = _ending(lower)
    if structure := BY_ENDING.get(ending):
        return Reading(structure.name, structure)
    if ending in PROSE:
        return Reading(prose=True)
    if ending:
        return Reading(OTHERS[ending]) if ending in OTHERS else None
    if program := _SHEBANG.match(start):
        language = SHEBANGS.get(program[1], program[1])
        return Reading(language, BY_NAME.get(language))
    return Reading(prose=True) if _PROSE_NAME.fullmatch(name) else None


def is_wanted(path: str) -> bool:
    """Whether a file of this name may be read: those without an ending may turn out to be scripts."""
    name = path.rpartition("/")[2]
    return not _ending(name.lower()) or reading_of(path, "") is not None


def is_promising(path: str) -> bool:
    """Whether its name alone says that it is text."""
    return reading_of(path, "") is not None


def is_data(file: File) -> bool:
    """Whether it is too large to be configuration."""
    reading = reading_of(file.path, "")
    return reading is not None and reading.language in _DATA and file.size > MOST_DATA_BYTES


def _ending(name: str) -> str:
    return name[name.rindex(".") :] if "." in name[1:] else ""
