"""What a page says of itself in its head: its title, and when it was published and changed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from selectolax.lexbor import LexborHTMLParser

_MOST_CHARACTERS = 200_000
"""Of a page, and of what is looked at in it."""
_TOLD = 'script[type="application/ld+json"], time[pubdate], time[itemprop]'
_LONGEST_TITLE = 200


class Told(Struct, frozen=True):
    """Empty where the page does not tell. Dates are ISO days."""

    title: str = ""
    published: str = ""
    updated: str = ""


def told(html: str) -> Told:
    """Of the page ``html``. A date that merely stands in its text is not taken for its own."""
    page = LexborHTMLParser(html)
    title = page.css_first("head > title")
    name = " ".join(title.text().split())[:_LONGEST_TITLE] if title else ""
    marked = "".join(node.html or "" for node in page.css(_TOLD))
    page.strip_tags(["script", "style", "title", "noscript", "template"])
    head = page.head.html if page.head is not None else ""
    small = f"<html>{head}<body>{marked}</body></html>"
    if len(small) > _MOST_CHARACTERS:
        return Told(name)
    published, updated = _date(small, "published"), _date(small, "updated")
    return Told(name, published, updated if updated != published else "")


def _date(html: str, which: Literal["published", "updated"]) -> str:
    from htmldate import find_date  # takes a tenth of a second to import, and most tests need none

    return find_date(html, original_date=which == "published", extensive_search=False) or ""
