"""An installed Python distribution as a source: its folder ``NAME-VERSION.dist-info`` says which files are its own."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from concertino.contracts.errors import SourceError
from concertino.retrieval.leftout import FOLDERS, is_left_out
from concertino.retrieval.tree import MAX_FILE_BYTES, MAX_FILES, File, Tree

_ENDING = ".dist-info"
_OF_METADATA = frozenset({"METADATA", "entry_points.txt", "top_level.txt"})
"""Of the folder itself only these are read: the rest is the installer's bookkeeping, and licences."""
_MOST_RECORD = 32 * 1024 * 1024
_MOST_COMPILED = 64 * 1024 * 1024
_COMPILED = (".so", ".pyd", ".dll", ".dylib")


def is_installed(folder: Path) -> bool:
    """Whether ``folder`` stands for an installed distribution."""
    return folder.name.endswith(_ENDING) and (folder / "RECORD").is_file()


class Distribution(Tree):
    """The files that RECORD names, under their paths in ``site-packages``.

    RECORD is data: it opens nothing but files below the folder that it is installed in, and of those only what still has the
    digest that it names. So it cannot lay claim to the files of a neighbour.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.parent)
        self._own = folder.name
        self._digests = _recorded(Tree(folder, max_file_bytes=_MOST_RECORD))
        self._machine_code = Tree(folder.parent, max_file_bytes=_MOST_COMPILED)
        self.compiled = tuple(sorted(path for path in self._digests if path.endswith(_COMPILED)))
        """Modules of machine code: what they use of the others cannot be seen."""

    def files(self, wanted: Callable[[str], bool] | None = None) -> list[File]:
        """As :meth:`Tree.files`, of the distribution alone."""
        self.skipped = []
        found: list[File] = []
        for path in sorted(self._digests):
            if not self._is_of_interest(path) or (wanted is not None and not wanted(path)):
                continue
            try:
                status = os.lstat(self.root / path)
            except (OSError, ValueError) as e:
                self.skipped.append((path, f"RECORD names it, and it cannot be read: {e.__class__.__name__}"))
                continue
            if not stat.S_ISREG(status.st_mode):
                self.skipped.append((path, "not a regular file"))
            elif status.st_size > MAX_FILE_BYTES:
                self.skipped.append((path, f"{status.st_size} bytes, over the limit of {MAX_FILE_BYTES}"))
            elif len(found) == MAX_FILES:
                self.skipped.append((path, f"over the limit of {MAX_FILES} files"))
                break
            else:
                found.append(File(path, status.st_size, status.st_mtime_ns))
        return found

    def read(self, path: str) -> bytes:
        """As :meth:`Tree.read`. :class:`SourceError` also for what is not its own, or was changed since it was installed."""
        digest = self._digests.get(path)
        if digest is None:
            raise SourceError(f"{path!r} does not belong to {self._own}: name a file that its RECORD lists")
        data = super().read(path)
        if _digest(data) != digest:
            raise SourceError(f"{path!r} is not what was installed: its content is not what RECORD says")
        return data

    def mentions(self, names: Collection[str]) -> set[str]:
        """Those of ``names`` that stand somewhere in its machine code; all of them where that is too large to be searched."""
        found: set[str] = set()
        for path in self.compiled if names else ():
            try:
                data = self._machine_code.read(path)
            except SourceError:
                return set(names)
            found.update(name for name in names if name.encode() in data)
        return found

    def _is_of_interest(self, path: str) -> bool:
        *folders, name = path.split("/")
        if any(folder.endswith(_ENDING) for folder in folders):
            return folders == [self._own] and name in _OF_METADATA
        return FOLDERS.isdisjoint(folders) and not is_left_out(name)


def _recorded(folder: Tree) -> dict[str, str]:
    """Digest by path. Scripts outside of the folder, and what has no digest, are left out."""
    text = folder.text("RECORD") or ""
    try:
        rows = [row for row in csv.reader(text.split("\n")) if len(row) == 3]
    except csv.Error as e:
        raise SourceError(f"{folder.root}/RECORD cannot be read: {e}: install the distribution anew") from e
    recorded = {path: digest.removeprefix("sha256=") for path, digest, _ in rows if digest.startswith("sha256=")}
    return {path: digest for path, digest in recorded.items() if not path.startswith("/") and ".." not in path.split("/")}


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
