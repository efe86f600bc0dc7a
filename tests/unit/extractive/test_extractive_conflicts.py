"""Conflicts: two sources say two defaults of one thing; and all that only looks like it."""

from __future__ import annotations

import pytest

from concertino.contracts.messages import Evidence, Locator
from concertino.model.extractive.conflicts import conflicts
from concertino.model.port import Exhibit


def exhibit(id_: str, source: str, quote: str, quality: float = 0.8) -> Exhibit:
    evidence = Evidence(digest="0" * 64, span=(0, len(quote)), source=source, locator=Locator(lines=(1, 1)), quote=quote)
    return Exhibit(id_, "a claim", evidence, f"s{id_}", quality, 0.5)


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        (("README.md", "`max_retries` defaults to 3."), ("client.py", "max_retries: int = 5"), ("3", "5")),
        (("README.md", "max_retries (default: 3)"), ("guide.rst", "The default of max-retries"), None),
        (("README.md", "max_retries (default: 3)"), ("guide.rst", "max-retries, by default 4, bounds it"), ("3", "4")),
        (("README.md", "`timeout` (default 30 seconds)"), ("a.go", "timeout := 10"), None),  # no assignment that we know
        (("README.md", "`connectTimeout` defaults to 30 seconds"), ("a.ts", "connectTimeout = 10"), ("30 s", "10")),
        (("README.md", "verify_ssl is on; its default is true"), ("a.py", "verify_ssl = False"), ("true", "false")),
        (("README.md", "`keep_alive` defaults to none"), ("a.py", "keep_alive = None"), None),
        (("a.md", "The default timeout is 30 seconds."), ("b.md", "The default timeout is 45 seconds."), ("30 s", "45 s")),
        (("a.md", "`max_retries` defaults to 3."), ("b.md", "The default of `max_retries` is 4."), ("3", "4")),
        (("a.md", "The default timeout is 30 seconds."), ("b.py", "DEFAULT_TIMEOUT = 90"), ("30 s", "90")),
        (("a.md", "The timeout is 30 seconds by default."), ("b.md", "The timeout defaults to 1 min."), ("30 s", "1 min")),
        (("a.md", "The default timeout is 30 seconds."), ("b.py", "DEFAULT_TIMEOUT = 30"), None),
        (("a.md", "The default timeout is 30 seconds."), ("b.md", "The default pause is 45 seconds."), None),
    ],
)
def test_defaults(one: tuple[str, str], other: tuple[str, str], values: tuple[str, str] | None) -> None:
    found = conflicts([exhibit("1", *one), exhibit("2", *other)])
    if values is None:
        assert found == ()
        return
    [conflict] = found
    assert [p.claim.split(" is ")[1].split(" (")[0] for p in conflict.positions] == list(values)
    assert [p.citations for p in conflict.positions] == [("1",), ("2",)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a.py", "SLOTS = 1000\nMAX_SIZE = 3"), ("b.py", "SLOTS = 4\nMAX_SIZE = 4")),  # each has one of its own
        (("a.md", "set `max_retries = 3` for this"), ("b.md", "use `max_retries = 9` for that")),  # examples
        (("a.md", "Step: 1"), ("b.md", "Step: 2")),
        (("a.md", "The default is 5"), ("b.md", "The default is 6")),  # of what?
        (("a.md", "max_retries defaults to 3"), ("a.md", "max_retries defaults to 4")),  # one source
        (("a.md", "`timeout_s` defaults to 30 seconds"), ("b.py", "timeout_s = 30.0")),
        (("a.md", "`max_size` defaults to 1,000"), ("b.py", "max_size = 1")),
        (("a.md", "max_retries defaults to 3"), ("b.py", "max_retries = compute(4)")),
        (("a.md", "max_retries defaults to 3"), ("b.py", "max_retries = 4 * cores")),
    ],
)
def test_no_conflict(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert conflicts([exhibit("1", *one), exhibit("2", *other)]) == ()


def test_code_that_bears_a_text_out_settles_it() -> None:
    said, borne_out = exhibit("1", "a.md", "`max_size` defaults to 8"), exhibit("2", "a.py", "max_size = 8")
    assert conflicts([said, borne_out, exhibit("3", "b.py", "max_size = 16")]) == ()


def test_the_clearly_better_source_resolves() -> None:
    said, set_ = ("a.md", "`max_size` defaults to 8", 0.6), ("a.py", "max_size = 16", 0.9)
    [conflict] = conflicts([exhibit("1", *said), exhibit("2", *set_)])
    assert (conflict.resolution, conflict.why) == ("`max_size` is 16", "a.py is the more direct source")


def test_else_both_stand() -> None:
    [conflict] = conflicts([exhibit("1", "a.md", "`max_size` defaults to 8"), exhibit("2", "b.md", "`max_size` defaults to 9")])
    assert (conflict.resolution, conflict.why) == ("", "neither source is clearly the better one")


@pytest.mark.parametrize(
    "piece",
    ["a", "a_", "a-b", "`", "default ", "a_b default ", "a_b: ", "a_b: int | ", "a_b = 1 ", "1", "a_b defaults to 1 ", " "],
)
@pytest.mark.timeout(60)
def test_foreign_text_cannot_hold_it_up(piece: str) -> None:
    """In linear time this takes a second; were it quadratic, or worse, it would not end."""
    quote = piece * (300_000 // len(piece))
    found = conflicts([exhibit("1", "a.md", quote), exhibit("2", "b.py", quote)])
    assert found == ()
