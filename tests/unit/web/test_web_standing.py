from __future__ import annotations

from datetime import date

import pytest

from concertino.web.dates import Told, told
from concertino.web.standing import WORTH, age, standing


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://www.rfc-editor.org/rfc/rfc9309", "primary"),
        ("https://health.ny.gov/x", "primary"),
        ("https://requests.readthedocs.io/en/latest/", "documentation"),
        ("https://docs.whatever.example/a", "documentation"),
        ("https://docs.example", "unknown"),
        ("https://www.bbc.co.uk/news", "news"),
        ("https://en.m.wikipedia.org/wiki/X", "aggregator"),
        ("https://old.reddit.com/r/x", "forum"),
        ("https://community.whatever.example/t/1", "forum"),
        ("https://www.ehow.com/how_1", "content farm"),
        ("https://docs.ehow.com/how_1", "content farm"),
        ("https://notehow.com/", "unknown"),
        ("https://ehow.com.evil.example/", "unknown"),
        ("http://[2606:2800:220::1]/", "unknown"),
    ],
)
def test_an_address_tells_what_kind_of_place_it_is(url: str, kind: str) -> None:
    assert standing(url) == kind


def test_primary_sources_are_worth_most_and_content_farms_least() -> None:
    ranked = sorted(WORTH, key=lambda kind: -WORTH[kind])
    assert (ranked[0], ranked[-1]) == ("primary", "content farm")


@pytest.mark.parametrize(
    ("day", "old"),
    [
        ("2026-11-21", "of today"),
        ("2026-11-20", "1 day old"),
        ("2026-09-01", "2 months old"),
        ("2021-01-01T10:00:00Z", "5 years old"),
        ("2027-01-01", ""),
        ("soon", ""),
        ("", ""),
    ],
)
def test_age_in_words(day: str, old: str) -> None:
    assert age(day, date(2026, 11, 21)) == old


def page(head: str = "", body: str = "<p>Written on 2019-01-02. © 2024</p>") -> str:
    return f"<html><head><title>A &amp; B</title>{head}</head><body>{body}</body></html>"


LINKED = (
    '<script type="application/ld+json">{"@type":"Article","datePublished":"2020-03-04","dateModified":"2022-01-05"}</script>'
)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (page(), Told("A & B")),
        (page('<meta property="article:published_time" content="2021-03-04T05:06:07Z">'), Told("A & B", "2021-03-04")),
        (page(body=LINKED), Told("A & B", "2020-03-04", "2022-01-05")),
        (page('<meta name="date" content="soon"><script>var at = "2018-01-01"</script>'), Told("A & B")),
        ("\x00<<<not a page", Told()),
        ("", Told()),
    ],
)
def test_a_date_is_what_the_page_declares_not_what_stands_in_its_text(html: str, expected: Told) -> None:
    assert told(html) == expected


def test_a_huge_head_is_not_searched() -> None:
    assert told(page("<meta name='x' content='2020-01-01'>" * 20_000)) == Told("A & B")
