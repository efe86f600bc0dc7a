"""What kind of place a page comes from, and how old it is: hints for whoever weighs it, from its address and its own words."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import httpx2
import msgspec
from msgspec import Struct

Standing = Literal["primary", "documentation", "news", "aggregator", "forum", "content farm", "unknown"]

WORTH: Mapping[Standing, float] = {
    "primary": 1.0,
    "documentation": 1.0,
    "news": 0.7,
    "unknown": 0.7,
    "aggregator": 0.5,
    "forum": 0.4,
    "content farm": 0.2,
}
"""The most that a page's quality can be where nobody who thinks has judged it."""


class _Places(Struct, frozen=True):
    hosts: frozenset[str] = frozenset()
    endings: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    """First parts of a host's name, as in ``docs.example.org``."""


def standing(url: str) -> Standing:
    """As far as the address tells. A host that is listed counts before what its name looks like."""
    host = httpx2.URL(url).host.lower().rstrip(".")
    parts = host.split(".")
    above = [".".join(parts[i:]) for i in range(len(parts))]
    places = _places()
    for name in above:  # the nearest listed host
        for kind, listed in places.items():
            if name in listed.hosts:
                return kind
    for kind, listed in places.items():
        if not listed.endings.isdisjoint(above):
            return kind
    for kind, listed in places.items():
        if len(parts) > 2 and parts[0] in listed.labels:
            return kind
    return "unknown"


def age(day: str, today: date) -> str:
    """How old something of ``day`` (ISO) is, in words; empty where that is no day or lies ahead."""
    try:
        days = (today - date.fromisoformat(day[:10])).days
    except ValueError:
        return ""
    if days < 0:
        return ""
    for unit, length in (("year", 365), ("month", 30), ("day", 1)):
        if (count := days // length) >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'} old"
    return "of today"


def today(now: float) -> date:
    """The day of ``now`` (Unix seconds), in UTC."""
    return datetime.fromtimestamp(now, UTC).date()


@functools.cache
def _places() -> Mapping[Standing, _Places]:
    text = Path(__file__).with_name("standing.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[Standing, _Places])
