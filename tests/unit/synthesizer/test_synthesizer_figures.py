"""Figures and names of code that a sentence has from nowhere are marked; what its quotes hold, in whatever form, is not."""

from __future__ import annotations

import hashlib

import pytest
from msgspec import structs

from concertino.contracts.messages import Evidence, Locator
from concertino.model.port import Exhibit
from concertino.synthesizer.figures import marked
from concertino.synthesizer.numbers import figures, known

PASSAGE = "class Client:\n    def connect(self, max_tries=5, timeout=30): ..."
QUOTE = "connect(self, max_tries=5, timeout=30)"


def exhibit(id_: str, quote: str, passage: str = "", source: str = "net/client.py", line: int = 412) -> Exhibit:
    digest = hashlib.sha256((passage or quote).encode()).hexdigest()
    locator = Locator(lines=(line, line))
    evidence = Evidence(digest=digest, span=(0, len(quote)), source=source, locator=locator, quote=quote, root="/srv/v2024")
    return Exhibit(id_, "a claim with 777", evidence, "s1", 0.5, 0.5)


EXHIBITS = [
    structs.replace(exhibit("1", QUOTE, PASSAGE), advice="Give it 45 s by `set_patience`."),
    exhibit("2", "grew by 90.2 percent to 1,500,000 users", source="a.md"),
]
TEXTS = {e.evidence.digest: text for e, text in zip(EXHIBITS, (PASSAGE, EXHIBITS[1].evidence.quote), strict=True)}


def check(text: str) -> tuple[str, int]:
    return marked(text, EXHIBITS, TEXTS, "What changed by 2031?")


@pytest.mark.parametrize(
    "text",
    [
        "It waits 30 seconds [1].",
        "`Client.connect` takes `max_tries` and `timeout=30` [1].",
        "It grew by about 90 % [2], to 1.5 million users [2].",
        "Line 412 of `net/client.py`, in v2024, says so; by 2031 it may not [1].",
        "10. The tenth entry waits 30 s [1].",
        "It returns `None` [1].",
        "Give it 45 s by `set_patience` [1].",
        "It has 77 parts, and cites nothing.",
        "See https://example.org/99/88 and [this](x/77.html) [1].",
        "```\nx = 99 [1]\n```",
        "`99 [1]`",
    ],
)
def test_what_the_quotes_hold_stays_as_it_is(text: str) -> None:
    assert check(text) == (text, 0)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It waits 60 seconds [1].", "It waits 60 seconds [1] *(not in the quotes: 60)*."),
        (
            "It waits 30 s [1]. It grew by 93 % [2]. Fine.",
            "It waits 30 s [1]. It grew by 93 % [2] *(not in the quotes: 93)*. Fine.",
        ),
        ("It grew by 90 % [1].", "It grew by 90 % [1] *(not in the quotes: 90)*."),
        ("It uses `max_retries` [1].", "It uses `max_retries` [1] *(not in the quotes: `max_retries`)*."),
        ("- 777, 777 and 888 [2] [1]", "- 777, 777 and 888 [2] [1] *(not in the quotes: 777, 888)*"),
        ("| 30 s [1] | 46 s [1] |", "| 30 s [1] | 46 s [1] *(not in the quotes: 46)* |"),
    ],
)
def test_what_they_do_not_hold_is_marked(text: str, left: str) -> None:
    assert check(text) == (left, 1)


def test_marks_and_places_are_not_figures_of_the_text() -> None:
    quotes = [exhibit(str(n), "plain words") for n in range(1, 60)]
    assert marked("It is so [58] [59].", quotes, {}, "") == ("It is so [58] [59].", 0)


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        ("12 retries", "twelve retries"),
        ("10,000 rows", "10 000 rows"),
        ("1,500,000", "1.5M"),
        ("1.5 billion", "1500000000"),
        ("50 %", "a share of 0.5"),
        ("5%", "five percent"),
        ("version 3.11", "3.11.4"),
        ("v1.2.3", "1.2.3"),
        ("2,000", "1987"),
        ("1.000.000", "1,000,000"),
        ("1,5", "1.5"),
        ("1,234.5", "1.234,5"),
        ("9" * 400, "9" * 400),
    ],
)
def test_one_figure_has_many_forms(said: str, quote: str) -> None:
    assert figures(said)
    assert all(known(quote).holds(figure) for figure in figures(said))


@pytest.mark.parametrize(
    ("said", "quote"),
    [("93", "90.2"), ("2,000", "2400"), ("5%", "six percent"), ("1.2.3", "1.2.4"), ("3.14", "3.15"), ("9" * 400, "9")],
)
def test_others_are_others(said: str, quote: str) -> None:
    assert [known(quote).holds(figure) for figure in figures(said)] == [False]


@pytest.mark.parametrize("text", ["utf8", "S3", "H2O", "x_12", "12_x", "the 1990s", "5 parts", ""])
def test_what_is_no_figure_is_not_checked(text: str) -> None:
    assert figures(text) == []


def test_reading_figures_takes_linear_time() -> None:
    for hostile in ("1" * 20_000, "1," * 10_000, "1 000 " * 5_000, "v1." * 8_000, "`" * 20_000):
        check(f"{hostile} [1]")
