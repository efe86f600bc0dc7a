"""One source, opened: its documents indexed and searchable."""

from __future__ import annotations

import asyncio
import threading

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Passage, Source
from concertino.documents import formats
from concertino.documents.addresses import Networks
from concertino.documents.fetch import fetch
from concertino.documents.material import Material, Page, local
from concertino.documents.readers.text import text_of
from concertino.masking import without_credentials
from concertino.retrieval.cache import Cache, Held
from concertino.retrieval.index import INDEX, Index, index_folder
from concertino.retrieval.search import SearchResult
from concertino.retrieval.tree import File, NotReadNow
from concertino.runtime.threads import held as locked
from concertino.runtime.threads import in_thread, look
from concertino.worker.passages import rooted

_indexing = threading.Lock()
"""One source at a time in a process: reading holds the interpreter, so two at once take longer, and twice the memory."""

_NAMED = 3
"""How many documents an error about a whole source names."""


class Corpus:
    """The documents of one source. Everything but :meth:`open` takes its time and belongs in a thread."""

    def __init__(self, location: str, material: Material, index: Index, problems: dict[str, str], held: Held) -> None:
        self.location = location
        self.problems = problems
        """Path and reason of every document that could not be read."""
        self._material = material
        self._index = index
        self._held = held

    @classmethod
    async def open(cls, source: Source, cache: Cache, allowed: Networks = ()) -> Corpus:
        """Fetch or list the documents of ``source`` and bring its index in ``cache`` up to them. Private addresses are read
        in the networks ``allowed`` only.

        :class:`SourceError` where it does not exist, may not be read, holds nothing readable or has no room; see also
        :func:`.fetch.fetch`.
        """
        location = source.location
        material: Material
        if "://" in location:
            material = Page(location, await fetch(location, allowed=allowed))
        else:
            material = await in_thread(local, location)
        held = await cache.hold(index_folder(material.key, cache.folder, "docs"), without_credentials(location))
        opened: list[Corpus] = []

        async def open_() -> None:
            opened.append(await in_thread(_open, location, material, held))

        try:
            await held.within(open_())
        except BaseException:
            for corpus in opened:
                await asyncio.to_thread(corpus.close)
            held.release()
            raise
        return opened[0]

    @property
    def name(self) -> str:
        """How it is called: its location, without credentials."""
        return without_credentials(self.location)

    @property
    def root(self) -> str:
        """What its paths are relative to. Empty where its one path is a URL."""
        return "" if "://" in self.location else self.location

    def search(self, query: str, limit: int) -> SearchResult:
        return rooted(self._index.search(query, limit), self.root)

    def paths(self) -> list[str]:
        """Every document that was read, sorted."""
        return [path for path in self._index.sources() if path not in self.problems]

    def passages(self, path: str) -> list[Passage]:
        """Of one document, in order; none where there is no such document."""
        return rooted(self._index.passages(path), self.root)

    def lines(self, path: str) -> list[str]:
        """The literal lines of a document of lines."""
        return text_of(self._material.data(path)).split("\n")

    def close(self) -> None:
        self._index.close()
        self._held.release()


def _open(location: str, material: Material, held: Held) -> Corpus:
    index = Index(held.folder / INDEX, version=f"docs-{formats.VERSION}")
    try:
        with locked(_indexing):
            problems = _refresh(material, index)
        corpus = Corpus(location, material, index, problems, held)
        if not any(index.passages(path) for path in corpus.paths()):
            raise SourceError(_nothing(location, problems))
    except BaseException:
        index.close()
        raise
    return corpus


def _refresh(material: Material, index: Index) -> dict[str, str]:
    problems: dict[str, str] = {}
    tried: set[str] = set()

    def read(file: File) -> list[Passage] | None:
        look()
        tried.add(file.path)
        try:
            return material.passages(file.path)
        except SourceError as e:
            problems[file.path] = str(e)
            return None if isinstance(e, NotReadNow) else []

    files = material.files()
    problems.update(material.problems())
    index.refresh(files, read)
    for file in files:  # what an earlier run could not read is known as unchanged, and its reason is not kept: ask again
        if file.path not in tried and not index.passages(file.path):
            read(file)
    return problems


def _nothing(location: str, problems: dict[str, str]) -> str:
    named = [f"{path}: {reason}" for path, reason in list(problems.items())[:_NAMED]]
    if not named:
        return f"{location}: holds no documents: give a folder or file of Markdown, text, HTML, PDF, Word, notebooks or OpenAPI"
    if len(problems) == 1 and location.endswith(next(iter(problems))):
        return f"{location}: {next(iter(problems.values()))}"
    more = len(problems) - len(named)
    return f"{location}: holds nothing readable: {'; '.join(named)}" + (f"; and {more} more" if more else "")
