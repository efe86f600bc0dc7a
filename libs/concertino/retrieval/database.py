"""The SQLite file below an index: schema, statements, and what to do when it is damaged or somebody else's."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from concertino.contracts.errors import SourceError, Transient
from concertino.retrieval.tree import File
from concertino.retrieval.wanted import Wanted
from concertino.runtime.threads import look

Weights = tuple[float, float, float]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest TEXT NOT NULL,
    about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS passage (id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES file, json BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS passage_file ON passage (file);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (title, path, body, tokenize = 'ascii');
CREATE VIRTUAL TABLE IF NOT EXISTS subject USING fts5 (about, path, outline, tokenize = 'ascii');
"""
_LAYOUT = 3
"""Changes with the schema and with the terms: an index of another layout starts anew."""

_WAIT = 120.0
"""Seconds to wait for another process that refreshes the same index."""
_PATIENCE = 0.2
"""Seconds between two looks whether anybody waits for us meanwhile."""


class Known(Struct, frozen=True):
    """What the index knows of a file. A time stamp of -1 means: read it again."""

    size: int
    mtime_ns: int
    digest: str


class Subject(Struct, frozen=True):
    """What a file is about: its opening ``text``, and the terms of that, of the path and of the outline."""

    text: str
    terms: tuple[str, str, str]


class Match(Struct, frozen=True):
    """A passage as JSON, the number of its file, what that says of itself, and how well the passage matched."""

    json: bytes
    file: int
    about: str
    score: float


class Database:
    """One connection. Not locked: its owner sees to it that one thread at a time uses it."""

    def __init__(self, path: Path | None, *, version: str) -> None:
        self._path = path
        self._version = f"{_LAYOUT}/{version}"
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = self._open()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._discard()
                self._connection = self._open()
        except (sqlite3.Error, OSError) as e:
            raise SourceError(f"the index {path} cannot be opened ({e}): choose a cache folder that can be written") from e

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=_WAIT, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        _begin_alone(connection)
        connection.execute("CREATE TABLE IF NOT EXISTS made (version TEXT NOT NULL)")
        if connection.execute("SELECT version FROM made").fetchone() != (self._version,):
            for table in ("made", "words", "subject", "passage", "file"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute("CREATE TABLE made (version TEXT NOT NULL)")
            connection.execute("INSERT INTO made VALUES (?)", (self._version,))
        for statement in _SCHEMA.strip().split(";\n"):
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab (main, words, row)")

    def _discard(self) -> None:
        assert self._path is not None
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + ending).unlink()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that no other process can be in at the same time. :class:`Transient` where it cannot be made."""
        with self._transaction(_begin_alone):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the index for several questions. :class:`Transient` where it cannot be read."""
        with self._transaction(_begin):
            yield

    @contextmanager
    def _transaction(self, begin: Callable[[sqlite3.Connection], None]) -> Iterator[None]:
        try:
            begin(self._connection)
            yield
            self._connection.execute("COMMIT")
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as e:
            raise Transient(
                f"the index {self._path} cannot be used ({e}): try again; if the disk is full, make room; "
                f"if the file is damaged, it is made anew when it is opened next"
            ) from e
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def files(self) -> dict[str, Known]:
        rows = self._connection.execute("SELECT path, size, mtime_ns, digest FROM file")
        return {path: Known(size, mtime_ns, digest) for path, size, mtime_ns, digest in rows}

    def add(
        self, file: File, digest: str, about: Subject, rows: Iterable[tuple[str, str, str, bytes]], *, settled: bool
    ) -> None:
        """``rows``: the terms of title, path and text of each passage, and its JSON."""
        cursor = self._connection.execute(
            "INSERT INTO file (path, size, mtime_ns, digest, about) VALUES (?, ?, ?, ?, ?)",
            (file.path, file.size, file.mtime_ns if settled else -1, digest, about.text),
        )
        owner = cursor.lastrowid
        cursor.execute("INSERT INTO subject (rowid, about, path, outline) VALUES (?, ?, ?, ?)", (owner, *about.terms))
        for title, path, body, json in rows:
            cursor.execute("INSERT INTO passage (file, json) VALUES (?, ?)", (owner, json))
            cursor.execute(
                "INSERT INTO words (rowid, title, path, body) VALUES (?, ?, ?, ?)", (cursor.lastrowid, title, path, body)
            )

    def touch(self, file: File, *, settled: bool) -> None:
        """The file is as it was, whatever its time stamp says."""
        stamp = file.mtime_ns if settled else -1
        self._connection.execute("UPDATE file SET size = ?, mtime_ns = ? WHERE path = ?", (file.size, stamp, file.path))

    def remove(self, path: str) -> None:
        (owner,) = self._connection.execute("SELECT id FROM file WHERE path = ?", (path,)).fetchone()
        self._connection.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM passage WHERE file = ?)", (owner,))
        self._connection.execute("DELETE FROM subject WHERE rowid = ?", (owner,))
        self._connection.execute("DELETE FROM passage WHERE file = ?", (owner,))
        self._connection.execute("DELETE FROM file WHERE id = ?", (owner,))

    def count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM passage").fetchone()[0])

    def frequency(self, term: str) -> int:
        row = self._connection.execute("SELECT doc FROM temp.vocabulary WHERE term = ?", (term,)).fetchone()
        return int(row[0]) if row else 0

    def match(self, wanted: Sequence[Wanted], weights: Weights, limit: int) -> list[Match]:
        """The passages that hold most of what is ``wanted``, best first; the order is the same every time.

        Of each thing the best of its alternatives counts, so that many words for it are worth no more than the right one.
        """
        if not wanted:
            return []
        found, bound = _scores("words", wanted, weights)
        rows = self._connection.execute(
            f"SELECT passage.json, passage.file, file.about, best.score "  # noqa: S608  (our own statements)
            f"FROM ({found} ORDER BY score DESC, rowid LIMIT ?) AS best JOIN passage ON passage.id = best.rowid "
            "JOIN file ON file.id = passage.file ORDER BY best.score DESC, best.rowid",
            (*bound, limit),
        )
        return [Match(*row) for row in rows]

    def subjects(self, wanted: Sequence[Wanted], weights: Weights) -> dict[int, float]:
        """How much of what is ``wanted`` each file is about, by the file's number."""
        if not wanted:
            return {}
        found, bound = _scores("subject", wanted, weights)
        return dict(self._connection.execute(found, bound).fetchall())

    def passages(self, path: str) -> list[bytes]:
        rows = self._connection.execute(
            "SELECT passage.json FROM passage JOIN file ON file.id = passage.file WHERE file.path = ? ORDER BY passage.id",
            (path,),
        )
        return [json for (json,) in rows]


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")


def _begin_alone(connection: sqlite3.Connection) -> None:
    """Wait for whoever writes, but not for longer than anybody waits for us."""
    until = time.monotonic() + _WAIT
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000:.0f}")
    try:
        while True:
            look()
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as e:
                if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_WAIT * 1000:.0f}")


def _scores(table: str, wanted: Sequence[Wanted], weights: Weights) -> tuple[str, list[str | float]]:
    """SQL for ``rowid`` and ``score`` of all rows of ``table`` that hold anything wanted, and its parameters."""
    single: list[str] = []
    bound: list[str | float] = []
    for i, forms in enumerate(wanted):
        for term, worth in forms.items():
            # A barrier for the planner: bm25() works in nothing but the scan itself.
            single.append(
                f"SELECT {i} AS thing, rowid, score FROM (SELECT rowid, -? * bm25({table}, ?, ?, ?) AS score "  # noqa: S608
                f"FROM {table} WHERE {table} MATCH ? LIMIT -1)"
            )
            bound += [worth, *weights, f'"{term}"']
    best = f"SELECT rowid, max(score) AS score FROM ({' UNION ALL '.join(single)}) GROUP BY thing, rowid"  # noqa: S608
    return f"SELECT rowid, sum(score) AS score FROM ({best}) GROUP BY rowid", bound  # noqa: S608
