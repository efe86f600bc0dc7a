import pytest

from concertino.retrieval.standing import standing_of


@pytest.mark.parametrize(
    ("path", "standing"),
    [
        ("docs/guide/retries.rst", "subject"),
        ("src/app/security.py", "subject"),
        ("docs/topics/security.rst", "subject"),
        ("docs/support.rst", "subject"),
        ("src/license.py", "subject"),
        ("docs/newsletter.rst", "subject"),
        ("docs/static-files.md", "subject"),
        ("SECURITY.md", "project"),
        ("CONTRIBUTING.rst", "project"),
        ("docs/contributing/triage.md", "project"),
        ("docs/internals/how-to-release.txt", "project"),
        ("LICENSE", "legal"),
        ("COPYING.LESSER", "legal"),
        ("licenses/zlib.txt", "legal"),
        ("docs/releases/1.1.txt", "release"),
        ("docs/announce/release-2.6.0.rst", "release"),
        ("docs/2013-news.md", "release"),
        ("docs/news.rst", "release"),
        ("docs/v4.0.1.rst", "release"),
        ("docs/_static/searchtools.js", "site"),
        ("docs/_themes/layout.html", "site"),
    ],
)
def test_standing(path: str, standing: str) -> None:
    assert standing_of(path) == standing
