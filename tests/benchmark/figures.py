"""What was measured, as data: a figure, what it was compared with in the same run, and the goal it was to reach."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct


class Figure(Struct, frozen=True, omit_defaults=True):
    """``value`` is in ``unit``. ``goal`` is the most (or, for ``least``, the least) that ``judged`` may be: the value itself,
    or the ratio to ``beside``, which was measured in turn with it."""

    name: str
    value: float
    unit: str
    beside: float | None = None
    against: str = ""
    goal: float | None = None
    judged: Literal["value", "ratio"] = "ratio"
    least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.beside if self.beside else None

    @property
    def met(self) -> bool | None:
        """None where there is no goal, or nothing to judge it by."""
        judged = self.value if self.judged == "value" else self.ratio
        if self.goal is None or judged is None:
            return None
        return judged >= self.goal if self.least else judged <= self.goal


def percentile(values: Sequence[float], percent: float) -> float:
    """By the nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(percent / 100 * (len(ranked) - 1)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def row(figure: Figure) -> str:
    """One line of a Markdown table."""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    beside = "" if figure.beside is None else f"{shown(figure.beside)} ({figure.against})"
    goal = ""
    if figure.goal is not None:
        bound = "≥" if figure.least else "≤"
        what = f" {figure.unit}" if figure.judged == "value" else ""
        verdict = {True: "met", False: "**missed**", None: "not judged"}[figure.met]
        goal = f"{bound} {figure.goal:g}{what}: {verdict}"
    cells = (figure.name, f"{shown(figure.value)} {figure.unit}", beside, ratio, goal, figure.note)
    return f"| {' | '.join(cells)} |"


HEADER = "| figure | measured | beside it, in turn | ratio | goal | |\n|---|---|---|---|---|---|"


def shown(value: float) -> str:
    """As far as it means something."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
