"""What a researcher can do with the documents of a subtask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Annotated, Any

from msgspec import Meta, Struct

from concertino.contracts.errors import ConcertinoError, Invalid
from concertino.contracts.messages import Passage, Source
from concertino.docs.corpus import Corpus
from concertino.documents.addresses import Networks
from concertino.documents.selection import Heading, by_fragment, by_lines, by_page, headings, ways_in
from concertino.retrieval.cache import Cache
from concertino.retrieval.search import SearchResult, merge
from concertino.runtime.threads import in_thread

MOST_HITS = 100
MOST_LISTED = 500


Root = Annotated[str, Meta(description="The location of one source, where several were given. Empty: all of them.")]
Path_ = Annotated[str, Meta(description="The path or URL of a document, as other tools give it.")]


class Document(Struct, frozen=True):
    """One document: its path or URL, what it calls itself, how it can be read in parts (lines, pages or fragments), and the
    location of the source that a path is relative to."""

    source: str
    title: str
    parts: str
    root: str = ""


class Docs:
    """The opened sources of a subtask."""

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        self._corpora = corpora

    @classmethod
    async def open(cls, sources: Sequence[Source], cache: Cache, allowed: Networks = ()) -> Docs:
        """Open every source, its index kept in ``cache``; ``allowed`` are private networks that it may lie in.

        Raises what a source that cannot be opened raises, naming it: :class:`SourceError`, else :class:`Transient`.
        """
        distinct = list({source.location: source for source in sources}.values())
        corpora: list[Corpus] = []

        async def opened(source: Source) -> None:
            corpora.append(await Corpus.open(source, cache, allowed))

        try:
            failures = await asyncio.gather(*map(opened, distinct), return_exceptions=True)
            if failed := [failure for failure in failures if failure is not None]:
                # What cannot succeed comes first: trying again would not help.
                raise min(failed, key=lambda e: isinstance(e, ConcertinoError) and e.retryable)
        except BaseException:
            for corpus in corpora:
                corpus.close()
            raise
        locations = [source.location for source in distinct]
        return cls(sorted(corpora, key=lambda corpus: locations.index(corpus.location)))

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Path and reason of every document that could not be read; the others could."""
        return [problem for corpus in self._corpora for problem in corpus.problems.items()]

    def tools(self) -> list[Callable[..., Awaitable[Any]]]:
        """What to offer to a model."""
        return [self.search, self.read, self.outline, self.list_documents]

    async def close(self) -> None:
        for corpus in self._corpora:
            await asyncio.to_thread(corpus.close)

    async def search(self, query: str, limit: int = 20, root: Root = "") -> SearchResult:
        """Find the passages that answer best, over all documents. Start here.

        Give the words that the answer would use, not a sentence about it; ask again with other words (synonyms, the
        name of the setting, the error text) where the first hits do not answer. `limit` is at most 100.
        """
        return await in_thread(self._search, query, min(max(limit, 1), MOST_HITS), root)

    async def read(
        self, source: Path_, first: int = 1, last: int = 0, page: int = 0, fragment: str = "", root: Root = ""
    ) -> Passage:
        """Read one part of a document in full: use it to see what stands around a passage that `search` found.

        Text documents are read by lines, `first` to `last`, counted from 1 (without `last`: the next 200); PDFs by `page`;
        all others by `fragment`, as in the locator of a passage. A heading as `outline` gives it is taken as a fragment in
        any document.
        """
        return await in_thread(self._read, source, first, last, page, fragment, root)

    async def outline(self, source: Path_ = "", limit: int = 200, root: Root = "") -> list[Heading]:
        """List the headings of one document in order, or those of all documents where `source` is left out.

        Use it to see what there is before reading, or where a search finds nothing because the words are not known.
        """
        return await in_thread(self._outline, source, min(max(limit, 1), MOST_LISTED), root)

    async def list_documents(self, pattern: str = "*", limit: int = 200, root: Root = "") -> list[Document]:
        """List the documents whose path matches `pattern` (`*` stands for anything), with their titles and how to read them."""
        return await in_thread(self._list, pattern, min(max(limit, 1), MOST_LISTED), root)

    def _of(self, root: str) -> Sequence[Corpus]:
        """The source called ``root``; all where that is empty. :class:`Invalid` where none is."""
        named = [corpus for corpus in self._corpora if root in {"", corpus.name}]
        if not named and self._corpora:
            raise Invalid(f"no source is called {root!r}; there are: {', '.join(corpus.name for corpus in self._corpora)}")
        return named

    def _search(self, query: str, limit: int, root: str) -> SearchResult:
        return merge([corpus.search(query, limit) for corpus in self._of(root)], limit)

    def _find(self, source: str, root: str) -> tuple[Corpus, list[Passage]]:
        for corpus in self._of(root):
            if passages := corpus.passages(source):
                return corpus, passages
        for corpus in self._of(root):
            if source in corpus.problems:
                raise Invalid(f"{source} could not be read: {corpus.problems[source]}")
        within = f" in {root}" if root else ""
        raise Invalid(f"there is no document {source!r}{within}: list_documents names those that there are")

    def _read(self, source: str, first: int, last: int, page: int, fragment: str, root: str) -> Passage:
        corpus, passages = self._find(source, root)
        if fragment:
            found = by_fragment(passages, fragment)
        elif page:
            found = by_page(passages, page)
        elif any(passage.locator.lines for passage in passages):
            return by_lines(passages[0], corpus.lines(source), first, last)
        else:
            raise Invalid(f"{source} has no lines: read it by {ways_in(passages)}")
        if found.locator.lines:
            return by_lines(found, corpus.lines(source), *found.locator.lines)
        return found

    def _outline(self, source: str, limit: int, root: str) -> list[Heading]:
        if source:
            return headings(self._find(source, root)[1])[:limit]
        documents = [(corpus, path) for corpus in self._of(root) for path in corpus.paths()]
        share = max(limit // max(len(documents), 1), 2)
        found = (heading for corpus, path in documents for heading in headings(corpus.passages(path))[:share])
        return list(islice(found, limit))

    def _list(self, pattern: str, limit: int, root: str) -> list[Document]:
        return list(islice(self._documents(pattern, root), limit))

    def _documents(self, pattern: str, root: str) -> Iterator[Document]:
        for corpus in self._of(root):
            for path in corpus.paths():
                if fnmatchcase(path.lower(), pattern.lower()) and (passages := corpus.passages(path)):
                    title = next((passage.title for passage in passages if passage.title), "")
                    yield Document(path, title, ways_in(passages), corpus.root)
