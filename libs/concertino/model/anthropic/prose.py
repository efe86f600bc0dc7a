"""Prose with native citations, as Markdown with marks: ``[id]`` right behind what cites it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from concertino.model import marks
from concertino.model.anthropic.session import Piece

_END = re.compile(r"[\s.,;:!?|]*\Z")
_TICKS = re.compile(r"`+|\n")
_OPEN, _CLOSE = "\ue000", "\ue001"
"""Around our marks until those of the author are gone. Both are from the range that no text uses."""
_WORDS = 8
"""Words from which on a paragraph states something."""
_FLAG = "*(cites nothing)*"
_ROW_END = re.compile(r"\s*\|?\s*\Z")
_TABLE_HEAD = re.compile(r"\|?[\s:|-]+\|?")


def marked(pieces: Sequence[Piece], ids: Sequence[str]) -> str:
    """The text of ``pieces``, with marks for what they cite: ``ids`` by the places that they name.

    Marks that the author wrote count only where no citation is native, and only for ``ids``: a text that is quoted has
    footnotes of its own.
    """
    text = ""
    waiting: list[str] = []
    native = False
    for piece in pieces:
        body = re.sub(f"[{_OPEN}{_CLOSE}]", "", piece.text)
        for end in _stops(body) if waiting else ():
            if not marks.unclosed(text + body[:end]):
                text, body = _placed(text + body[:end], waiting), body[end:]
                waiting = []
                break
        text += body
        cites = [ids[place] for place in dict.fromkeys(piece.cites) if 0 <= place < len(ids)]
        native = native or bool(cites)
        waiting += [id_ for id_ in cites if id_ not in waiting]
        if waiting and not marks.unclosed(text):
            text, waiting = _placed(text, waiting), []
    # Backticks at the very end only grow longer by more of them: what nothing can close is no code either.
    if (closing := marks.unclosed(text)) and not marks.unclosed(text + closing):
        text += closing
    if waiting:
        text = _placed(text, waiting)
    offered = set() if native else set(ids)
    text, _ = marks.without(text, lambda id_: id_ not in offered)
    return text.replace(_OPEN, "[").replace(_CLOSE, "]")


def uncited(text: str) -> int:
    """Paragraphs, entries and rows of ``text`` that state something, by their length, and cite nothing."""
    return sum(1 for _ in _bare(text))


def flagged(text: str) -> str:
    """``text`` with a note on each of those: what nothing vouches for is not to look like what something does. Without one go
    what leads up to a list and the head of a table."""
    lines = text.split("\n")
    for last in _bare(text):
        head = lines[last].lstrip().startswith("|") and _TABLE_HEAD.fullmatch("".join(lines[last + 1 : last + 2]).strip())
        if not head and not lines[last].rstrip().endswith(":"):
            end = _ROW_END.search(lines[last])
            assert end
            lines[last] = f"{lines[last][: end.start()]} {_FLAG}{end[0]}"
    return "\n".join(lines)


def _bare(text: str) -> Iterator[int]:
    """The last lines of what states something and cites nothing."""
    for paragraph, last in _paragraphs(text):
        if len(paragraph.split()) >= _WORDS and not marks.ids(paragraph):
            yield last


def _paragraphs(text: str) -> Iterator[tuple[str, int]]:
    """Each with the number of its last line, from 0. Headings, code and what stands between a table's head and its rows are
    none."""
    lines: list[str] = []
    last = 0
    for number, (line, fenced) in enumerate((*marks.lines(text), ("", False))):
        bare = line.strip()
        begins = re.match(r"(?:[-*+]|\d+[.)])\s|\|", bare)
        if fenced or not bare or begins or bare.startswith("#"):
            if lines:
                yield " ".join(lines), last
            lines = []
        if bare and not fenced and not bare.startswith("#") and not _TABLE_HEAD.fullmatch(bare):
            lines.append(bare)
            last = number


def _stops(body: str) -> Iterator[int]:
    """Where code may end."""
    yield from (found.end() for found in _TICKS.finditer(body))


def _placed(text: str, ids: Sequence[str]) -> str:
    """``text`` with marks at its end: before the sentence's full stop and a row's last bar, below a fence."""
    stripped = text.rstrip()
    made = " ".join(f"{_OPEN}{id_}{_CLOSE}" for id_ in ids)
    if marks.fence(stripped.rpartition("\n")[2]):
        return f"{stripped}\n\n{made}{text[len(stripped) :] or chr(10)}"
    end = _END.search(text)
    assert end
    gap = " " if end.start() else ""
    return f"{text[: end.start()]}{gap}{made}{text[end.start() :]}"
