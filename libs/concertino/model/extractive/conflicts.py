"""Conflicts that can be seen without understanding: two sources give one named thing two different plain values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from concertino.contracts.messages import Conflict, Position
from concertino.model.port import Exhibit

# Every repetition is bounded: quotes are foreign text, and what reads them must take linear time.
_VALUE = (
    r"(?P<value>-?\d{1,18}(?:\.\d{1,9})?(?:\s?(?:ms|s|sec|seconds?|min|minutes?|h|hours?|days?|[KMG]i?B|bytes|%))?"
    r"|(?i:true|false|none|null))"
)
_NAME = r"(?<![\w.-])(?P<name>[A-Za-z][A-Za-z0-9_.-]{1,60})[`\"']?"
_STATEMENTS = (
    # max_retries = 3, max_retries: 3, max_retries: int = 3
    re.compile(rf"{_NAME}[ \t]{{0,4}}(?::[ \t]?[A-Za-z_\[\]| .]{{1,40}})?[=:][ \t]{{0,4}}{_VALUE}(?![\w.(\[*/+-])"),
    # `max_retries` defaults to 3, max-retries (default: 3), max_retries is 3 by default
    re.compile(
        rf"{_NAME}[^.\n]{{0,40}}?\b[Dd]efault(?:s|ed)?(?:\s(?:to|is|of|value)){{0,3}}[ \t]{{0,2}}[:=]?[ \t]{{0,2}}`?{_VALUE}\b"
    ),
)
_IDENTIFIER = re.compile(r"[A-Za-z0-9][_.-][A-Za-z0-9]|[a-z0-9][A-Z]|^[A-Z][A-Z0-9]+$")
"""What tells a name from a word: a separator inside, a hump, or capitals only."""
_SEPARATOR = re.compile(r"[^a-z0-9]")
_UNITS = {
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "null": "none",
}


def conflicts(exhibits: Sequence[Exhibit]) -> tuple[Conflict, ...]:
    """Names to which exhibits of different sources give different values, in the order of the exhibits. The better source, if
    one is clearly better, is said to be so; else both stand."""
    said: dict[str, dict[str, Exhibit]] = {}
    spelt: dict[str, str] = {}
    for exhibit in exhibits:
        for statement in _STATEMENTS:
            for match in statement.finditer(exhibit.evidence.quote):
                if not _IDENTIFIER.search(match["name"]):
                    continue
                key = _SEPARATOR.sub("", match["name"].casefold())
                spelt.setdefault(key, match["name"])
                said.setdefault(key, {}).setdefault(_normal(match["value"]), exhibit)
    return tuple(_conflict(spelt[key], values) for key, values in said.items() if _disputed(values))


def _disputed(values: dict[str, Exhibit]) -> bool:
    return len(values) > 1 and len({e.evidence.source for e in values.values()}) > 1


def _conflict(name: str, values: dict[str, Exhibit]) -> Conflict:
    ranked = sorted(values.items(), key=lambda item: -item[1].quality)
    (best_value, best), (_, second) = next(pairwise(ranked))
    clear = best.quality - second.quality >= 0.2
    return Conflict(
        statement=f"The sources do not agree on `{name}`.",
        positions=tuple(
            Position(claim=f"`{name}` is {value} ({exhibit.evidence.source})", citations=(exhibit.id,))
            for value, exhibit in values.items()
        ),
        resolution=f"`{name}` is {best_value}" if clear else "",
        why=f"{best.evidence.source} is the more direct source" if clear else "neither source is clearly the better one",
    )


def _normal(value: str) -> str:
    number, _, unit = re.sub(r"(?<=\d)\s*(?=[A-Za-z%])", " ", value.strip().casefold()).partition(" ")
    if re.fullmatch(r"-?\d+\.0+", number):
        number = number.split(".")[0]
    unit = _UNITS.get(unit, unit)
    return f"{_UNITS.get(number, number)} {unit}".strip()
