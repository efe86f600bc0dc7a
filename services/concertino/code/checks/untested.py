"""Code that no test speaks of: none at all, or modules whose names and definitions stand in no test."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from concertino.code.base import Base
from concertino.code.checks.shape import part_of, passage, several
from concertino.code.installed import Distribution
from concertino.code.kinds import reading_of
from concertino.code.languages import Language
from concertino.code.syntax import Syntax
from concertino.contracts.messages import Severity
from concertino.model.observation import Checked, Observation

TOPIC = "tests"

_LEAST_LINES = 20
"""A smaller module, blank lines apart, need not have a test of its own."""
_LEAST_NAME = 4
_NAMED = 3
_WORD = re.compile(r"\w+")
_DEFINES = re.compile(
    r"^[ \t]*(?:export |pub |public |async |static |abstract )*(?:def|class|func|fn|function|interface|struct)\b", re.M
)
_INLINE = {"rust": re.compile(r"#\[(?:\w+::)?test\]")}
"""Tests that stand beside what they test."""


class Module(Struct, frozen=True):
    """A file of the project's own that defines something. ``first``: the line of its first definition."""

    path: str
    size: int
    first: int
    language: Language


def check(base: Base) -> Checked:
    """Every file with a structure that is read."""
    modules: list[Module] = []
    words: set[str] = set()
    tests = 0
    for path, text in base.texts():
        reading = reading_of(path, text[:200])
        if reading is None or reading.structure is None or path.endswith(".pyi"):
            continue
        part = part_of(path)
        inline = _INLINE.get(reading.language)
        if part == "test" or (inline and inline.search(text)):
            tests += 1
            words.update(_WORD.findall(text))
        elif part == "own":
            modules.extend(_module(path, text, reading.structure))
    modules.sort(key=lambda module: (-module.size, module.path))
    looked_at = f"{several(len(modules), 'module')}, {several(tests, 'file')} of tests"
    if not modules:
        return Checked(TOPIC, (), "", ("there is no module of code to test",))
    found = _without(base, modules) if not tests else _unmentioned(base, modules, words)
    return Checked(TOPIC, tuple(found), looked_at, ("no test was run",))


def _module(path: str, text: str, language: Language) -> Iterator[Module]:
    defines = _DEFINES.search(text)
    size = sum(1 for line in text.split("\n") if line.strip())
    if defines and size >= _LEAST_LINES:
        yield Module(path, size, text.count("\n", 0, defines.end()) + 1, language)


def _without(base: Base, modules: list[Module]) -> Iterator[Observation]:
    lines = sum(module.size for module in modules)
    said = f"No test is here for {several(len(modules), 'module')} of {several(lines, 'line')}"
    yield _observation(base, modules, said, "medium" if lines >= 200 else "low", 0.9)


def _unmentioned(base: Base, modules: list[Module], words: set[str]) -> Iterator[Observation]:
    untested = [module for module in modules if not _is_mentioned(base, module, words)]
    if untested:
        said = f"No test that is here speaks of {len(untested)} of {several(len(modules), 'module')}"
        mostly = len(untested) * 2 > len(modules) and len(modules) > 3
        yield _observation(base, untested, said, "medium" if mostly else "low", 0.6)


def _observation(base: Base, modules: list[Module], said: str, severity: Severity, confidence: float) -> Observation:
    installed = isinstance(base.tree, Distribution)
    largest = ", ".join(f"`{module.path}`" for module in modules[:_NAMED])
    return Observation(
        topic=TOPIC,
        claim=f"{said}{'; the largest are ' if len(modules) > _NAMED else ': '}{largest}.",
        severity="info" if installed else severity,
        confidence=confidence,
        passages=tuple(passage(base, m.path, base.text(m.path).split("\n"), m.first) for m in modules[:_NAMED]),
        advice="Packages are rarely installed with their tests: look for them in the project's repository."
        if installed
        else f"Begin with `{modules[0].path}`, the largest.",
    )


def _is_mentioned(base: Base, module: Module, words: set[str]) -> bool:
    """By its own name, or by one of those that it defines."""
    *folders, name = module.path.split("/")
    stem = name.partition(".")[0]
    stem = folders[-1] if stem in ("__init__", "index", "mod", "lib") and folders else stem
    if stem in words or stem.lstrip("_") in words:
        return True
    symbols = Syntax(module.language, base.text(module.path)).symbols
    return any(s.parent < 0 and len(s.name) >= _LEAST_NAME and s.name.rpartition(".")[2] in words for s in symbols)
