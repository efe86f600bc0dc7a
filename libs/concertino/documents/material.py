"""Where the bytes of documents come from: a folder, one file, or a page that was fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import msgspec

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Passage
from concertino.documents import formats
from concertino.documents.fetch import Fetched, shown
from concertino.documents.fetch import parse as parse_url
from concertino.documents.readers import html
from concertino.retrieval.tree import File, NotReadNow, Tree

MOST_BYTES = 20 * 1024 * 1024
"""In one document."""


class Material(Protocol):
    """What an index is made from. Paths are those that passages carry. Errors are :class:`SourceError` about one document."""

    @property
    def key(self) -> Path | str:
        """What names it among all sources of this machine."""
        ...

    def files(self) -> Sequence[File]:
        """Everything that may be a document."""
        ...

    def passages(self, path: str) -> list[Passage]: ...

    def data(self, path: str) -> bytes: ...

    def problems(self) -> Sequence[tuple[str, str]]:
        """Path and reason of whatever :meth:`files` left out that a user would miss."""
        ...


def local(location: str) -> Material:
    """The folder or file at ``location``; :class:`SourceError` where there is none."""
    path = Path(location)
    try:
        found = path.stat()
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else str(e)
        raise SourceError(f"{location}: {reason}: give a folder, a file or a URL that exists and may be read") from e
    return Folder(path) if path.is_dir() else OneFile(path, File(path.name, found.st_size, found.st_mtime_ns))


class Folder:
    """Every document below a folder, and nothing outside of it."""

    def __init__(self, root: Path) -> None:
        self._tree = Tree(root, max_file_bytes=MOST_BYTES)
        self.key = self._tree.root

    def files(self) -> Sequence[File]:
        return self._tree.files(formats.is_document)

    def passages(self, path: str) -> list[Passage]:
        return formats.read(path, self.data(path))

    def data(self, path: str) -> bytes:
        return self._tree.read(path)

    def problems(self) -> Sequence[tuple[str, str]]:
        return list(self._tree.skipped)


class OneFile:
    """A file that the caller named: its name is its path, wherever it is and whatever it links to."""

    def __init__(self, path: Path, file: File) -> None:
        if not path.is_file():
            raise SourceError(f"{path}: neither a file nor a folder: give a document, a folder of them or a URL")
        self._path = path
        self._file = file
        self.key = path.resolve()

    def files(self) -> Sequence[File]:
        return [self._file]

    def passages(self, path: str) -> list[Passage]:
        return formats.read(path, self.data(path))

    def data(self, path: str) -> bytes:
        try:
            with self._path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as e:
            raise NotReadNow(f"{e.strerror}: give a file that may be read") from e
        if len(data) > MOST_BYTES:
            raise SourceError(f"over the limit of {MOST_BYTES} bytes: split it")
        return data

    def problems(self) -> Sequence[tuple[str, str]]:
        return []


class Page:
    """A document that was fetched. Its path is the URL that the caller gave, without credentials."""

    def __init__(self, location: str, fetched: Fetched) -> None:
        self.key = shown(parse_url(location))
        self._fetched = fetched

    def files(self) -> Sequence[File]:
        """One, whose time stamp is made from its content: a page that did not change is not indexed again."""
        stamp = int.from_bytes(hashlib.sha256(self._fetched.data).digest()[:7], "big")
        return [File(self.key, len(self._fetched.data), stamp)]

    def passages(self, path: str) -> list[Passage]:
        fetched = self._fetched
        name = self._name()
        if formats.suffix_of(name) == ".html":
            found = html.read(name, fetched.data, fetched.charset)
        else:
            found = formats.read(name, fetched.data)
        if not found and fetched.data:
            kind = fetched.content_type or "of an unknown type"
            raise SourceError(f"it is {kind}, and no document: give a page, a PDF, a Word document, text or OpenAPI")
        return [msgspec.structs.replace(passage, source=path) for passage in found]

    def data(self, path: str) -> bytes:
        return self._fetched.data

    def problems(self) -> Sequence[tuple[str, str]]:
        return []

    def _name(self) -> str:
        """A file name that says how to read it: by the content type where it tells, else by the path, else by the bytes."""
        name = PurePosixPath(parse_url(self._fetched.url).path).name or "page"
        said = formats.SUFFIX_OF.get(self._fetched.content_type)
        if said is not None:
            own = formats.READERS.get(formats.suffix_of(name))
            return name if own is formats.READERS[said] else f"{name}{said}"
        if formats.suffix_of(name) in formats.READERS or not self._fetched.content_type.startswith("text/"):
            return name if formats.is_document(name) else "page"
        return "page.txt" if formats.sniffed(self._fetched.data) is formats.READERS[".txt"] else "page"
