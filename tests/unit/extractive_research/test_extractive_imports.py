import pytest

from concertino.model.extractive.imports import imports


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("import os\nimport sys as s\n\nX = 1", ["", "X = 1"]),
        ("from a import (\n    b,\n    c as d,\n)\nX = 1", ["X = 1"]),
        ("from a import b, \\\n    c\nX = 1", ["X = 1"]),
        ("    b,\n    c,\n)\nX = 1", ["X = 1"]),
        ("    b,\n    c\nX = 1", ["    b,", "    c", "X = 1"]),
        (")\nX = 1", [")", "X = 1"]),
        ("#include <stdio.h>\nint x;", ["int x;"]),
        ("import things from the attic, they said", ["import things from the attic, they said"]),
        ("", [""]),
    ],
)
def test_lines_that_only_bring_names_in(code: str, left: list[str]) -> None:
    lines = code.split("\n")
    assert [line for line, is_import in zip(lines, imports(lines), strict=True) if not is_import] == left
