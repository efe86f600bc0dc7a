"""One opened code base: its files, its index, and its history if it has one. Everything here blocks: call it in a thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from concertino.code.globs import matches
from concertino.code.history import History
from concertino.code.kinds import is_data, is_promising, is_wanted
from concertino.code.passages import VERSION, passages
from concertino.contracts.errors import Cancelled, SourceError
from concertino.contracts.messages import Passage
from concertino.retrieval.index import Index, Refreshed
from concertino.retrieval.tree import File, Tree


class Base:
    """The folder ``root``, or some of its files, indexed in ``index``. ``name`` is how the caller calls it: its location.

    ``history`` None: there is none, and ``no_history`` says why. ``problems`` are paths, and why they are not read;
    that a file is binary is told when it is first seen.
    """

    def __init__(self, name: str, root: Path | Tree, index: Path, *, history: History | None, no_history: str = "") -> None:
        self.name = name
        self.history = history
        self.no_history = no_history
        self.tree = root if isinstance(root, Tree) else Tree(root)
        self.index = Index(index, version=f"code-{VERSION}")
        self.files: Mapping[str, File] = {}
        self.problems: list[tuple[str, str]] = []
        self._stopped = threading.Event()

    def refresh(self) -> Refreshed:
        """Read what changed since the index was last brought up to date."""
        listed = self.tree.files()
        self.files = {file.path: file for file in listed}
        wanted = [file for file in listed if is_wanted(file.path)]
        self.problems = [(path, reason) for path, reason in self.tree.skipped if is_wanted(path)]
        self.problems.extend((f.path, f"{f.size} bytes of data: searched by text, not indexed") for f in wanted if is_data(f))
        return self.index.refresh([file for file in wanted if not is_data(file)], self._passages)

    def text(self, path: str) -> str:
        """The text of one file; :class:`SourceError` where there is none or it is binary."""
        text = self.tree.text(path)
        if text is None:
            raise SourceError(f"{path!r} is binary: it has no lines to read")
        return text

    def texts(self, glob: str = "") -> Iterator[tuple[str, str]]:
        """Path and text of every file that matches ``glob``, apart from binary ones and those that vanished meanwhile."""
        for path in self.files:
            if matches(path, glob):
                with contextlib.suppress(SourceError):
                    if (text := self.tree.text(path)) is not None:
                        yield path, text

    def close(self) -> None:
        """Also ends a refresh under way in another thread; what it had read is read again next time."""
        self._stopped.set()
        self.index.close()

    def _passages(self, file: File) -> list[Passage] | None:
        if self._stopped.is_set():
            raise Cancelled(f"{self.name} is closed: nobody waits for its index any more")
        try:
            text = self.tree.text(file.path)
        except SourceError as e:  # gone or changed since it was listed
            self.problems.append((file.path, str(e)))
            return None
        if text is None:
            if not is_promising(file.path):
                return []
            self.problems.append((file.path, "binary, though its name says otherwise"))
            return None  # it is looked at again, and told of, next time
        return passages(file.path, text)
