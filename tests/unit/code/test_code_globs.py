from __future__ import annotations

import pytest

from concertino.code.globs import matches


@pytest.mark.parametrize(
    ("path", "glob"),
    [
        ("a.py", "*.py"),
        ("src/deep/a.py", "*.py"),
        ("src/a.py", "src/*.py"),
        ("src/a.py", "./src/*.py"),
        ("src/x/y/a.py", "src/**/a.py"),
        ("src/a.py", "src/**/a.py"),
        ("src/x/a.py", "src/"),
        ("src/x/a.py", "src/**"),
        ("src/x/a.py", "**/x/*"),
        ("anything", ""),
        ("[a].py", "[[]a].py"),
    ],
)
def test_it_matches(path: str, glob: str) -> None:
    assert matches(path, glob)


@pytest.mark.parametrize(
    ("path", "glob"),
    [("a.pyc", "*.py"), ("src/x/a.py", "src/*.py"), ("lib/src/a.py", "src/a.py"), ("a.py", "b/**"), ("src", "src/x")],
)
def test_it_does_not_match(path: str, glob: str) -> None:
    assert not matches(path, glob)


def test_no_pattern_takes_long() -> None:
    assert not matches("/".join("a" * 50 for _ in range(200)), "**/".join("*a*a*a*a*" for _ in range(100)) + "b")
