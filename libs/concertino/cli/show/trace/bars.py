"""Time as characters: a row as a bar, many rows as how many of them were at work, and the scale above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concertino.cli.durations import format_seconds
from concertino.contracts.timeline import Doing, Part, Row

_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    *(60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400),
)


@dataclass(frozen=True)
class Glyphs:
    """``going`` ends the bar of what is under way; ``levels`` are from none at work to the most."""

    of: Mapping[Doing, str]
    going: str
    levels: str


UNICODE = Glyphs(
    {"blocked": "·", "sending": "░", "queued": "░", "working": "█", "in_vain": "╳", "retrying": "┄"}, "▶", " ▁▂▃▄▅▆▇█"
)
ASCII = Glyphs(
    {"blocked": ".", "sending": "-", "queued": "-", "working": "#", "in_vain": "x", "retrying": "~"}, ">", " .:-=+*%#"
)


def bar(parts: Sequence[Part], total: float, width: int) -> list[Doing | None]:
    """What ``parts`` are about in each of ``width`` equal stretches of ``total`` seconds: what most of that stretch went into.
    An attempt is seen however short it was."""
    if total <= 0:
        return [None] * width
    cell = total / width
    weights: list[dict[Doing, float]] = [{} for _ in range(width)]
    for part in parts:
        for i in range(_cell(part.start, cell, width), _cell(part.start + part.seconds, cell, width) + 1):
            overlap = min(part.start + part.seconds, (i + 1) * cell) - max(part.start, i * cell)
            if overlap > 0:
                weights[i][part.doing] = weights[i].get(part.doing, 0.0) + overlap
    found = [_heaviest(weight) for weight in weights]
    for part in parts:
        if part.attempt and not _seen(part, found, cell, width):
            found[_cell(part.start + part.seconds / 2, cell, width)] = part.doing
    return found


def _heaviest(weight: Mapping[Doing, float]) -> Doing | None:
    return max(weight.items(), key=lambda item: item[1])[0] if weight else None


def _seen(part: Part, found: Sequence[Doing | None], cell: float, width: int) -> bool:
    first, last = _cell(part.start, cell, width), _cell(part.start + part.seconds, cell, width)
    return part.doing in found[first : last + 1]


def at_work(rows: Sequence[Row], total: float, width: int) -> list[float]:
    """How many of ``rows`` are at work, on average, in each of ``width`` equal stretches of ``total`` seconds."""
    found = [0.0] * width
    if total <= 0:
        return found
    cell = total / width
    for part in (part for row in rows for part in (*row.parts, *row.beside) if part.attempt):
        for i in range(_cell(part.start, cell, width), _cell(part.start + part.seconds, cell, width) + 1):
            found[i] += max(min(part.start + part.seconds, (i + 1) * cell) - max(part.start, i * cell), 0.0) / cell
    return found


def levels(counts: Sequence[float], glyphs: Glyphs) -> str:
    """``counts`` as a line: whatever is above none is seen."""
    most, steps = max(counts, default=0.0), len(glyphs.levels) - 1
    return "".join(glyphs.levels[max(round(count / most * steps), 1) if count > 0 else 0] for count in counts)


def scale(total: float, width: int) -> str:
    """``0 s        5 s        10 s``: each mark where its time begins."""
    line = ""
    for tick in ticks(total, max(width // 8, 1)):
        at = _cell(tick, total / width, width) if total > 0 else 0
        label = tick_label(tick)
        if at >= len(line) + bool(line) and at + len(label) <= width:
            line = line.ljust(at) + label
    return line.ljust(width)


def ticks(total: float, most: int) -> list[float]:
    """Round times from 0 to ``total``, about ``most`` of them at the most."""
    step = next((step for step in _STEPS if total / step <= most), total)
    return [i * step for i in range(int(total / step) + 1)] if total > 0 else [0.0]


def tick_label(seconds: float) -> str:
    """``0``, ``200 ms``, ``5 s``, ``2 m 00 s``."""
    if seconds <= 0:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:g} s" if seconds < 99.95 else format_seconds(seconds)


def _cell(time: float, cell: float, width: int) -> int:
    return min(max(int(time / cell), 0), width - 1)
