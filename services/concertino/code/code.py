"""The tools of the code worker, over the code bases of one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from concertino.code import grep as text_search
from concertino.code import manifests
from concertino.code import secrets as credentials
from concertino.code import structural as shapes
from concertino.code import symbols as definitions
from concertino.code.base import Base
from concertino.code.clones import clone
from concertino.code.globs import matches
from concertino.code.grep import Matches
from concertino.code.history import History
from concertino.code.location import Repository, locate
from concertino.code.pieces import LONGEST_LINE
from concertino.code.secrets import Secrets
from concertino.code.symbols import Outline
from concertino.contracts.errors import Invalid, SourceError
from concertino.contracts.messages import Locator, Passage, Source
from concertino.retrieval.index import index_path
from concertino.retrieval.search import SearchResult, merge

MOST_RESULTS = 200
MOST_LINES = 400
"""Of one reading."""

T = TypeVar("T")


class Listing(Struct, frozen=True):
    """Paths, sorted. ``note`` says what is missing, if anything is."""

    paths: tuple[str, ...]
    note: str = ""


class Dependency(Struct, frozen=True):
    """A declared dependency, and the line that declares it. ``pinned``: exactly one version satisfies it."""

    name: str
    constraint: str
    pinned: bool
    group: str
    passage: Passage


class Dependencies(Struct, frozen=True):
    """``problems`` names manifests that cannot be read, with the reason."""

    found: tuple[Dependency, ...]
    problems: tuple[str, ...] = ()


class Code:
    """Opened code bases. Paths are relative to each; where two hold the same one, ``root`` tells them apart."""

    def __init__(self, bases: Sequence[Base], problems: Sequence[tuple[str, str]]) -> None:
        self._bases = bases
        self.problems = list(problems)
        """Path, and why it is not read or not as it should be."""

    @classmethod
    async def open(cls, sources: Sequence[Source], cache: Path) -> Code:
        """Clone what must be cloned, and bring each index up to date, kept below ``cache``.

        Raises :class:`SourceError` where a source cannot be read at all, and
        :class:`~concertino.contracts.errors.Transient` where trying again may help.
        """
        bases: list[Base] = []
        problems: list[tuple[str, str]] = []
        try:
            for source in dict.fromkeys(sources):
                base = await _open(source, cache, problems)
                bases.append(base)
                await asyncio.to_thread(base.refresh)
                problems.extend(base.problems)
        except BaseException:
            for base in bases:
                await asyncio.to_thread(base.close)
            raise
        return cls(bases, problems)

    def tools(self) -> list[Callable[..., Awaitable[Any]]]:
        """All of them, for a :class:`~concertino.worker.tools.Toolbox`."""
        return [
            *(self.search, self.grep, self.structural, self.symbols, self.references, self.outline),
            *(self.read, self.list_files, self.history, self.blame, self.dependencies, self.secrets),
        ]

    async def close(self) -> None:
        for base in self._bases:
            await asyncio.to_thread(base.close)

    async def search(self, query: str, limit: int = 20) -> SearchResult:
        """Find passages about something, ranked: definitions with their comments, classes, constants, README sections.

        Start here when you do not know the identifiers. ``query`` is a few words or names. ``limit`` is 1 to 200.
        """
        limit = _limit(limit)
        found = await asyncio.gather(*(asyncio.to_thread(base.index.search, query, limit) for base in self._bases))
        return merge(found, limit)

    async def grep(self, pattern: str, path: str = "", ignore_case: bool = False, limit: int = 50) -> Matches:
        """Find every line that matches a regular expression, with the lines around it.

        Use it when you know the text: a message, a setting's name, a call. ``pattern`` has Python's syntax; ``path`` is a glob
        (``*.py``, ``src/**/*.ts``), empty for all files.
        """
        compiled = text_search.compiled(pattern, ignore_case=ignore_case)
        return await asyncio.to_thread(text_search.grep, self._texts(path), compiled, limit=_limit(limit))

    async def structural(self, pattern: str, language: str, path: str = "", limit: int = 50) -> Matches:
        """Find code of a given shape, whatever its layout: an ast-grep pattern such as ``retry($$$ARGS)`` or ``$X == None``.

        Use it for calls, comparisons and statements that text search would find too often or miss over several lines.
        ``$A`` stands for one expression, ``$$$A`` for any number. ``language`` is python, javascript, typescript, tsx, go, ...
        """
        return await asyncio.to_thread(shapes.structural, self._texts(path), pattern, language, limit=_limit(limit))

    async def symbols(self, name: str, limit: int = 20) -> list[Passage]:
        """Find where something is defined, by its name or a part of it: ``Retry.sleep``, ``max_retries``, ``maxretries``.

        Best matches first: exact, then apart from case and underscores, then as a part of a longer name.
        """
        found = await asyncio.gather(*(asyncio.to_thread(definitions.find, b, name, _limit(limit)) for b in self._bases))
        return list(chain.from_iterable(found))[: _limit(limit)]

    async def references(self, name: str, path: str = "", limit: int = 50) -> Matches:
        """Find where a name is used, as a whole word: calls, imports, mentions in comments, and its definition.

        It goes by the text alone: the same name elsewhere is found too. ``path`` is a glob.
        """
        pattern = text_search.compiled(text_search.word(name))
        return await asyncio.to_thread(text_search.grep, self._texts(path), pattern, limit=_limit(limit))

    async def outline(self, path: str, root: str = "") -> Outline:
        """List what a file defines, with lines: classes, functions, methods, constants. Use it before reading a long file."""
        return await self._in_thread(path, root, lambda base: definitions.outline(path, base.text(path)))

    async def read(self, path: str, first: int = 1, last: int = 0, root: str = "") -> Passage:
        """Read lines ``first`` to ``last`` of a file, counted from 1; 400 at a time at most. ``last`` 0: as far as that goes.

        ``root`` names the source (its directory or URL) where several sources hold the path.
        """
        return await self._in_thread(path, root, lambda base: _read(path, base.text(path), first, last))

    async def list_files(self, path: str = "", limit: int = 200) -> Listing:
        """List the files, or those that match a glob (``*.toml``, ``src/**``, ``docs/``). Use it to learn the layout."""
        paths = sorted({file for base in self._bases for file in base.files if matches(file, path)})
        most = _limit(limit)
        note = f"{len(paths) - most} more: narrow the glob" if len(paths) > most else ""
        return Listing(tuple(paths[:most]), note)

    async def history(self, path: str = "", limit: int = 20, root: str = "") -> list[Passage]:
        """The last commits that touched a file or folder (empty: any), newest first, with their messages: when and why.

        Only for a source that is a local git checkout.
        """
        return await self._history(path, root).log(path, _limit(limit))

    async def blame(self, path: str, first: int, last: int, root: str = "") -> Passage:
        """Which commit wrote each of the lines ``first`` to ``last``, by whom and when. Only for a local git checkout."""
        if not 1 <= first <= last < first + MOST_LINES:
            raise Invalid(f"lines {first} to {last}: give 1 to {MOST_LINES} lines, counted from 1, the first one first")
        return await self._history(path, root).blame(path, first, last)

    async def dependencies(self) -> Dependencies:
        """What the project depends on, by its manifests: name, constraint, whether it is pinned, and the line that says so."""
        return await asyncio.to_thread(self._dependencies)

    async def secrets(self, path: str = "", limit: int = 100) -> Secrets:
        """Find credentials left in the files: place and type of each; values are masked. Takes a while. ``path`` is a glob."""
        return await asyncio.to_thread(credentials.scan, self._texts(path), limit=_limit(limit))

    def _texts(self, glob: str) -> chain[tuple[str, str]]:
        return chain.from_iterable(base.texts(glob) for base in self._bases)

    async def _in_thread(self, path: str, root: str, do: Callable[[Base], T]) -> T:
        return await asyncio.to_thread(lambda: do(self._base(path, root)))

    def _base(self, path: str, root: str) -> Base:
        """The source called ``root``, or the first that has ``path``, or the first."""
        if root:
            named = next((base for base in self._bases if base.name == root), None)
            if named is None:
                raise Invalid(f"no source is called {root!r}; there are: {', '.join(base.name for base in self._bases)}")
            return named
        if not self._bases:
            raise SourceError("there is no code to read: name a directory or git URL as a source of kind code")
        return next((base for base in self._bases if path in base.files), self._bases[0])

    def _history(self, path: str, root: str) -> History:
        if path.startswith(("/", "../")) or "/../" in path or "\0" in path:
            raise Invalid(f"{path!r} is no path inside a source: give it relative, without '..'")
        base = self._base(path, root)
        if base.history is None:
            raise Invalid(f"there is no history: {base.no_history}")
        return base.history

    def _dependencies(self) -> Dependencies:
        found: list[Dependency] = []
        problems: list[str] = []
        for base in self._bases:
            for path in filter(manifests.is_manifest, base.files):
                text = base.text(path)
                try:
                    declared = manifests.parse(path, text)
                except ValueError as e:
                    problems.append(f"{path} cannot be parsed: {e}")
                    continue
                found.extend(
                    Dependency(d.name, d.constraint, d.pinned, d.group, _read(path, text, d.line, d.line)) for d in declared
                )
        return Dependencies(tuple(found), tuple(problems))


async def _open(source: Source, cache: Path, problems: list[tuple[str, str]]) -> Base:
    place = await asyncio.to_thread(locate, source)
    cache.mkdir(parents=True, exist_ok=True)
    if isinstance(place, Repository):
        copy = await clone(place, cache)
        problems.extend(copy.problems)
        reason = f"{place} was cloned without its past: clone it yourself and give the directory"
        return Base(source.location, copy.tree, copy.folder / "index.sqlite", history=None, no_history=reason)
    return Base(source.location, place, index_path(place, cache, "code"), history=History(place))


def _read(path: str, text: str, first: int, last: int) -> Passage:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not 1 <= first <= len(lines) or (last and last < first):
        raise Invalid(f"{path!r} has lines 1 to {len(lines)}: {first} to {last} is no part of it")
    last = min(last or len(lines), len(lines), first + MOST_LINES - 1)
    shown = lines[first - 1 : last]
    if any(len(line) > LONGEST_LINE * 8 for line in shown):
        raise Invalid(f"{path!r} has lines of more than {LONGEST_LINE * 8} characters here, too long to read: use grep on it")
    return Passage(source=path, text="\n".join(shown), locator=Locator(lines=(first, last)))


def _limit(asked: int) -> int:
    return max(1, min(asked, MOST_RESULTS))
