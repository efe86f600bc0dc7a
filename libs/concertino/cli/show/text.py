"""Text from requests, sources and models, made fit for a terminal: whatever they hold, they move no cursor and set no title."""

from __future__ import annotations

import re
from collections.abc import Iterable

from concertino.contracts.messages import Locator

_FORM = re.compile(r"(\.git|\.dist-info)/?$")
"""What says of a root only in which form it came: a repository, an installed package."""

# C0 without tab and newline, DEL, C1 (ESC and CSI among them), and the marks that turn the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """``text`` without control characters; newlines and tabs stay."""
    return _UNPRINTABLE.sub("", text)


def one_line(text: str, width: int | None = None) -> str:
    """``text`` on one line, cut at a word with an ellipsis where it is longer than ``width`` characters."""
    line = " ".join(clean(text.replace("\r", " ")).split())
    if width is None or len(line) <= width:
        return line
    cut = line[: width - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > width // 2 else cut).rstrip(" ,;:") + "…"


def place(source: str, locator: Locator, root: str = "") -> str:
    """``src/a.py:12-18``, ``a.pdf, page 3``, ``https://example.org/x#limits``; ``root`` before it, unless that is the file."""
    source = f"{root}/{source}" if root.rpartition("/")[2] not in ("", source) else source
    if locator.lines:
        first, last = locator.lines
        return _name(f"{source}:{first}" if first == last else f"{source}:{first}-{last}")
    if locator.page is not None:
        return _name(f"{source}, page {locator.page}")
    if locator.fragment:
        return _name(f"{source}#{locator.fragment}")
    return _name(source)


def _name(text: str) -> str:
    """``text`` on one line: a file may have a newline in its name, and is not to begin one of ours."""
    return clean(text.replace("\n", "\N{REPLACEMENT CHARACTER}").replace("\r", "\N{REPLACEMENT CHARACTER}"))


def short_roots(roots: Iterable[str]) -> dict[str, str]:
    """What to call each root: nothing if there is but one, else as little of its end as tells it from the others.

    Of ``/srv/a/src`` and ``/srv/b/src`` that is two names.
    """
    parts = {root: [part for part in _FORM.sub("", root).split("/") if part] for root in set(roots)}
    if len(parts) == 1:
        return dict.fromkeys(parts, "")
    short: dict[str, str] = {}
    for root, mine in parts.items():
        others = [other for other in parts if other != root]
        enough = (n for n in range(1, len(mine)) if all(parts[other][-n:] != mine[-n:] for other in others))
        short[root] = "/".join(mine[-next(enough, len(mine)) :])
    return short


def plural(count: int, noun: str) -> str:
    """``1 finding``, ``2 findings``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
