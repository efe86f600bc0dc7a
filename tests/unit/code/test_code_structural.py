from __future__ import annotations

import pytest

from concertino.code.pieces import LONGEST_LINE
from concertino.code.structural import LANGUAGES, structural
from concertino.contracts.errors import Invalid

PYTHON = "x = retry(\n    a,\n    b,\n)\nretry(c)\nother(retry)\n"


def found(pattern: str, language: str, *texts: tuple[str, str], limit: int = 10) -> list[tuple[str, str]]:
    return [(p.source, p.text) for p in structural(texts, pattern, language, limit=limit).passages]


def test_the_shape_counts_and_not_the_layout() -> None:
    assert found("retry($$$ARGS)", "python", ("a.py", PYTHON), ("a.js", "retry(1)")) == [
        ("a.py", "x = retry(\n    a,\n    b,\n)"),
        ("a.py", "retry(c)"),
    ]


def test_javascript_and_go() -> None:
    assert found("$A == null", "javascript", ("a.jsx", "if (x == null) f(<b/>)\n")) == [("a.jsx", "if (x == null) f(<b/>)")]
    assert found("if err != nil { $$$ }", "golang", ("a.go", "package a\nfunc f() {\n\tif err != nil { return }\n}\n"))


def test_the_limit_is_told() -> None:
    assert "more than 1" in structural([("a.py", PYTHON)], "retry($$$)", "python", limit=1).note


@pytest.mark.parametrize("language", ["cobol", "", "yaml", "bash"])
def test_an_unknown_language_is_refused_before_the_library_sees_it(language: str) -> None:
    with pytest.raises(Invalid, match="python, javascript"):
        found("f()", language, ("a.py", PYTHON))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_offered_is_one_the_library_has(language: str) -> None:
    found("f", language, ("a", ""))


def test_a_wrong_pattern_is_the_callers_fault() -> None:
    with pytest.raises(Invalid, match="no pattern for python"):
        found("", "python", ("a.py", PYTHON))


def test_deep_nesting() -> None:
    deep = "x = " + "(" * 50_000 + "f(1)" + ")" * 50_000
    assert structural([("a.py", "f(1)\n" + deep)], "f($A)", "python", limit=10).passages[0].text == "f(1)"


def test_a_long_line_ends_what_is_shown_and_takes_no_time() -> None:
    text = "f(\n  1,\n  '" + "a" * LONGEST_LINE + "',\n  2)\n" + "f(1);" * 100_000 + "\nf(2)\n"
    assert found("f($$$)", "javascript", ("a.js", text)) == [("a.js", "f(\n  1,"), ("a.js", "f(2)")]
