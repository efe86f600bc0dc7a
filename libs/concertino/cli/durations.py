"""Spans of time as people write them."""

from __future__ import annotations

import re

from concertino.contracts.errors import BadSetting

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_WHOLE = re.compile(r"[0-9]+(?:\.[0-9]+)?|(?:[0-9]+(?:\.[0-9]+)?[smhd])+")


def parse_duration(text: str, option: str) -> float:
    """Seconds in ``text``: ``90s``, ``2m``, ``1h30m``, ``1.5h`` or plain ``120``.

    Raises :class:`BadSetting`, which names ``option``.
    """
    compact = "".join(text.split()).lower()
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))
    if not _WHOLE.fullmatch(compact) or seconds <= 0:
        raise BadSetting(f"{option} {text!r} is no duration: write 90s, 2m, 1h30m or a number of seconds above 0")
    return seconds


def format_seconds(seconds: float) -> str:
    """``0.2 s``, ``12.3 s``, ``2 m 05 s``, ``1 h 02 m``: never wider than nine characters for less than 100 hours."""
    if seconds < 99.95:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s"
