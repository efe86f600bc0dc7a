"""What all checks have in common: where they look, whose code they leave alone, and how they say what they found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from concertino.code.base import Base
from concertino.code.pieces import LONGEST_LINE
from concertino.contracts.messages import Locator, Passage, Severity
from concertino.model.observation import Checked, Observation
from concertino.retrieval.roles import role_of

SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
"""Worst first."""
MOST_QUOTED = 4
"""Places that one observation quotes; its claim counts and names the rest."""
_MOST_CHARACTERS = 600
"""Of one quote: more than that shows no more."""
MOST_FOUND = 40
"""Observations of one kind in one source."""

_VENDORED = frozenset(
    {"_vendor", "vendor", "_vendored", "vendored", "_vendored_packages", "third_party", "thirdparty", "extern"}
)
_ASIDE = frozenset(
    {"docs", "doc", "examples", "example", "samples", "sample", "demo", "demos", "benchmarks", "bench", "scripts"}
)

Part = Literal["own", "test", "aside", "vendored"]


def part_of(path: str) -> Part:
    """Whose a file is: the project's own code, its tests, what lies beside (examples, generated code), or code of others."""
    folders = frozenset(folder.lower() for folder in path.split("/")[:-1])
    if not folders.isdisjoint(_VENDORED):
        return "vendored"
    role = role_of(path)
    if role == "test":
        return "test"
    return "aside" if role in ("example", "generated") or not folders.isdisjoint(_ASIDE) else "own"


def passage(base: Base, path: str, lines: Sequence[str], first: int, last: int = 0) -> Passage:
    """Lines ``first`` to ``last`` (0: ``first`` alone), fewer where one is too long to be shown."""
    last = last or first
    shown = lines[first - 1 : last]
    while len(shown) > 1 and len(shown[-1]) > LONGEST_LINE:
        shown = shown[:-1]
    text = "\n".join(shown)[:_MOST_CHARACTERS]
    where = Locator(lines=(first, first + text.count("\n")))
    return Passage(source=path, text=text, locator=where, root=base.name, role=role_of(path))


def python(base: Base) -> Iterator[tuple[str, str]]:
    """Path and text of every Python file."""
    return base.texts("*.py")


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first few names, and how many more there are."""
    names = list(dict.fromkeys(names))
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def several(number: int, one: str, many: str = "") -> str:
    """``1 file``, ``2 files``, ``1,000 files``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def merged(topic: str, parts: Mapping[str, Checked]) -> Checked:
    """One check of several sources, by their names: worst first. What was left out in some of them alone names these."""
    found = sorted((o for part in parts.values() for o in part.found), key=_order)
    where: dict[str, list[str]] = {}
    for name, part in parts.items():
        for reason in part.left_out:
            where.setdefault(reason, []).append(name)
    left_out = [reason if len(names) == len(parts) else f"{reason} ({', '.join(names)})" for reason, names in where.items()]
    looked_at = "; ".join(dict.fromkeys(part.looked_at for part in parts.values() if part.looked_at))
    return Checked(topic, tuple(found), looked_at, tuple(left_out))


def bounded(found: Sequence[Observation]) -> tuple[tuple[Observation, ...], tuple[str, ...]]:
    """The worst MOST_FOUND, and a word about the rest."""
    ordered = sorted(found, key=_order)
    rest = len(ordered) - MOST_FOUND
    note = (f"{several(rest, 'more finding')} of no higher severity: ask for this source alone, by path",) if rest > 0 else ()
    return tuple(ordered[:MOST_FOUND]), note


def softened(severity: Severity) -> Severity:
    """One step less: for what runs on a developer's machine only."""
    return SEVERITIES[min(SEVERITIES.index(severity) + 1, len(SEVERITIES) - 1)]


def _order(observation: Observation) -> tuple[int, float]:
    return SEVERITIES.index(observation.severity), -observation.confidence
