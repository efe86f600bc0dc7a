"""The pages that one brief has fetched: as passages, searchable, with what is to be known about each."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec
from msgspec import Struct, structs

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Locator, Passage
from concertino.documents import formats, material
from concertino.documents.fetch import Fetched
from concertino.documents.readers.html import decoded
from concertino.retrieval.index import Index
from concertino.retrieval.search import SearchResult
from concertino.retrieval.tree import File
from concertino.web.dates import Told, told
from concertino.web.standing import Standing, standing

LONGEST_PASSAGE = 8_000
"""Characters: some pages are one line."""
MOST_CHARACTERS = 2_000_000
"""Of one page that are kept, a thousand sheets of paper, and """
MOST_PASSAGES = 5_000
"""pieces of it."""

_HTML = frozenset({"text/html", "application/xhtml+xml", ""})
_TEXT = ("text/", "application/json", "application/xml", "application/javascript", "application/yaml", "application/x-yaml")


class Page(Struct, frozen=True):
    """One page as it was read. ``published`` and ``updated`` are ISO days, empty where it does not tell."""

    url: str
    """Where it came from in the end, without credentials and fragment."""
    title: str
    published: str
    updated: str
    standing: Standing
    passages: tuple[Passage, ...]
    cut: bool = False
    """Whether there is more than is kept of it."""


def read(fetched: Fetched) -> Page:
    """``fetched`` as a page. Takes its time. :class:`SourceError`, naming it, where there is nothing to read in it."""
    try:
        kept, cut = _cut(fetched)
        whole = _passages(kept)
    except SourceError as e:
        raise SourceError(f"{fetched.url}: {e}") from e
    passages = tuple(islice(_bounded(whole), MOST_PASSAGES))
    if not passages:
        raise SourceError(f"{fetched.url}: there is no text on it")
    head = _told(fetched)
    title = head.title or next((p.title for p in passages if p.title), "")
    cut = cut or sum(len(p.text) for p in passages) < sum(len(p.text) for p in whole)
    return Page(fetched.url, title, head.published, head.updated, standing(fetched.url), passages, cut)


class Pages:
    """All of them, by their address. Everything but :meth:`get` takes its time."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._index = Index(None, version="web")
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pages)

    def add(self, page: Page) -> None:
        with self._lock:
            self._pages[page.url] = page
            files = [File(url, len(known.passages), 0) for url, known in self._pages.items()]
            self._index.refresh(files, lambda file: list(self._pages[file.path].passages))

    def get(self, url: str) -> Page | None:
        return self._pages.get(url)

    def search(self, query: str, limit: int) -> SearchResult:
        return self._index.search(query, limit)

    def close(self) -> None:
        self._index.close()


def _cut(fetched: Fetched) -> tuple[Fetched, bool]:
    """Of documents of lines the beginning: to read all of it takes longer than anybody waits."""
    if fetched.content_type in _HTML or not _is_lines(fetched.content_type) or len(fetched.data) <= MOST_CHARACTERS:
        return fetched, False
    return structs.replace(
        fetched, data=fetched.data[:MOST_CHARACTERS].rpartition(b"\n")[0] or fetched.data[:MOST_CHARACTERS]
    ), True


def _is_lines(content_type: str) -> bool:
    return content_type.startswith(_TEXT) or content_type.endswith(("+json", "+xml"))


def _passages(fetched: Fetched) -> Sequence[Passage]:
    try:
        return material.Page(fetched.url, fetched).passages(fetched.url)
    except SourceError:
        text = _text(fetched)
        if text is None:
            raise
        return [structs.replace(p, source=fetched.url) for p in formats.read("page.txt", text)]


def _text(fetched: Fetched) -> bytes | None:
    """Data and markup that no reader knows, as lines; None where it is none of these, or a page without text of its own."""
    kind = fetched.content_type
    if kind in _HTML or not _is_lines(kind):
        return None
    if kind.endswith("json"):
        try:
            return msgspec.json.format(fetched.data, indent=2)
        except (msgspec.DecodeError, RecursionError):
            pass  # said to be JSON, and is not, or not for people: read as it stands
    return fetched.data


def _bounded(passages: Sequence[Passage]) -> Iterator[Passage]:
    size = 0
    for passage in passages:
        for start in range(0, len(passage.text), LONGEST_PASSAGE):
            if size >= MOST_CHARACTERS:
                return
            piece = _piece(passage, start)
            size += len(piece.text)
            yield piece


def _piece(passage: Passage, start: int) -> Passage:
    text = passage.text[start : start + LONGEST_PASSAGE]
    if len(text) == len(passage.text) or passage.locator.lines is None:
        return structs.replace(passage, text=text)
    first = passage.locator.lines[0] + passage.text.count("\n", 0, start)
    return structs.replace(passage, text=text, locator=Locator(lines=(first, first + text.count("\n"))))


def _told(fetched: Fetched) -> Told:
    if fetched.content_type not in _HTML:
        return Told()
    try:
        return told(decoded(fetched.data, fetched.charset))
    except SourceError:
        return Told()
