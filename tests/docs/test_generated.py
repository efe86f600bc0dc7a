"""The parts of the docs that are drawn from the code are what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_docs_are_as_generated() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    concepts = (DOCS / "concepts.md").read_text(encoding="utf-8")
    assert "planning --> working" in concepts
    assert generate["concepts"](concepts) == concepts, "run `make docs`"
    assert generate["metrics_page"]() == (DOCS / "metrics.md").read_text(encoding="utf-8"), "run `make docs`"
    assert generate["settings_page"]() == (DOCS / "settings.md").read_text(encoding="utf-8"), "run `make docs`"
