"""Text documents to passages: sections by their headings, cut at the borders of paragraphs where they are long."""

from __future__ import annotations

import re
from collections.abc import Sequence

from concertino.contracts.messages import Locator, Passage
from concertino.retrieval.blocks import Block, blocks
from concertino.retrieval.headings import Heading, headings
from concertino.retrieval.roles import Role, role_of
from concertino.retrieval.tokens import STOP_WORDS

MOST_LINES = 40
MOST_CHARACTERS = 4000
HUGE_LINES = 80
"""A single block longer than this is cut; up to here a code block stays whole, with the paragraph that introduces it."""

_CHANGELOG = re.compile(r"(change ?(s|log)|history|release notes?|what.s new|news)( (in|for|of|since)\b.*)?", re.IGNORECASE)
_WORD = re.compile(r"[a-z']+")
_MANY_WORDS, _LIKE_SPEECH = 60, 0.03
"""Words from which on a passage can be told to be no speech, and the share of function words below which it is none: in prose
a third of the words are, in a terse table of options one in ten."""
_EXAMPLE = re.compile(r"(an? )?(code )?(example|sample)s?", re.IGNORECASE)


def passages(source: str, text: str) -> list[Passage]:
    """The passages of a Markdown, reStructuredText, AsciiDoc or plain text document.

    ``source`` is the path that they will carry; its suffix says which markup to read. ``text`` has ``\\n`` line ends. The
    text of a passage is literally lines ``a`` to ``b``; its title is the path of headings, as ``Guide > Retries``.
    """
    lines = text.split("\n")
    found = headings(source, lines)
    role = role_of(source)
    made: list[Passage] = []
    for start, end, path in _sections(found, lines):
        for first, last in _cut(lines, start, end):
            cut = "\n".join(lines[first:last])
            made.append(
                Passage(
                    source=source,
                    text=cut,
                    locator=Locator(lines=(first + 1, last)),
                    title=" > ".join(path),
                    role="data" if _is_word_list(cut) else _role(role, path),
                )
            )
    return made


def _sections(found: Sequence[Heading], lines: Sequence[str]) -> list[tuple[int, int, tuple[str, ...]]]:
    """First line, end (exclusive) and heading path of each section. A heading without a text of its own leads the next one."""
    count = len(lines)
    sections: list[tuple[int, int, tuple[str, ...]]] = []
    if not found or found[0].start > 0:
        sections.append((0, found[0].start if found else count, ()))
    path: list[Heading] = []
    lead: int | None = None
    for i, heading in enumerate(found):
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        end = found[i + 1].start if i + 1 < len(found) else count
        bare = not any(line.strip() for line in lines[heading.end : end])
        deeper = i + 1 < len(found) and found[i + 1].level > heading.level
        start = heading.start if lead is None else lead
        if bare and deeper:
            lead = start
            continue
        lead = None
        sections.append((start, end, tuple(h.title for h in path)))
    return sections


def _is_word_list(text: str) -> bool:
    """Whether ``text`` is a list of words, as of a dictionary: it names everything and says nothing."""
    words = _WORD.findall(text.lower())
    return len(words) >= _MANY_WORDS and sum(word in STOP_WORDS for word in words) < len(words) * _LIKE_SPEECH


def _cut(lines: Sequence[str], start: int, end: int) -> list[tuple[int, int]]:
    """Ranges of at most about MOST_LINES lines, blank lines at their ends left out."""
    ranges: list[tuple[int, int]] = []
    current: Block | None = None
    for block in blocks(lines, start, end):
        for piece in _pieces(lines, block):
            if current is None:
                current = piece
            elif _fits(lines, current, piece):
                current = Block(current.start, piece.end, current.glued)
            else:
                ranges.append((current.start, current.end))
                current = piece
    if current is not None:
        ranges.append((current.start, current.end))
    return ranges


def _fits(lines: Sequence[str], current: Block, piece: Block) -> bool:
    span = piece.end - current.start
    if piece.glued and span <= HUGE_LINES:
        return True
    return span <= MOST_LINES and sum(len(line) for line in lines[current.start : piece.end]) <= MOST_CHARACTERS


def _pieces(lines: Sequence[str], block: Block) -> list[Block]:
    if block.end - block.start <= HUGE_LINES:
        return [block]
    return [
        Block(i, min(i + MOST_LINES, block.end), block.glued and i == block.start)
        for i in range(block.start, block.end, MOST_LINES)
    ]


def _role(of_file: Role, path: Sequence[str]) -> Role:
    if of_file != "text":
        return of_file
    if any(_CHANGELOG.fullmatch(title) for title in path):
        return "changelog"
    return "example" if path and _EXAMPLE.fullmatch(path[-1]) else "text"
