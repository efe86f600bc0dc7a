"""What a researcher can do on the web: search it, fetch pages, and search what was fetched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from concertino.contracts.errors import ConcertinoError, Invalid, Refused, SourceError, Transient
from concertino.contracts.messages import Passage
from concertino.documents.fetch import parse, shown
from concertino.retrieval.search import SearchResult
from concertino.runtime.threads import in_thread
from concertino.web.fetcher import Fetcher
from concertino.web.pages import Page, Pages, read
from concertino.web.providers import Provider
from concertino.web.standing import Standing, age, standing, today

MOST_PAGES = 50
"""That one brief may ask hosts for."""
AT_ONCE = 6
"""Pages on their way at the same time; of one host there is never more than one."""
PART = 20_000
"""Characters of a page that one call returns, passages kept whole."""
GATHERING_SECONDS = 90.0
"""For all pages that are fetched before a model begins."""
READING_SECONDS = 60.0
"""For making passages of a page: what takes longer is made to."""
_MOST_HITS = 50
_MOST_FOUND = 20


class About(Struct, frozen=True):
    """A page: where it is, what it calls itself, how old it says it is, and what kind of place it comes from."""

    url: str
    title: str
    standing: Standing
    published: str = ""
    updated: str = ""
    age: str = ""
    """Since it was last changed, as far as it tells."""


class Part(Struct, frozen=True):
    """One part of a page, literally. ``more`` says how to read on, and is empty at the end."""

    page: About
    passages: tuple[Passage, ...]
    part: int
    parts: int
    more: str = ""


class Matches(SearchResult, frozen=True):
    """Passages, and the pages that they are from."""

    pages: tuple[About, ...] = ()


class Found(Struct, frozen=True):
    """A page that a search engine names. Its snippet is no evidence: fetch the page."""

    url: str
    title: str
    snippet: str
    standing: Standing
    published: str = ""
    fetched: bool = False


class Web:
    """The web as one brief sees it."""

    def __init__(self, fetcher: Fetcher, provider: Provider | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._fetcher, self._provider, self._now = fetcher, provider, now
        self._pages = Pages()
        self._fetched: dict[str, Page] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._free = asyncio.Semaphore(AT_ONCE)
        self._asked = 0
        self.failed: dict[str, ConcertinoError] = {}
        """Every page that could not be read, and why."""

    def __len__(self) -> int:
        """How many pages were read."""
        return len(self._pages)

    @property
    def searches(self) -> bool:
        """Whether there is a search engine."""
        return self._provider is not None

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Page and reason of every one that could not be read."""
        return [(name, str(e).removeprefix(f"{name}: ")) for name, e in self.failed.items()]

    def tools(self) -> list[Callable[..., Awaitable[Any]]]:
        """What to offer to a model."""
        return [*([self.web_search] if self._provider else []), self.fetch, self.search]

    async def close(self) -> None:
        await asyncio.to_thread(self._pages.close)

    async def get_all(self, urls: Iterable[str], seconds: float = GATHERING_SECONDS) -> None:
        """Fetch pages side by side. Those that fail, or do not come within ``seconds``, are in :attr:`failed`."""
        wanted = list(urls)

        async def one(url: str) -> None:
            try:
                await self.get(url)
            except ConcertinoError as e:
                self.failed.setdefault(name_of(url), e)

        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*map(one, wanted))
        except TimeoutError:
            for name in map(name_of, wanted):
                if name not in self._fetched:
                    late = f"{name}: it did not come within {seconds:g} s, together with the others: try it again by itself"
                    self.failed.setdefault(name, Transient(late))

    async def get(self, url: str) -> Page:
        """The page at ``url``, fetched unless it was. Raises what :meth:`Fetcher.fetch` raises, and :class:`Refused` beyond
        MOST_PAGES."""
        name = name_of(url)
        async with self._asking.setdefault(name, asyncio.Lock()):
            if known := self._fetched.get(name):
                return known
            if self._asked >= MOST_PAGES:
                raise Refused(
                    f"{name}: {MOST_PAGES} pages were asked for, and a brief may ask for no more: write up what there is"
                )
            self._asked += 1
            try:
                async with self._free:
                    page = await self._read(url)
            except ConcertinoError as e:
                self.failed[name] = e
                raise
            self.failed.pop(name, None)
            self._fetched[name] = self._fetched[page.url] = page
            return page

    async def find(self, query: str, limit: int) -> list[Found]:
        """What the search engine of the installation names; nothing where there is none."""
        if self._provider is None:
            return []
        hits = await self._provider.search(query, limit)
        urls = dict.fromkeys(hit.url for hit in hits)
        by_url = {hit.url: hit for hit in reversed(hits) if hit.url.lower().startswith(("http://", "https://"))}
        return [
            Found(hit.url, hit.title, hit.snippet, standing(hit.url), hit.published, hit.url in self._fetched)
            for hit in (by_url[url] for url in urls if url in by_url)
        ]

    async def web_search(self, query: str, limit: int = 10) -> list[Found]:
        """Search the whole web for pages. Use few words first, look at what there is, then narrow.

        What comes back are addresses with snippets: fetch those that matter, as only what was fetched can be quoted.
        Prefer the primary source and the makers' own documentation to whoever retells them. `limit` is at most 20.
        """
        return await self.find(query, min(max(limit, 1), _MOST_FOUND))

    async def fetch(self, url: str, part: int = 1) -> Part:
        """Fetch a page (HTML, PDF, Markdown, text and other documents) and read it as passages that can be quoted.

        Long pages come in parts: `more` says how to go on. Give an address that the brief, a search or a page named. A page
        that its host keeps from robots, or that lies in a private network, cannot be fetched.
        """
        if parse(url).userinfo:
            raise Invalid("fetch: leave user and password out of the address")
        page = await self.get(url)
        parts = _parts(page.passages)
        if not 1 <= part <= len(parts):
            raise Invalid(f"{page.url} has parts 1 to {len(parts)}: there is no part {part}")
        more = "the page goes on, and is too long to be kept whole" if page.cut else ""
        if part < len(parts):
            more = f"part {part + 1} of {len(parts)}: fetch(url={url!r}, part={part + 1})"
        return Part(self._about(page), parts[part - 1], part, len(parts), more)

    async def search(self, query: str, limit: int = 20) -> Matches:
        """Find the passages that answer best in all pages fetched so far. It does not search the web.

        Give the words that the answer would use; ask again with other words where the first hits do not answer. `limit` is
        at most 50.
        """
        found = await in_thread(self._pages.search, query, min(max(limit, 1), _MOST_HITS))
        urls = dict.fromkeys(hit.passage.source for hit in found.hits)
        pages = tuple(self._about(page) for url in urls if (page := self._pages.get(url)))
        return Matches(found.hits, found.frequencies, found.passages, pages)

    def standing(self, url: str) -> Standing:
        """Of a page that was fetched."""
        page = self._pages.get(url)
        return page.standing if page else "unknown"

    async def _read(self, url: str) -> Page:
        fetched = await self._fetcher.fetch(url)
        if known := self._pages.get(fetched.url):
            return known
        try:
            async with asyncio.timeout(READING_SECONDS):
                page = await in_thread(read, fetched)
        except TimeoutError as e:
            raise Refused(f"{fetched.url}: it takes over {READING_SECONDS:g} s to read: it is no page made for reading") from e
        await in_thread(self._pages.add, page)
        return page

    def _about(self, page: Page) -> About:
        old = age(page.updated or page.published, today(self._now()))
        return About(page.url, page.title, page.standing, page.published, page.updated, old)


def name_of(url: str) -> str:
    """How a page is called, here and in messages: its address without credentials and fragment."""
    try:
        return shown(parse(url))
    except SourceError:
        return url[:200]  # an address that is none


def _parts(passages: Sequence[Passage]) -> list[tuple[Passage, ...]]:
    parts: list[list[Passage]] = [[]]
    size = 0
    for passage in passages:
        if parts[-1] and size + len(passage.text) > PART:
            parts.append([])
            size = 0
        parts[-1].append(passage)
        size += len(passage.text)
    return [tuple(part) for part in parts]
