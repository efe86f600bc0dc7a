import pytest

from concertino.retrieval.roles import role_of


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("src/app/core.py", "text"),
        ("README.md", "text"),
        ("tests/test_core.py", "test"),
        ("pkg/testing/__init__.py", "text"),
        ("testing/test_x.py", "test"),
        ("src/app/testing.py", "text"),
        ("docs/testing.rst", "text"),
        ("pkg/core_test.go", "test"),
        ("web/button.spec.ts", "test"),
        ("src/main/CoreTest.java", "test"),
        ("src/latest.py", "text"),
        ("src/contest.py", "text"),
        ("CHANGES.rst", "changelog"),
        ("CHANGELOG", "changelog"),
        ("docs/release-notes.md", "changelog"),
        ("docs/whatsnew/2.0.rst", "changelog"),
        ("src/history.py", "text"),
        ("examples/demo.py", "example"),
        ("docs/examples/index.md", "text"),
        ("proto/api_pb2.py", "generated"),
        ("data/rows.csv", "data"),
        (".gitignore", "text"),
    ],
)
def test_role(path: str, role: str) -> None:
    assert role_of(path) == role
