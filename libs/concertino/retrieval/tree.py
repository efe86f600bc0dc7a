"""A folder as a source: read-only and confined to itself, whatever links or names say."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from msgspec import Struct

from concertino.contracts.errors import SourceError
from concertino.retrieval.decode import decode
from concertino.retrieval.leftout import VERSION_CONTROL, enters, is_left_out
from concertino.runtime.threads import look

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_FILES = 50_000
MOST_ENTRIES, MOST_DEEP = 100_000, 200
"""Of one folder, and folders in folders."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without O_NONBLOCK a pipe that took the place of a file would block the reader for ever."""


class NotReadNow(SourceError):
    """A file whose bytes could not be had. They may be next time, though nothing tells that it changed."""


class File(Struct, frozen=True):
    """One regular file. ``path`` is relative to the root with forward slashes; ``mtime_ns`` is nanoseconds since 1970."""

    path: str
    size: int
    mtime_ns: int


class Tree:
    """The readable files below ``root``.

    Links are followed only while they stay inside; devices, pipes and sockets are never read. Nothing in the folder is
    executed or obeyed. Every folder on the way is opened from its parent without following links, so swapping one for
    a link in mid-walk leads nowhere.
    """

    def __init__(self, root: Path, *, max_file_bytes: int = MAX_FILE_BYTES, max_files: int = MAX_FILES) -> None:
        try:
            self.root = root.resolve(strict=True)
            os.close(os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except (OSError, RuntimeError, ValueError) as e:
            raise SourceError(f"{root}: {_reason(e)}: give a folder that exists and may be read") from e
        self._max_file_bytes = max_file_bytes
        self._max_files = max_files
        self.skipped: list[tuple[str, str]] = []
        """Path and reason of whatever the last :meth:`files` left out apart from what :mod:`.leftout` lists."""

    def files(self, wanted: Callable[[str], bool] | None = None) -> list[File]:
        """Every regular file that ``wanted`` accepts by its path, sorted by path: the same tree gives the same list.

        A link inside the tree to a file inside the tree is not listed again: the file is, under its own name.
        """
        self.skipped = []
        found: list[File] = []
        for file in self._walk():
            if wanted is not None and not wanted(file.path):
                continue
            if file.size > self._max_file_bytes:
                self.skipped.append((file.path, f"{file.size} bytes, over the limit of {self._max_file_bytes}"))
            elif len(found) == self._max_files:
                self.skipped.append((file.path, f"over the limit of {self._max_files} files: name a smaller folder"))
                break
            else:
                found.append(file)
        return sorted(found, key=lambda f: f.path)

    def read(self, path: str) -> bytes:
        """The bytes of one file. :class:`SourceError` where it is not a regular file inside the root, :class:`NotReadNow` where
        it cannot be read."""
        look()
        parts = self._inside(path)
        try:
            with _closing(self._open(parts, _FILE)) as fd:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    raise SourceError(f"{path!r} is not a regular file: name one that files() lists")
                data = _read(fd, self._max_file_bytes + 1)
        except OSError as e:
            raise NotReadNow(f"{path!r}: {_reason(e)}: name a file that exists and may be read") from e
        if len(data) > self._max_file_bytes:
            raise SourceError(f"{path!r} is over the limit of {self._max_file_bytes} bytes: split it, or raise the limit")
        return data

    def text(self, path: str) -> str | None:
        """The text of one file with ``\\n`` for every line end, or None where it is binary. Raises as :meth:`read`."""
        return decode(self.read(path))

    def _walk(self) -> Iterator[File]:
        folders: list[tuple[str, ...]] = [()]
        while folders:
            look()
            folder = folders.pop()
            below: list[tuple[str, ...]] = []
            for name, status in self._entries(folder):
                path = "/".join((*folder, name))
                if stat.S_ISDIR(status.st_mode) and len(folder) >= MOST_DEEP:
                    self.skipped.append((path, f"over {MOST_DEEP} folders deep: name it as a source of its own"))
                elif stat.S_ISDIR(status.st_mode):
                    below.append((*folder, name))
                elif stat.S_ISLNK(status.st_mode):
                    self._judge_link(path)
                elif not stat.S_ISREG(status.st_mode):
                    self.skipped.append((path, "neither a file nor a folder"))
                elif not is_left_out(name):
                    yield File(path, status.st_size, status.st_mtime_ns)
            folders.extend(reversed(below))

    def _entries(self, folder: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
        """Names and status of a folder's entries, sorted, without those never entered."""
        try:
            with _closing(self._open(folder, _FOLDER)) as fd, os.scandir(fd) as scan:
                entries = list(islice(_there(scan), MOST_ENTRIES + 1))
        except OSError as e:
            self.skipped.append(("/".join(folder) or ".", _reason(e)))
            return []
        if len(entries) > MOST_ENTRIES:
            self.skipped.append(("/".join(folder) or ".", f"over {MOST_ENTRIES} files in one folder: name smaller ones"))
            return []
        names = {name for name, _ in entries}
        if folder and not enters(folder[-1], names):
            return []
        kept: list[tuple[str, os.stat_result]] = []
        for name, status in sorted(entries, key=lambda e: e[0]):
            if not _is_text(name):
                self.skipped.append(("/".join((*folder, _printable(name))), "the name is not UTF-8"))
            elif not stat.S_ISDIR(status.st_mode) or enters(name, beside=names):
                kept.append((name, status))
        return kept

    def _judge_link(self, path: str) -> None:
        try:
            self._inside(path)
        except SourceError as e:
            self.skipped.append((path, str(e)))

    def _inside(self, path: str) -> tuple[str, ...]:
        """The components of what ``path`` really names, links resolved."""
        parts = path.split("/")
        if not path or "\0" in path or path.startswith("/") or {"", ".", ".."}.intersection(parts):
            raise SourceError(f"{path!r} is no path inside this source: give it relative, with forward slashes, without '..'")
        try:
            real = Path(os.path.realpath(self.root.joinpath(*parts), strict=True))
        except (OSError, ValueError) as e:
            raise NotReadNow(f"{path!r}: {_reason(e)}: name a file that exists and may be read") from e
        if not real.is_relative_to(self.root):
            raise SourceError(f"{path!r} is a link that leads out of this source: give its target as a source of its own")
        inside = real.relative_to(self.root).parts
        if VERSION_CONTROL.intersection(inside):
            raise SourceError(f"{path!r} belongs to version control, and may hold credentials: it is not read")
        return inside

    def _open(self, parts: tuple[str, ...], flags: int) -> int:
        """A descriptor of what ``parts`` name, reached from the root without following a single link."""
        fd = os.open(self.root, _FOLDER)
        for i, part in enumerate(parts):
            with _closing(fd):
                fd = os.open(part, flags if i == len(parts) - 1 else _FOLDER, dir_fd=fd)
        return fd


class _closing:  # noqa: N801  (reads like contextlib.closing)
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _read(fd: int, most: int) -> bytes:
    data = bytearray()
    while len(data) < most and (piece := os.read(fd, most - len(data))):
        data += piece
    return bytes(data)


def _is_text(name: str) -> bool:
    return name.isprintable() or not any("\ud800" <= c <= "\udfff" for c in name)


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _there(scan: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, os.stat_result]]:
    """Names and status of what is still there when it is looked at: others save files meanwhile, and check out commits."""
    for entry in scan:
        with suppress(FileNotFoundError):
            yield entry.name, entry.stat(follow_symlinks=False)


def _reason(e: Exception) -> str:
    return (e.strerror if isinstance(e, OSError) else None) or str(e) or type(e).__name__
