"""Parts of a document by line, page, fragment or heading. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage
from concertino.documents.readers.sections import SEPARATOR

DEFAULT_LINES = 200
MOST_LINES = 400
MOST_CHARACTERS = 30_000
"""What one reading returns: the rest is read by another call."""

_NAMED = 12


class Heading(Struct, frozen=True):
    """A heading path, and where what it heads begins."""

    source: str
    title: str
    locator: Locator
    root: str = ""
    """As in the :class:`Passage` that it is from."""


def headings(passages: Sequence[Passage]) -> list[Heading]:
    """Every heading path of a document once, in order."""
    seen: dict[str, Heading] = {}
    for passage in passages:
        if passage.title:
            seen.setdefault(passage.title, Heading(passage.source, passage.title, passage.locator, passage.root))
    return list(seen.values())


def by_lines(of: Passage, lines: Sequence[str], first: int, last: int) -> Passage:
    """Lines ``first`` to ``last``, counted from 1, of the document that ``of`` belongs to; at most MOST_LINES of them.

    ``last`` 0 asks for DEFAULT_LINES. :class:`Invalid` where there are no such lines.
    """
    count = len(lines) - 1 if lines and not lines[-1] else len(lines)
    if not 1 <= first <= count or (last and last < first):
        raise Invalid(f"{of.source} has lines 1 to {count}: {first} to {last} are none of them")
    end = min(last or first + DEFAULT_LINES - 1, count, first + MOST_LINES - 1)
    size = 0
    for number in range(first, end + 1):
        size += len(lines[number - 1]) + 1
        if size > MOST_CHARACTERS and number > first:
            end = number - 1
            break
    return msgspec.structs.replace(of, text="\n".join(lines[first - 1 : end]), locator=Locator(lines=(first, end)))


def by_page(passages: Sequence[Passage], page: int) -> Passage:
    """All of one page. :class:`Invalid` where it holds no text."""
    found = [passage for passage in passages if passage.locator.page == page]
    if not found:
        raise Invalid(f"{passages[0].source} has no text on a page {page}: read it by {ways_in(passages)}")
    return _joined(found)


def by_fragment(passages: Sequence[Passage], fragment: str) -> Passage:
    """All that has this fragment, or else this heading: the whole path, or the last part of it where it is the only one.

    For documents of lines the locator spans them all. :class:`Invalid` where there is none, naming some that there are.
    """
    wanted = fragment.removeprefix("#").strip().casefold()
    tests: tuple[Callable[[Passage], bool], ...] = (
        lambda p: p.locator.fragment == fragment,
        lambda p: (p.locator.fragment or "").removeprefix("#").casefold() == wanted,
        lambda p: p.title.casefold() == wanted,
        lambda p: p.title.split(SEPARATOR)[-1].casefold() == wanted,
    )
    for test in tests:
        if found := [passage for passage in passages if test(passage)]:
            same = [p for p in found if (p.title, p.locator.fragment) == (found[0].title, found[0].locator.fragment)]
            return _joined(same)
    raise Invalid(f"{passages[0].source} has no fragment or heading {fragment!r}: read it by {ways_in(passages)}")


def ways_in(passages: Sequence[Passage]) -> str:
    """How parts of the document are named, with examples."""
    numbers = [passage.locator.page for passage in passages if passage.locator.page]
    if numbers:
        return f"pages {numbers[0]} to {numbers[-1]}"
    lines = [passage.locator.lines for passage in passages if passage.locator.lines]
    if lines:
        return f"lines 1 to {lines[-1][1]}"
    names = list(dict.fromkeys(passage.locator.fragment for passage in passages if passage.locator.fragment))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"fragments {', '.join(repr(name) for name in names[:_NAMED])}{more}"


def _joined(found: Sequence[Passage]) -> Passage:
    first = found[0]
    text = "\n\n".join(passage.text for passage in found)
    if first.locator.lines and (last := found[-1].locator.lines):
        return msgspec.structs.replace(first, text=text, locator=Locator(lines=(first.locator.lines[0], last[1])))
    return msgspec.structs.replace(first, text=text[:MOST_CHARACTERS])
