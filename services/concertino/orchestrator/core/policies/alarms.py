"""Timers named after the moment at which they go off: as few as suffice, and they tell the time where a clock is behind."""

from __future__ import annotations

import math
from collections.abc import Collection

from concertino.contracts.state import State


def clock(state: State, now: float, prefix: str, ahead: float = 0.0) -> float:
    """``now`` or, where a replica's clock is behind the server's, what those timers say that went off: they speak for the
    seconds ``ahead`` of them, too."""
    return max((now, *(at / 1000 + ahead for at in _times(state.due, prefix))))


def missing(state: State, now: float, prefix: str, moments: Collection[float]) -> tuple[str, float] | None:
    """The timer that is to be set: name and Unix time of the next of ``moments``, unless one goes off before."""
    coming = [at for at in moments if at > clock(state, now, prefix)]
    if not coming:
        return None
    at = math.ceil(min(coming) * 1000)
    if any(set_ <= at for set_ in _times(state.timers - state.due, prefix)):
        return None
    return f"{prefix}{at}", at / 1000


def _times(timers: Collection[str], prefix: str) -> list[int]:
    numbers = (name.removeprefix(prefix) for name in timers if name.startswith(prefix))
    return [int(number) for number in numbers if number.isdecimal() and len(number) < 16]
