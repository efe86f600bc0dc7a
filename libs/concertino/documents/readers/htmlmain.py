"""Which part of a page is its own: the rest is the furniture of the site."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from concertino.documents.readers.sections import Section

_LANDMARKS = (
    *(("main", 0.0), ("[role=main]", 0.0), ("article", 0.25)),
    *(("#main-content", 0.25), ("div.body", 0.25), ("#content", 0.25), ("#bodyContent", 0.25)),
)
"""Where pages say that their own part begins, best first, and the share of the text below which it is not believed."""

_NEVER = frozenset(
    {"nav", "svg", "iframe", "canvas", "object", "audio"} | {"video", "dialog", "button", "select", "input", "textarea"}
)
_ROLES = frozenset({"navigation", "search", "banner", "contentinfo", "dialog", "alertdialog", "menu", "menubar"})
_NAMES = re.compile(
    r"(cookie|consent|gdpr|breadcrumb|sidebar|sidenav|navbar|navigation|pagination|prev-?next|skip-?(link|to)|headerlink"
    r"|nav-?chapters|social|share|newsletter|subscribe|advert|related-(pages|posts|articles)|edit-?(this-?)?page|linenos|lineno"
    r"|line-numbers|gutter|toc-?(tree|wrapper|drawer)|table-of-contents|sphinxsidebar|footer|copybtn|visually-?hidden|sr-only)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_MOST_FURNITURE = 0.4
"""A part that holds a larger share of the text is the page itself, whatever its class is called."""

_ENOUGH = 0.25
"""Extraction that keeps less of the text than this has failed: everything is kept instead."""

_MOST_CHARACTERS = 500_000
"""Of a page that is extracted: it takes seconds for each megabyte, and pages of that size are manuals, not articles."""

_NOT_LETTERS = re.compile(r"\W+")
_PROBE = 40
"""Letters at the start of a block by which it is recognised in the extracted text."""


def main_part(page: LexborHTMLParser) -> tuple[LexborNode | None, bool]:
    """Where to read, and whether the page itself said so: else it is the whole body."""
    whole = len(page.body.text(deep=True)) if page.body is not None else 0
    for landmark, share in _LANDMARKS:
        marked = page.css(landmark)
        if landmark == "article" and len(marked) > 1:
            continue  # a list of teasers, or comments below the article
        best = max(marked, key=lambda node: len(node.text(deep=True)), default=None)
        if best is not None and (text := best.text(deep=True)).strip() and len(text) >= share * whole:
            return best, True
    return page.body, False


def is_furniture(node: LexborNode, size: int) -> bool:
    """Whether a reader of the page's own part, of ``size`` characters, leaves ``node`` out."""
    if not node.is_element_node:
        return not node.is_text_node
    if node.tag in _NEVER:
        return True
    attributes = node.attributes
    if not attributes and node.tag not in {"footer", "header"}:
        return False
    if "hidden" in attributes or attributes.get("aria-hidden") == "true" or _HIDDEN.search(attributes.get("style") or ""):
        return True
    names = [*(attributes.get("class") or "").split(), attributes.get("id") or ""]
    named = attributes.get("role") in _ROLES or any(_NAMES.match(name) for name in names)
    if node.tag == "header":
        return node.css_first("h1") is None and node.css_first("h2") is None
    if not named and node.tag != "footer":
        return False
    return node.tag not in {"h1", "h2", "body"} and len(node.text(deep=True)) < _MOST_FURNITURE * max(size, 1)


def prose_of(text: str, made: list[Section]) -> list[Section]:
    """For a page that marks no main part: ``made`` without the blocks that an article extractor leaves out."""
    if len(text) > _MOST_CHARACTERS or not any(section.blocks for section in made):
        return made
    import trafilatura  # takes long to import, and few pages need it

    extracted = trafilatura.extract(text, include_comments=False, include_tables=True, favor_recall=True)
    letters = _letters(extracted or "")
    if len(letters) < _ENOUGH * sum(len(_letters(block)) for section in made for block in section.blocks):
        return made
    return [Section(section.path, section.fragment, _kept(section, letters)) for section in made]


def _kept(section: Section, letters: str) -> list[str]:
    """The blocks whose start is in ``letters``; the heading stays if anything does."""
    head = section.blocks[:1] if section.path and section.blocks[:1] == [section.path[-1]] else []
    kept = [block for block in section.blocks[len(head) :] if _letters(block)[:_PROBE] in letters]
    return head + kept if kept else []


def _letters(text: str) -> str:
    return _NOT_LETTERS.sub("", text)
