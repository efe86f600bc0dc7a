"""What is measured can be measured: every section in small. Its figures say nothing, and nothing is asked of them."""

from __future__ import annotations

import math

import pytest
from tests.benchmark.__main__ import SECTIONS
from tests.benchmark.effort import QUICK
from tests.benchmark.figures import row

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
