"""Marks: ``[3]`` in a report cites exhibit 3. What looks like one in code, or behind a backslash, is not ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_PIECE = re.compile(r"(?P<code>(?<![`\\])(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))|(?P<space> ?)(?<!\\)\[(?P<id>\d{1,6})\]")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,})")
_TICKS = re.compile(r"(?<![`\\])`+")


def without(text: str, drop: Callable[[str], bool]) -> tuple[str, int]:
    """``text`` without the marks whose ids ``drop`` says yes to, and how many these were."""
    dropped = 0

    def kept(piece: re.Match[str]) -> str:
        nonlocal dropped
        if piece["code"] or not drop(piece["id"]):
            return piece[0]
        dropped += 1
        return ""

    while True:  # where one went, what stood around it may be another: [[7]8]
        before = dropped
        text = "\n".join(line if fenced else _PIECE.sub(kept, line) for line, fenced in lines(text))
        if dropped == before:
            return text, dropped


def ids(text: str) -> list[str]:
    """The ids of the marks in ``text``, each once, in its order."""
    return list(dict.fromkeys(id_ for line, fenced in lines(text) if not fenced for id_, *_ in places(line)))


def places(line: str) -> list[tuple[str, int, int]]:
    """The marks in a line that belongs to no fenced block: id, start and end."""
    return [(piece["id"], *piece.span()) for piece in _PIECE.finditer(line) if piece["id"]]


def lines(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of ``text``, and whether each belongs to a fenced block. A fence ends at one as long as it, or longer."""
    for line, fence, opens in _fenced(text):
        yield line, bool(fence) or opens


def unclosed(text: str) -> str:
    """What would end the code that ``text`` breaks off in: a fence on a line of its own or backticks; empty where it ends
    outside of code."""
    line, fence, opens = list(_fenced(text))[-1]
    if opens:
        opened = _FENCE.match(line)
        assert opened
        fence = opened["fence"]
    if fence:
        return "" if not opens and _closes(line, fence) else f"\n{fence}\n"
    ticks = list(_TICKS.finditer(_PIECE.sub(lambda piece: " " * len(piece[0]), line)))
    return ticks[0][0] if ticks else ""


def fence(line: str) -> bool:
    """Whether ``line`` begins or ends a fenced block, as far as it says so itself."""
    return bool(_FENCE.match(line))


def _fenced(text: str) -> Iterator[tuple[str, str, bool]]:
    """Each line, the fence that it stands behind, and whether it opens one."""
    open_ = ""
    for line in text.split("\n"):
        if open_:
            yield line, open_, False
            if _closes(line, open_):
                open_ = ""
        elif found := _FENCE.match(line):
            open_ = found["fence"]
            yield line, "", True
        else:
            yield line, "", False


def _closes(line: str, fence: str) -> bool:
    closing = line.strip()
    return len(closing) >= len(fence) and set(closing) == {fence[0]}
