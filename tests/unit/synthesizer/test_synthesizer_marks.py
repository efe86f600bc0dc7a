"""Marks cite exhibits, or go."""

from __future__ import annotations

import pytest

from concertino.contracts.messages import Evidence, Locator
from concertino.model.port import Exhibit
from concertino.synthesizer.marks import cited

EXHIBITS = [
    Exhibit(
        str(i),
        f"claim {i}",
        Evidence(digest="0" * 64, span=(0, 5), source=f"{i}.py", locator=Locator(lines=(i, i)), quote=f"    quote {i}  "),
        "s1",
        0.5,
        0.5,
    )
    for i in (1, 2, 3)
]


@pytest.mark.parametrize(
    ("text", "left", "ids"),
    [
        ("so [2], and so [1].", "so [2], and so [1].", ["2", "1"]),
        ("so [1][2] so [1]", "so [1][2] so [1]", ["1", "2"]),
        ("so [9].", "so.", []),
        ("so [9] [1] [1234567]", "so [1] [1234567]", ["1"]),
        ("see `argv[1]` and ``a[2]`[3]``", "see `argv[1]` and ``a[2]`[3]``", []),
        ("see `argv[7]` [3]", "see `argv[7]` [3]", ["3"]),
        (r"a footnote \[1] of theirs", r"a footnote \[1] of theirs", []),
        (r"an odd \` tick [1] and `b[2]`", r"an odd \` tick [1] and `b[2]`", ["1"]),
        ("```\nx[1]\n```\n[2]", "```\nx[1]\n```\n[2]", ["2"]),
        ("```python\nx[7]\n````\n[7]", "```python\nx[7]\n````\n", []),
        ("````\n```\nx[1]\n```\ny[7]\n````\n[1]", "````\n```\nx[1]\n```\ny[7]\n````\n[1]", ["1"]),
        ("~~~\nx[1] ```\n~~~\n[2]", "~~~\nx[1] ```\n~~~\n[2]", ["2"]),
        ("```not a fence``` [1]\n[2]", "```not a fence``` [1]\n[2]", ["1", "2"]),
        ("see [[9]8] and [[9]1]", "see and [1]", ["1"]),
        ("[link](x) [1]", "[link](x) [1]", ["1"]),
        ("no marks", "no marks", []),
    ],
)
def test_marks(text: str, left: str, ids: list[str]) -> None:
    written, citations, dropped = cited(text, EXHIBITS)
    assert written == left
    assert [c.id for c in citations] == ids
    assert dropped == text.count("[") - left.count("[")


def test_citations_are_literal() -> None:
    _, [citation], _ = cited("so [2]", EXHIBITS)
    assert (citation.quote, citation.source, citation.locator) == ("    quote 2  ", "2.py", Locator(lines=(2, 2)))
    assert citation.digest == "0" * 64
