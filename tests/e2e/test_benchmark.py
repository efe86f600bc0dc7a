"""What is measured can be measured: every section in small. Its figures say nothing, and nothing is asked of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.benchmark.__main__ import SECTIONS
from tests.benchmark.effort import QUICK
from tests.benchmark.figures import Figure, row
from tests.benchmark.page import FIGURES, PAGES, page
from tests.benchmark.record import Section, machine, read, write

pytestmark = [pytest.mark.processes, pytest.mark.nats]


@pytest.mark.parametrize("name", SECTIONS)
async def test_a_section_is_measured(name: str) -> None:
    figures = [figure async for figure in SECTIONS[name](QUICK)]
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    for figure in figures:
        assert math.isfinite(figure.value), figure
        assert figure.value >= 0, figure
        assert row(figure).count("|") == 7, figure
    if name != "retrieval":  # nobody need have ripgrep
        assert all((figure.beside is not None) == bool(figure.against) for figure in figures)


def test_a_run_is_kept_and_becomes_a_page(tmp_path: Path) -> None:
    on = machine()
    latency = Section(
        on, (Figure("k = 100, p50", 30.0, "ms", 15.0, "limit", 1.5), Figure("memory", 70.0, "MiB", goal=80, judged="value"))
    )
    write(tmp_path / "run.json", {"latency": latency})
    record = read(tmp_path / "run.json")
    assert record == {"latency": latency}
    empty = "Before.\n<!-- figures: goals -->\n<!-- end -->\n<!-- figures: latency -->\nold\n<!-- end -->\nAfter.\n"
    filled = page(empty, record)
    assert "| latency: k = 100, p50 | at most 1.5 × limit | 2.00 | **missed** |" in filled
    assert "| latency: memory | at most 80 MiB | 70 MiB | met |" in filled
    assert "old" not in filled
    assert on.line in filled
    assert filled.startswith("Before.")
    assert filled.endswith("After.\n")
    assert page(filled, record) == filled


def test_the_pages_are_as_measured() -> None:
    record = read(FIGURES)
    assert record.keys() <= SECTIONS.keys()
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert "<!-- figures: " in text
        assert page(text, record) == text, "run `make docs`"
