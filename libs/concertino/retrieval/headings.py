"""Where the headings of a document stand: Markdown, reStructuredText by adornment, AsciiDoc; none in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from concertino.retrieval.blocks import fenced

_ATX = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r"^ {0,3}(=+|-{2,})[ \t]*$")
_ASCIIDOC = re.compile(r"^(={1,6})[ \t]+(\S.*)$")
_ASCIIDOC_LISTING = re.compile(r"^(-{4,}|={4,}|\.{4,}|\+{4,}|/{4,})\s*$")
_ADORNMENT = re.compile(r"^([^\w\s])\1{2,}[ \t]*$")
_OBJECT = re.compile(
    r"^\.\. (?:\w+:)?(?:function|class|method|classmethod|staticmethod|attribute|property|data|exception|decorator|module|"
    r"option|setting|envvar|confval|describe|object|command|macro|type|signal|directive|role)::[ \t]+(\S.*)$"
)
OBJECT_LEVEL = 100
"""An object that reStructuredText describes stands below every heading, and beside the next object."""

_ROLE = re.compile(r":[\w:-]+:`~?([^`<]*?)(?:\s*<[^`>]*>)?`")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")


class Heading(Struct, frozen=True):
    """A heading on lines ``start`` to ``end`` (exclusive, counted from 0). Level 1 is the highest."""

    start: int
    end: int
    level: int
    title: str


def headings(source: str, lines: Sequence[str]) -> list[Heading]:
    """The headings of a document in order. The suffix of ``source`` says which markup it is; ``.txt`` and none are sniffed."""
    suffix = source.rpartition("/")[2].rpartition(".")[2].lower()
    if suffix in {"md", "markdown", "mdx", "mkd"}:
        return list(_markdown(lines))
    if suffix in {"adoc", "asciidoc", "asc"}:
        return list(_asciidoc(lines))
    if suffix in {"rst", "rest"}:
        return list(_restructured(lines))
    by_adornment = list(_restructured(lines))
    by_mark = list(_markdown(lines))
    return by_adornment if len(by_adornment) >= len(by_mark) else by_mark


def _markdown(lines: Sequence[str]) -> Iterator[Heading]:
    i = _after_front_matter(lines)
    paragraph = i
    while i < len(lines):
        line = lines[i]
        after = max(fenced(lines, i, len(lines)), _after_comment(lines, i))
        if after > i:
            i = paragraph = after
            continue
        if match := _ATX.match(line):
            yield Heading(i, i + 1, len(match[1]), plain(match[2]))
            paragraph = i + 1
        elif i == paragraph + 1 and (match := _SETEXT.match(line)) and _may_be_title(lines[paragraph]):
            yield Heading(paragraph, i + 1, 1 if match[1][0] == "=" else 2, plain(lines[paragraph]))
            paragraph = i + 1
        elif not line.strip():
            paragraph = i + 1
        i += 1


def _after_comment(lines: Sequence[str], start: int) -> int:
    """The line after an HTML comment that opens on line ``start``; ``start`` where none does. An open one runs to the end."""
    if not lines[start].lstrip().startswith("<!--"):
        return start
    return next((i + 1 for i in range(start, len(lines)) if "-->" in lines[i]), len(lines))


def _may_be_title(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("    ", "\t", "|", ">", "- ", "* "))


def _after_front_matter(lines: Sequence[str]) -> int:
    if lines and lines[0].strip() == "---":
        for i in range(1, min(len(lines), 200)):
            if lines[i].strip() in {"---", "..."}:
                return i + 1
    return 0


def _asciidoc(lines: Sequence[str]) -> Iterator[Heading]:
    listing = ""
    for i, line in enumerate(lines):
        if _ASCIIDOC_LISTING.match(line):
            listing = "" if listing == line.strip() else listing or line.strip()
        elif not listing and (match := _ASCIIDOC.match(line)):
            yield Heading(i, i + 1, len(match[1]), plain(match[2]))


def _restructured(lines: Sequence[str]) -> Iterator[Heading]:
    levels: dict[tuple[str, bool], int] = {}
    i = 0
    while i < len(lines):
        found = _adorned(lines, i)
        if found:
            start, end, style = found
            level = levels.setdefault(style, len(levels) + 1)
            yield Heading(start, end, level, plain(lines[end - 2]))
            i = end
            continue
        if match := _OBJECT.match(lines[i]):
            yield Heading(i, i + 1, OBJECT_LEVEL, plain(match[1]))
        i += 1


def _adorned(lines: Sequence[str], i: int) -> tuple[int, int, tuple[str, bool]] | None:
    """Start, end and style of the title that begins on line ``i``, with or without a line above it."""
    overlined = bool(_ADORNMENT.match(lines[i]))
    title_at = i + 1 if overlined else i
    if title_at + 1 >= len(lines):
        return None
    title, under = lines[title_at], lines[title_at + 1].rstrip()
    if not title.strip() or (title[0] in " \t" and not overlined) or _ADORNMENT.match(title) or not _ADORNMENT.match(under):
        return None
    if overlined and lines[i].rstrip() != under:
        return None
    if len(under) < min(4, len(title.strip())) or title.startswith(".. ") or (i > 0 and not overlined and lines[i - 1].strip()):
        return None
    return i, title_at + 2, (under[0], overlined)


def plain(title: str) -> str:
    """A heading without its markup."""
    title = _LINK.sub(r"\1", _ROLE.sub(r"\1", title))
    return re.sub(r"[`*]+|\{#[^}]*\}|<[^>]+>", "", title).strip()
