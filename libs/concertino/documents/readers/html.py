"""HTML pages: what a reader came for, in sections by heading, without what surrounds it on every page of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Passage
from concertino.documents.readers import sections as sectioned
from concertino.documents.readers.htmlmain import is_furniture, main_part, prose_of
from concertino.documents.readers.htmltext import Writer
from concertino.documents.readers.sections import Section
from concertino.retrieval.decode import decode
from concertino.retrieval.roles import role_of

MOST_DEPTH = 2_000
"""The parser's time grows with the square of it. Pages that people read stay below 200."""

_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_NO_CHARSETS = frozenset({"utf-8", "utf8", "punycode", "idna", "undefined"})
"""The first two are tried in any case; the others are Python's own, and no page is written in them."""
_REDIRECT = re.compile(r"<meta[^>]{0,200}http-equiv\s*=\s*[\"']?refresh", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)(?:[^<>]*?(/)>)?")
_UNNESTED = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source"}
    | {"track", "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "option", "thead", "tbody", "tfoot"}
    | {"colgroup"}
)
"""Elements that are empty or close each other: they do not add to the depth, closed or not."""

_DRAWING = frozenset(
    {"svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "use", "defs", "symbol"}
    | {
        "stop",
        "lineargradient",
        "radialgradient",
        "clippath",
        "mask",
        "pattern",
        "marker",
        "title",
        "desc",
        "style",
        "a",
        "animate",
    }
)
"""Elements among which ``/>`` ends one. Anywhere else in HTML it means nothing, and any other element ends the drawing."""


def read(source: str, data: bytes, charset: str | None = None) -> list[Passage]:
    """Passages whose locator is the nearest anchor, else the path of headings. ``charset`` is what the server said.

    None where it only leads elsewhere, or has headings alone. :class:`SourceError` where it is no text, is nested too deep to
    parse, or shows nothing to read.
    """
    text = decoded(data, charset)
    parts = sections(text)
    found = sectioned.passages(source, parts, role_of(source))
    if not found and len(parts) < 2 and not _REDIRECT.search(text[:4096]):
        raise SourceError("it is a page without text of its own: it may be drawn by scripts, so save what a browser shows")
    return found


def sections(text: str, *, anchors: bool = True) -> list[Section]:
    """The sections of a page in order, blank ones included. ``anchors`` False: ids in it mean nothing to a reader."""
    if _depth(text) > MOST_DEPTH:
        raise SourceError(f"its elements are nested over {MOST_DEPTH} deep: it is no page made for reading")
    page = LexborHTMLParser(text)
    page.strip_tags(["script", "style", "noscript", "template"])  # theirs is no text: shares of the page are judged without
    title = page.css_first("head > title")
    writer = Writer(" ".join(title.text().split()) if title else "", anchors=anchors)
    root, found = main_part(page)
    if root is None:
        return []
    for node, entering in _walk(root, len(root.text(deep=True))):
        if entering:
            writer.enter(node)
        else:
            writer.leave(node)
    made = writer.close()
    return made if found or not anchors else prose_of(text, made)


def _walk(root: LexborNode, size: int) -> Iterator[tuple[LexborNode, bool]]:
    """Every node below ``root`` as (node, entering) in document order, furniture and what a Writer takes whole left out."""
    node = root.child
    while node is not None:
        skipped = is_furniture(node, size)
        if not skipped:
            yield node, True
            if not Writer.takes_whole(node) and node.child is not None:
                node = node.child
                continue
            yield node, False
        while node.next is None:
            above = node.parent
            if above is None or above.mem_id == root.mem_id:
                return
            node = above
            yield node, False
        node = node.next


def decoded(data: bytes, charset: str | None) -> str:
    """A page as text, by ``charset``, else by what it says itself, else by its bytes. :class:`SourceError` where it is none."""
    declared = _CHARSET.search(data[:4096])
    for name in (charset, declared[1].decode("ascii") if declared else None):
        if name and name.lower() not in _NO_CHARSETS:
            try:
                return data.decode(name, "replace")
            except (LookupError, ValueError):
                continue  # a name that nobody knows says nothing
    text = decode(data)
    if text is None:
        raise SourceError("it is not text, whatever its name says: save the page anew")
    return text


def _depth(text: str) -> int:
    """How deep elements nest at the most, judged by their tags alone."""
    depth = most = 0
    drawing = False
    for closing, tag, empty in _TAG.findall(text):
        name = tag.lower()
        drawing = not closing if name == "svg" else drawing and name in _DRAWING
        if name not in _UNNESTED and not (empty and drawing):
            depth = max(depth - 1, 0) if closing else depth + 1
            most = max(most, depth)
    return most
