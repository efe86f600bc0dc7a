"""How long work of each kind takes, as far as one replica has seen it, and how many second attempts that pays for."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Collection, Mapping

from concertino.contracts.errors import BadSetting
from concertino.orchestrator.core.policies.hedge import Hedging

SHARE = 0.2
"""Of the results of a kind: so many hedges there may be. Where a provider is slow, all work is, and is not to be doubled. More
than are slow on an ordinary day: else hedges are spent when a straggler comes (decision 60)."""
SAVED = 10.0
"""Hedges of a kind that may be saved up."""
ENOUGH = 20
"""Results of a kind before it is known what is slow."""
REMEMBERED = 200
SLOW = 0.85
"""Work that takes longer than this share of the latest is slow."""
LEAST = 1.0
"""Seconds: what is over sooner is never hedged. (Nor does the log tell before that it has begun.)"""

_ALL = ""


def parse(text: str) -> dict[str, float | None]:
    """What ``CTN_HEDGE`` says, by kind, and under no name for all others: seconds, None for what is to be learned; or 0: never.

    Raises :class:`BadSetting`.
    """
    found: dict[str, float | None] = {}
    for part in text.split(","):
        kind, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            kind, value = _ALL, kind
        if kind in found or (equals and not kind):
            raise BadSetting(f"CTN_HEDGE: {part.strip()!r}: give one value for all kinds, and one for each kind that differs")
        found[kind] = _seconds(value)
    return {_ALL: None, **found}


def _seconds(value: str) -> float | None:
    if value in ("auto", "off"):
        return None if value == "auto" else 0.0
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not LEAST <= seconds < float("inf"):
        raise BadSetting(
            f"CTN_HEDGE: {value[:40]!r}: use auto, off or seconds (at least {LEAST:g}), for all kinds or some: auto,web=30"
        )
    return seconds


class Stragglers:
    """``rule`` is what :func:`parse` makes of the setting."""

    def __init__(self, rule: Mapping[str, float | None]) -> None:
        self._rule = rule
        self._seen: dict[str, tuple[deque[float], list[float]]] = {}
        """By kind: the latest, as they came and in order."""
        self._saved: dict[str, float] = {}

    def saw(self, kind: str, seconds: float) -> None:
        """A result came that took ``seconds``."""
        latest, in_order = self._seen.setdefault(kind, (deque(), []))
        latest.append(seconds)
        insort(in_order, seconds)
        if len(latest) > REMEMBERED:
            del in_order[bisect_left(in_order, latest.popleft())]
        self._saved[kind] = min(self._saved.get(kind, 1.0) + SHARE, SAVED)

    def hedged(self, kind: str) -> None:
        """A hedge was sent. Who comes late reads of many whose results others have read: it owes no more than can be saved."""
        self._saved[kind] = max(self._saved.get(kind, 1.0) - 1.0, -SAVED)

    def hedging(self, kinds: Collection[str]) -> Hedging:
        """What holds now for ``kinds``. The first hedge of a kind is free: else none would help before twenty results."""
        after = {kind: seconds for kind in sorted(kinds) if (seconds := self._after(kind)) is not None}
        return Hedging(after, {kind: int(self._saved.get(kind, 1.0)) for kind in after})

    def _after(self, kind: str) -> float | None:
        rule = self._rule.get(kind, self._rule[_ALL])
        if rule is not None:
            return rule or None
        _, in_order = self._seen.get(kind, (None, []))
        if len(in_order) < ENOUGH:
            return None
        return max(round(in_order[int(len(in_order) * SLOW)], 3), LEAST)
