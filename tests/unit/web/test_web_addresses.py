from __future__ import annotations

import pytest

from concertino.contracts.messages import Source, Subtask, Work
from concertino.web.addresses import addresses
from concertino.web.seeds import MOST, seeds


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nothing here, not even www.example.org", []),
        ("see https://a.example/x.", ["https://a.example/x"]),
        ("(https://a.example/x), [b](http://b.example/y?q=1&r=2)!", ["https://a.example/x", "http://b.example/y?q=1&r=2"]),
        (
            "https://en.example/Rust_(language) and <https://c.example/>",
            ["https://en.example/Rust_(language)", "https://c.example/"],
        ),
        ("**https://a.example/x** “https://a.example/y”", ["https://a.example/x", "https://a.example/y"]),
        ("https://a.example/x https://a.example/x", ["https://a.example/x"]),
        ("file:///etc/passwd gopher://x ftp://y", []),
        ("https://", []),
    ],
)
def test_addresses_stand_in_sentences(text: str, found: list[str]) -> None:
    assert addresses(text) == found


def work(request: str = "what?", **brief: object) -> Work:
    subtask = Subtask(id="s1", kind="web", **{"objective": "what?", **brief})  # type: ignore[arg-type]
    return Work(task="t1", id="result.web.s1", attempt=1, request=request, brief=subtask, deadline=1.0)


def test_what_the_caller_names_comes_first_and_counts_more() -> None:
    asked = work(
        "compare https://a.example/ and https://b.example/",
        objective="read https://b.example/ and https://d.example/",
        starting_points=("the page https://c.example/", "arxiv"),
    )
    sources = [Source(kind="web", location="https://s.example/"), Source(kind="docs", location="https://docs.example/")]
    found = seeds(asked, sources)
    assert found.named == ("https://s.example/", "https://a.example/", "https://b.example/")
    assert found.suggested == ("https://c.example/", "https://d.example/")
    assert found.left == ()


def test_too_many_are_bounded_and_told() -> None:
    sources = [Source(kind="web", location=f"https://s.example/{i}") for i in range(MOST + 2)]
    found = seeds(work(objective="https://d.example/"), sources)
    assert (len(found.named), found.suggested, len(found.left)) == (MOST, (), 2)
