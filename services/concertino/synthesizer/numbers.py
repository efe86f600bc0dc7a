"""Figures in texts, as values that can be compared: grouped, scaled, rounded, in percent or spelt out."""

from __future__ import annotations

import re
from decimal import Context, Decimal

from msgspec import Struct

_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:[ \u00a0\u202f'’_]\d{3})+(?!\d)")
_GROUP = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_FIGURE = re.compile(r"(?<![A-Za-z_\d.,/])(?<!\d[-–:])v?(?P<digits>\d+(?:[.,]\d+)*)(?!\d|\w*_)")
_DECADE = re.compile(r"\d{3}0s\b")
_AFTER = re.compile(r"[ \u00a0-]?(?:(?P<percent>%|per ?cent\b)|(?P<scale>thousand|million|billion|bn|[kKMG])(?![A-Za-z]))")
_SCALES = {"thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9, "bn": 9, "g": 9}
_LONGEST = 12
"""Digits of what is compared as a number; longer ones are names."""
_EXACT = Context(prec=64)

_ONES = "zero one two three four five six seven eight nine ten"
_TEENS = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety hundred"
_WORDS = {
    **{word: Decimal(value) for value, word in enumerate(f"{_ONES} {_TEENS}".split())},
    **{word: Decimal(10 * tens) for tens, word in enumerate(_TENS.split(), 2)},
    "thousand": Decimal(1000),
    "half": Decimal("0.5"),
}
_WORD = re.compile(r"[a-z]+")


class Figure(Struct, frozen=True):
    """A figure as it stands in a text, and the values that it may have."""

    text: str
    values: frozenset[Decimal]
    percent: bool = False


class Known(Struct, frozen=True):
    """Every figure of some texts."""

    written: frozenset[str]
    values: frozenset[Decimal]

    def holds(self, figure: Figure) -> bool:
        """Whether ``figure`` is among them: as it is written, by its value, or rounded."""
        if figure.text in self.written or any(text.startswith(f"{figure.text}.") for text in self.written):
            return True
        wanted = figure.values | {value / 100 for value in figure.values if figure.percent}
        near = self.values | {value * 100 for value in self.values if figure.percent}
        return not wanted.isdisjoint(self.values) or any(_rounds(value, w) for w in figure.values for value in near)


def known(text: str) -> Known:
    """The figures of ``text``."""
    written: set[str] = set()
    values: set[Decimal] = set()
    for variant in dict.fromkeys((text, _joined(text))):
        for found in _DIGITS.finditer(variant):
            written.add(found[0])
            plain = _values(found[0])
            after = _AFTER.match(variant, found.end())
            values |= plain | _scaled(plain, after)
    values |= {_WORDS[word] for word in _WORD.findall(text.casefold()) if word in _WORDS}
    return Known(frozenset(written), frozenset(values))


def figures(text: str) -> list[Figure]:
    """What can be checked in ``text``: figures of two digits and more, those with a fraction, and shares."""
    found: list[Figure] = []
    text = _joined(text)
    for match in _FIGURE.finditer(text):
        after = _AFTER.match(text, match.end())
        percent = bool(after and after["percent"])
        digits = match["digits"]
        if (len(digits) > 1 or percent) and not _DECADE.match(text, match.start("digits")):
            plain = _values(digits)
            found.append(Figure(digits, frozenset(plain | _scaled(plain, after)), percent))
    return found


def _joined(text: str) -> str:
    """10 000 as 10000."""
    return _GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]), text)


def _values(digits: str) -> set[Decimal]:
    """12,000 may be twelve thousand or twelve; 1.2.3 has no value."""
    if len(digits) > _LONGEST:
        return set()
    if digits.isdigit():
        return {Decimal(digits)}
    found = {Decimal(re.sub(r"\D", "", digits))} if _GROUP.fullmatch(digits) else set()
    point = max(digits.rfind("."), digits.rfind(","))
    whole, fraction = digits[:point], digits[point + 1 :]
    if whole.isdigit() or (_GROUP.fullmatch(whole) and digits[point] not in whole):
        found.add(Decimal(f"{re.sub(r'[.,]', '', whole)}.{fraction}"))
    return found


def _scaled(values: set[Decimal], after: re.Match[str] | None) -> set[Decimal]:
    if not after or not after["scale"]:
        return set()
    return {value.scaleb(_SCALES[after["scale"].lower()]) for value in values}


def _rounds(value: Decimal, wanted: Decimal) -> bool:
    """Whether ``wanted`` is ``value`` said with fewer digits: 90 for 90.2, 2,000 for 1,987; 90 is not 93."""
    plain = f"{wanted:f}"
    exponent = -len(plain.partition(".")[2])
    if exponent == 0 and wanted:
        exponent = max(0, len(plain) - len(plain.rstrip("0")) - 1)
    return value.quantize(Decimal(1).scaleb(exponent), context=_EXACT) == wanted
