"""The full-text index of one source: SQLite FTS5 over terms of our own making, kept on disk and refreshed by content."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from concertino.contracts.errors import Cancelled
from concertino.contracts.messages import Passage
from concertino.retrieval import database
from concertino.retrieval.about import about
from concertino.retrieval.database import Database, Subject
from concertino.retrieval.search import Hit, SearchResult
from concertino.retrieval.tokens import terms
from concertino.retrieval.tree import File
from concertino.retrieval.wanted import Wanted, wanted
from concertino.runtime.threads import look

WEIGHTS = (4.0, 2.0, 1.0)
"""How much a term counts in the title, in the path and in the text of a passage."""

ROLE_WEIGHTS = {"definition": 1.0, "text": 1.0, "example": 0.8, "data": 0.6, "changelog": 0.5, "test": 0.5, "generated": 0.4}
"""What the score of a passage is multiplied with: tests and changelogs stay below what they are about."""

ABOUT_WEIGHTS = (3.0, 2.0, 1.0)
"""The same for what a file says first of itself, its path, and the names of everything in it."""

ABOUT = 0.4
"""What it counts that the file is about what was asked, beside what the passage itself says."""

MOST_TERMS = 250
"""Of one search: of more, those that are worth most and stand in the fewest passages."""

_UNSETTLED = 20_000_000
"""Nanoseconds. A file that changed this shortly before it was read may change again without its time stamp moving."""

INDEX = "index.sqlite"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Passage).decode


class Refreshed(Struct, frozen=True):
    """How many files a refresh found new, changed, gone, and as they were."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0


class Index:
    """Passages of one source, searchable. Usable from any thread; several processes may share one file."""

    def __init__(self, path: Path | None, *, version: str) -> None:
        """``path`` None: in memory. ``version`` is that of whatever made the passages: an index of another one starts anew.

        A file that is damaged, or no database, is replaced. :class:`SourceError` where it cannot be written at all.
        """
        self._lock = threading.RLock()
        self._closed = False
        self._database = Database(path, version=version)

    def refresh(self, files: Sequence[File], read: Callable[[File], list[Passage] | None]) -> Refreshed:
        """Bring the index up to ``files``, calling ``read`` for those that are new or may have changed. It returns None for
        what could not be read now: nothing is kept of that, and it is read again next time.

        Size and time stamp decide whether a file is read, the digest of its passages whether it is indexed again. It is one
        transaction: killed in between, the index is as it was; a second process waits, and then finds nothing to do.
        :class:`Cancelled` where it was closed by then.
        """
        with self._lock:
            if self._closed:
                raise Cancelled("the index is closed: nobody waits for it any more")
            with self._database.reading():
                known = self._database.files()
            if not _changes(files, known) and len(files) == len(known):
                return Refreshed(unchanged=len(files))
            with self._database.writing():
                return self._bring_up(files, read)

    def _bring_up(self, files: Sequence[File], read: Callable[[File], list[Passage] | None]) -> Refreshed:
        known = self._database.files()
        gone = known.keys() - {file.path for file in files}
        for path in gone:
            self._database.remove(path)
        added = updated = 0
        for file in _changes(files, known):
            look()
            now = time.time_ns()
            found = read(file)
            passages = found or []
            encoded = [(passage, _encode(passage)) for passage in passages]
            digest = hashlib.sha256(b"\n".join(text for _, text in encoded)).hexdigest()
            before = known.get(file.path)
            settled = found is not None and file.mtime_ns < now - _UNSETTLED
            if before is not None and before.digest == digest:
                self._database.touch(file, settled=settled)
                continue
            if before is not None:
                self._database.remove(file.path)
            rows = [(*_fields(p), text) for p, text in encoded]
            self._database.add(file, digest, _subject(file, passages), rows, settled=settled)
            added, updated = added + (before is None), updated + (before is not None)
        return Refreshed(added, updated, len(gone), len(files) - added - updated)

    def search(self, query: str, limit: int = 20) -> SearchResult:
        """The passages that match ``query`` best: BM25 over title, path and text, by role and by what their file is about.

        How a query is written says :mod:`concertino.retrieval.wanted`; words alone will do.
        """
        asked = wanted(query)
        with self._lock, self._database.reading():
            count = self._database.count()
            frequencies = {term: self._database.frequency(term) for forms in asked for term in forms}
            present = _present(asked, frequencies)
            found = self._database.match(present, WEIGHTS, limit * 4)
            subjects = self._database.subjects(present, ABOUT_WEIGHTS)
        hits: list[Hit] = []
        for match in found:
            passage = _decode(match.json)
            score = match.score + ABOUT * subjects.get(match.file, 0.0)
            hits.append(Hit(passage, score * ROLE_WEIGHTS[passage.role], match.about))
        hits.sort(key=lambda hit: -hit.score)
        return SearchResult(tuple(hits[:limit]), frequencies, count)

    def passages(self, source: str) -> list[Passage]:
        """All passages of one file, in order; none where the index does not hold it."""
        with self._lock, self._database.reading():
            return [_decode(row) for row in self._database.passages(source)]

    def sources(self) -> list[str]:
        """The paths of all files, sorted."""
        with self._lock, self._database.reading():
            return sorted(self._database.files())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._database.close()


def index_folder(root: Path | str, cache: Path, reader: str) -> Path:
    """Where ``reader``'s index of ``root`` (a folder, or a URL) is kept below ``cache``, as :data:`INDEX`: always the same name
    for the same two.

    Two readers of one folder cut it into different passages: with one index they would rebuild it under each other's hands.
    """
    name = str(root.resolve()) if isinstance(root, Path) else root
    return cache / "indexes" / reader / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _fields(passage: Passage) -> tuple[str, str, str]:
    return " ".join(terms(passage.title)), " ".join(terms(passage.source)), " ".join(terms(passage.text))


def _present(asked: Sequence[Wanted], frequencies: Mapping[str, int]) -> list[Wanted]:
    """What is asked for, as far as the index knows it."""
    present: list[Wanted] = [known for forms in asked if (known := {t: w for t, w in forms.items() if frequencies[t]})]
    if sum(map(len, present)) <= MOST_TERMS:
        return present
    ranked = sorted((-worth, frequencies[term], i, term) for i, forms in enumerate(present) for term, worth in forms.items())
    kept = {(i, term) for _, _, i, term in ranked[:MOST_TERMS]}
    bounded = [{t: w for t, w in forms.items() if (i, t) in kept} for i, forms in enumerate(present)]
    return [forms for forms in bounded if forms]


def _subject(file: File, passages: Sequence[Passage]) -> Subject:
    said = about(passages)
    return Subject(said.opening, (" ".join(terms(said.opening)), " ".join(terms(file.path)), " ".join(terms(said.outline))))


def _changes(files: Sequence[File], known: dict[str, database.Known]) -> list[File]:
    return [file for file in files if (k := known.get(file.path)) is None or (k.size, k.mtime_ns) != (file.size, file.mtime_ns)]
