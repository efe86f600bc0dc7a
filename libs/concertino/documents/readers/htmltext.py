"""The text of a page as it is walked: paragraphs, lists, tables and code, under the heading and anchor they stand by."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from concertino.documents.readers.sections import Section

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DEFINED = 7
"""The level of a definition term that has an anchor, as API references have them: below every heading."""

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div"}
    | {"dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr"}
    | {"legend", "li", "main", "ol", "p", "section", "summary", "table", "tbody", "td", "tfoot", "th"}
    | {"thead", "tr", "ul"}
)
_LAYOUT = "table, pre, h1, h2, h3, h4, h5, h6, ul, ol, dl"
"""A table that holds one of these arranges a page: it is read as blocks, not as rows."""

_PERMALINKS = "a.headerlink, a.anchor, a.anchorjs-link, a.hash-link, a.doc-anchor, .headerlink"
_CONTROLS = "button, svg, script, style, template"
_MARKS = " \t\n¶#§🔗🔖"
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BREAK = "\x0b"
"""Stands for <br> until white space is collapsed."""


class Writer:
    """Fed with the nodes of a page as they are entered and left; :meth:`close` gives the sections."""

    def __init__(self, title: str, *, anchors: bool) -> None:
        self._title = title
        self._anchors = anchors
        self._headings: list[tuple[int, str]] = []
        self._made = [Section((title,) if title else (), "", [])]
        self._inline: list[str] = []
        self._prefix = ""
        self._pending = ""
        """A heading that nothing was written under yet: it is no text of its own."""
        self._id = ""
        """The last anchor since which nothing was written."""

    @staticmethod
    def takes_whole(node: LexborNode) -> bool:
        """Whether :meth:`enter` deals with all of ``node``, so that its children are not walked."""
        tag = node.tag or ""
        if tag == "table":
            return _only_itself(node)
        return tag == "pre" or tag in _HEADINGS or _is_defined(node)

    def enter(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if node.is_text_node:
            self._inline.append(node.text_content or "")
            return
        if tag in _BLOCKS or tag in _HEADINGS or tag == "pre":
            self._flush()
        if anchor := _anchor(node):
            self._id = anchor
        if tag in _HEADINGS:
            self._head(node, _HEADINGS[tag])
        elif _is_defined(node):
            self._define(node)
        elif tag == "pre":
            self._write(node.text(deep=True).replace("\r\n", "\n").strip("\n"))
        elif tag == "table" and self.takes_whole(node):
            self._write(_rows(node))
        elif tag == "li":
            self._prefix = "- "
        elif tag == "br":
            self._inline.append(_BREAK)

    def leave(self, node: LexborNode) -> None:
        if node.tag in _BLOCKS:
            self._flush()

    def close(self) -> list[Section]:
        self._flush()
        return self._made

    def _flush(self) -> None:
        text = _collapsed("".join(self._inline))
        self._inline.clear()
        if text:
            prefix, self._prefix = self._prefix, ""
            self._write(prefix + text, item=bool(prefix))

    def _write(self, block: str, *, item: bool = False) -> None:
        if not block.strip():
            return
        self._id = ""
        blocks = self._made[-1].blocks
        if self._pending:
            blocks.append(self._pending)
            self._pending = ""
        if item and blocks and blocks[-1].startswith("- ") and len(blocks[-1]) < 1_200:
            blocks[-1] += "\n" + block  # a list is one block
        else:
            blocks.append(block)

    def _head(self, node: LexborNode, level: int) -> None:
        for button in node.css(_CONTROLS):
            button.decompose()
        for link in node.css(_PERMALINKS):
            if not link.text(deep=True).strip(_MARKS):
                self._id = self._id or (link.attributes.get("id") or link.attributes.get("name") or "")
                link.decompose()
        name = _collapsed(node.text(deep=True)).strip(_MARKS)
        within = node.css_first("[id], a[name]")
        if within is not None and not (node.attributes.get("id") or ""):
            self._id = within.attributes.get("id") or within.attributes.get("name") or self._id
        if name:
            self._open(level, name)
            self._pending = name

    def _define(self, node: LexborNode) -> None:
        """A term with an anchor: the anchor is its name, the whole term (a signature, mostly) its text."""
        for link in node.css(_PERMALINKS):
            link.decompose()
        signature = _collapsed(node.text(deep=True))
        if signature:
            self._open(_DEFINED, _name(signature))
            self._pending = ""
            self._write(signature)

    def _open(self, level: int, name: str) -> None:
        self._headings = [(above, text) for above, text in self._headings if above < level]
        self._headings.append((level, name))
        path = tuple(text for _, text in self._headings)
        if self._headings[0][0] != 1 and self._title and path[0].lower() not in self._title.lower():
            path = (self._title, *path)  # no heading names the page
        self._made.append(Section(path, self._id if self._anchors else "", []))
        self._id = ""


def _anchor(node: LexborNode) -> str:
    found = node.attributes.get("id") or (node.attributes.get("name") if node.tag == "a" else "")
    return found or ""


def _is_defined(node: LexborNode) -> bool:
    return node.tag == "dt" and bool(node.attributes.get("id"))


def _name(signature: str) -> str:
    """``requests.get`` of ``requests.get(url, params=None) -> Response [source]``."""
    head = signature.split("(", 1)[0].strip()
    return head if 0 < len(head) <= 80 else signature[:80]


def _collapsed(text: str) -> str:
    lines = _SPACE.sub(" ", text.replace("\xa0", " ")).split(_BREAK)
    return "\n".join(line.strip() for line in lines).strip()


def _only_itself(table: LexborNode) -> bool:
    found = table.css(_LAYOUT)
    return all(node.mem_id == table.mem_id for node in found)


def _rows(table: LexborNode) -> str:
    rows: list[str] = []
    for row in table.css("tr"):
        cells: list[str] = []
        cell = row.child
        while cell is not None:
            if cell.tag in {"td", "th"}:
                cells.append(_collapsed(cell.text(deep=True)).replace("\n", " "))
            cell = cell.next
        if any(cells):
            rows.append(" | ".join(cells))
    return "\n".join(rows)
