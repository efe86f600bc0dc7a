"""Conflicts that can be seen without understanding: what is said to be the default of a named thing, and what it is set to.

Two files of code may each have a ``SLOTS`` of their own, and two examples may differ: neither is a conflict. Only what a text
calls the default is compared, with what another text calls it and with what code sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from concertino.contracts.messages import Conflict, Position
from concertino.model.extractive.markup import language
from concertino.model.port import Exhibit

_CLEARLY_BETTER = 0.2
"""Difference in quality from which on one source is said to be the better one."""
_PROSE = {"", "markdown", "rst", "html"}
_MOST = 50
"""Statements about one name that are compared."""

# Every repetition is bounded: quotes are foreign text, and what reads them must take linear time.
_VALUE = (
    r"(?P<number>-?\d{1,18}(?:\.\d{1,9})?|(?i:true|false|none|null))"
    r"(?:\s?(?P<unit>ms|s|sec|seconds?|min|minutes?|h|hours?|days?|[KMG]i?B|bytes|%))?(?![\w(\[*/+]|[.,–-]\d)"
)
_NAME = (
    r"(?:(?P<mark>[`\"'])(?P<quoted>-{0,2}[A-Za-z][\w.-]{0,60})(?P=mark)"
    r"|(?<![\w.-])(?P<bare>-{0,2}[A-Za-z][A-Za-z0-9_-]{1,60}+))"
)
_SAID = re.compile(
    rf"{_NAME}[^.\n]{{0,40}}?\b[Dd]efaults?(?:\s(?:to|is|of|value)){{0,3}}[ \t]{{0,2}}[:=]?[ \t]{{0,2}}[`\"']?{_VALUE}"
)
"""`max_retries` defaults to 3, max-retries (default: 3), ..."""
_WORDS = r"(?P<words>[A-Za-z][a-z-]{1,30}(?:[ ][a-z][a-z-]{1,30}){0,2})"
_PHRASED = (
    re.compile(
        r"\b[Dd]efault(?:[ ](?:value|setting))?(?:[ ](?:of|for)(?:[ ]the)?)?[ ]"
        rf"(?:{_NAME}|{_WORDS})[ ](?:is|are)[ ][`\"']?{_VALUE}"
    ),
    re.compile(rf"\b{_WORDS}[ ](?:defaults[ ]to|is[ ]by[ ]default|are[ ]by[ ]default)[ ][`\"']?{_VALUE}"),
    re.compile(rf"\b{_WORDS}[ ](?:is|are)[ ]{_VALUE}[ ]by[ ]default\b"),
)
"""The default timeout is 30 seconds, the default of `max_retries` is 3, the timeout is 30 seconds by default."""
_ARTICLE = re.compile(r"^(?:(?:the|a|an|its|each|every|this|that|their|our|your)\s)+", re.IGNORECASE)
_SET = re.compile(
    rf"{_NAME}[ \t]{{0,4}}(?::[ \t]?[A-Za-z_\[\]| .]{{1,40}})?[=:][ \t]{{0,4}}{_VALUE}(?=[ \t]{{0,40}}(?:[,;)\]}}#]|//|$))",
    re.MULTILINE,
)
"""max_retries = 3, max_retries: int = 3, "max_retries": 3"""
_IDENTIFIER = re.compile(r"[A-Za-z0-9][_-][A-Za-z0-9]|[a-z0-9][A-Z]")
"""What tells a name from a word, where it stands without marks: a separator inside, or a hump."""
_SEPARATOR = re.compile(r"[^a-z0-9]")
_UNITS = {"sec": "s", "second": "s", "minute": "min", "hour": "h", "day": "days"}
_NOTHING = {"null": "none"}


class _Statement(Struct, frozen=True):
    name: str
    number: str
    unit: str
    exhibit: Exhibit
    said: bool
    """In words; else it is what code sets."""

    def agrees(self, other: _Statement) -> bool:
        """Code rarely says its unit: ``timeout = 30`` is what a text calls 30 seconds."""
        return self.number == other.number and (self.unit == other.unit or not self.unit or not other.unit)

    @property
    def value(self) -> str:
        return f"{self.number} {self.unit}".strip()


def conflicts(exhibits: Sequence[Exhibit]) -> tuple[Conflict, ...]:
    """Names of which one exhibit says another default than another source does, in the order of the exhibits.

    The better source, if one is clearly better, is said to be so; else both stand.
    """
    by_name: dict[str, list[_Statement]] = {}
    for exhibit in exhibits:
        for statement in _statements(exhibit):
            by_name.setdefault(_key(statement.name), []).append(statement)
    found = (_positions(statements[:_MOST]) for statements in by_name.values())
    return tuple(_conflict(positions) for positions in found if len(positions) > 1)


def _statements(exhibit: Exhibit) -> Iterator[_Statement]:
    patterns = [(_SAID, True), *((phrased, True) for phrased in _PHRASED)]
    if language(exhibit.evidence.source) not in _PROSE:
        patterns.append((_SET, False))
    for pattern, said in patterns:
        for match in pattern.finditer(exhibit.evidence.quote):
            named = match.groupdict()
            name = named.get("quoted") or named.get("bare") or ""
            if not name:
                name = _ARTICLE.sub("", named["words"])
            elif named["bare"] and pattern not in _PHRASED and not _IDENTIFIER.search(name):
                continue
            number, unit = match["number"].casefold(), (match["unit"] or "").removesuffix("s") or match["unit"] or ""
            if re.fullmatch(r"-?\d+\.0+", number):
                number = number.split(".")[0]
            yield _Statement(name, _NOTHING.get(number, number), _UNITS.get(unit, unit), exhibit, said)


def _key(name: str) -> str:
    """What the names of one thing have in common: ``DEFAULT_TIMEOUT`` is the default of what a text calls the timeout."""
    folded = _SEPARATOR.sub("", name.casefold())
    return folded.removeprefix("default").removesuffix("default") or folded


def _positions(statements: Sequence[_Statement]) -> list[_Statement]:
    """One statement of each value that stands against another; none where nobody is contradicted."""
    positions: list[_Statement] = []
    for claim in (s for s in statements if s.said):
        others = [s for s in statements if s.exhibit.evidence.source != claim.exhibit.evidence.source]
        if any(not s.said and claim.agrees(s) for s in others):
            continue  # code bears it out: what else is set to something else is another thing of that name
        against = [s for s in others if not claim.agrees(s)]
        for statement in [claim, *against] if against else []:
            if not any(statement.agrees(position) for position in positions):
                positions.append(statement)
    return positions


def _conflict(positions: Sequence[_Statement]) -> Conflict:
    name = positions[0].name
    best, second, *_ = sorted(positions, key=lambda s: -s.exhibit.quality)
    clear = best.exhibit.quality - second.exhibit.quality >= _CLEARLY_BETTER
    why = f"{best.exhibit.evidence.source} is the more direct source" if clear else "neither source is clearly the better one"
    return Conflict(
        statement=f"The sources do not agree on `{name}`.",
        positions=tuple(
            Position(claim=f"`{name}` is {s.value} ({s.exhibit.evidence.source})", citations=(s.exhibit.id,)) for s in positions
        ),
        resolution=f"`{name}` is {best.value}" if clear else "",
        why=why,
    )
