"""Writes the tables of docs/performance.md and README.md from docs/performance.json. ``make docs`` runs it; no figure is copied
by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.benchmark.figures import HEADER, Figure, row, shown
from tests.benchmark.record import Machine, Section, read

_ROOT = Path(__file__).parents[2]
FIGURES, PAGES = _ROOT / "docs" / "performance.json", (_ROOT / "docs" / "performance.md", _ROOT / "README.md")
_PLACE = re.compile(r"<!-- figures: (\S+) -->\n.*?<!-- end -->", re.DOTALL)


def page(text: str, record: Mapping[str, Section]) -> str:
    """``text`` with every table that it has a place for: ``goals``, ``summary``, or a section by its name."""

    def filled(place: re.Match[str]) -> str:
        return f"<!-- figures: {place[1]} -->\n{_table(place[1], record)}\n<!-- end -->"

    return _PLACE.sub(filled, text)


def _table(name: str, record: Mapping[str, Section]) -> str:
    if name == "goals":
        return _goals(record)
    if missing := ({"latency", "throughput"} if name == "summary" else {name}) - record.keys():
        return f"Not measured yet: {', '.join(sorted(missing))}. `make performance` does it."
    if name == "summary":
        return _summary(record)
    section = record[name]
    return "\n".join([_measured(section.machine), "", HEADER, *map(row, section.figures)])


def _measured(on: Machine) -> str:
    busy = " **The machine had other work to do meanwhile: only ratios say something.**" if on.load > on.cores / 2 else ""
    return f"Measured {on.line}.{busy}"


def _goals(record: Mapping[str, Section]) -> str:
    """Every figure that is to be reached."""
    judged = [(name, figure) for name, section in record.items() for figure in section.figures if figure.met is not None]
    rows = [f"| {name}: {f.name} | {_bound(f)} | {_judged(f)} | {'met' if f.met else '**missed**'} |" for name, f in judged]
    return "\n".join(["| figure | goal | measured | |", "|---|---|---|---|", *rows])


def _bound(figure: Figure) -> str:
    bound = "at least" if figure.least else "at most"
    return f"{bound} {figure.goal:g} " + (figure.unit if figure.judged == "value" else f"× {figure.against}")


def _judged(figure: Figure) -> str:
    if figure.judged == "value" or figure.ratio is None:
        return f"{shown(figure.value)} {figure.unit}"
    return f"{figure.ratio:.2f}"


def _summary(record: Mapping[str, Section]) -> str:
    """For each size what a caller sees: of the sections on latency and throughput."""
    latency = {figure.name: figure for figure in record["latency"].figures}
    throughput = {figure.name: figure for figure in record["throughput"].figures}
    lines = [
        "| subtasks | p50 | skeleton | bare bus | with a report | subtasks a second | skeleton |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, rate in throughput.items():
        if f"{size}, p50" not in latency:
            continue
        p50, bus, report = (latency[f"{size}, p50{what}"] for what in ("", ", against the bus", " with a report"))
        times = [f"{shown(value or 0.0)} ms" for value in (p50.value, p50.beside, bus.beside, report.value)]
        lines.append(f"| {size[4:]} | {' | '.join([*times, shown(rate.value), shown(rate.beside or 0.0)])} |")
    return "\n".join([*lines, "", _measured(record["latency"].machine)])


def main() -> None:
    record = read(FIGURES)
    for path in PAGES:
        path.write_text(page(path.read_text(encoding="utf-8"), record), encoding="utf-8")


if __name__ == "__main__":
    main()
