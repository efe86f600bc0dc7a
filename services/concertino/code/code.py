"""The tools of the code worker, over the code bases of one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct

from concertino.code import grep as text_search
from concertino.code import manifests
from concertino.code import structural as shapes
from concertino.code import symbols as definitions
from concertino.code.base import Base
from concertino.code.bases import Bases, Find, Root
from concertino.code.checks.tools import Checks
from concertino.code.clones import Limits, clone
from concertino.code.globs import matches
from concertino.code.grep import Matches
from concertino.code.history import History
from concertino.code.installed import Distribution, is_installed
from concertino.code.location import Repository, locate
from concertino.code.pieces import LONGEST_LINE
from concertino.code.symbols import Outline
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage, Source
from concertino.masking import without_credentials
from concertino.retrieval.cache import Cache, Held
from concertino.retrieval.index import INDEX, index_folder
from concertino.retrieval.search import SearchResult, merge
from concertino.runtime.threads import in_thread
from concertino.worker.passages import rooted

MOST_RESULTS = 200
MOST_LINES = 400
"""Of one reading."""

T = TypeVar("T")


Glob = Annotated[str, Meta(description="A glob of paths: *.py, src/**/*.ts, docs/. Empty: all files.")]
Path_ = Annotated[str, Meta(description="The path of a file, relative to its source, as other tools give it.")]


class Listing(Struct, frozen=True):
    """Paths of one source, sorted. ``note`` says what is missing, if anything is."""

    root: str
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

    def __init__(self, bases: Sequence[Base], problems: Sequence[tuple[str, str]], held: Sequence[Held] = ()) -> None:
        """``held``: where their files and indexes lie."""
        self._bases, self._held = Bases(bases), held
        self.problems = list(problems)
        """Path, and why it is not read or not as it should be."""

    @classmethod
    async def open(cls, sources: Sequence[Source], cache: Cache, limits: Limits = Limits()) -> Code:  # noqa: B008  (frozen)
        """Clone what must be cloned within ``limits``, and bring each index up to date, kept in ``cache``.

        Raises :class:`SourceError` where a source cannot be read at all, and
        :class:`~concertino.contracts.errors.Transient` where trying again may help.
        """
        bases: list[Base] = []
        problems: list[tuple[str, str]] = []
        held: list[Held] = []
        try:
            for source in dict.fromkeys(sources):
                base = await _open(source, cache, limits, problems, held)
                bases.append(base)
                await held[-1].within(in_thread(base.refresh))
                problems.extend(base.problems)
        except BaseException:
            await cls(bases, problems, held).close()
            raise
        return cls(bases, problems, held)

    def tools(self) -> list[Callable[..., Awaitable[Any]]]:
        """All of them, for a :class:`~concertino.worker.tools.Toolbox`."""
        return [
            *(self.search, self.grep, self.structural, self.symbols, self.references, self.outline),
            *(self.read, self.list_files, self.history, self.blame, self.dependencies),
            *Checks(self._bases).tools(),
        ]

    async def close(self) -> None:
        for base in self._bases:
            await asyncio.to_thread(base.close)
        for held in self._held:
            held.release()

    async def search(self, query: str, limit: int = 20, root: Root = "") -> SearchResult:
        """Find passages about something, ranked: definitions with their comments, classes, constants, README sections.

        Start here when you do not know the identifiers. ``query`` is a few words or names. ``limit`` is 1 to 200.
        """
        limit = _limit(limit)

        def search(base: Base) -> SearchResult:
            return rooted(base.index.search(query, limit), base.name)

        return merge(await asyncio.gather(*(in_thread(search, base) for base in self._bases.of(root))), limit)

    async def grep(self, pattern: str, path: Glob = "", ignore_case: bool = False, limit: int = 50, root: Root = "") -> Matches:
        """Find every line that matches a regular expression, with the lines around it.

        Use it when you know the text: a message, a setting's name, a call. ``pattern`` has Python's syntax.
        """
        find = partial(text_search.grep, pattern=text_search.compiled(pattern, ignore_case=ignore_case))
        return await self._through(find, path, root, limit, text_search.MOST_SECONDS)

    async def structural(self, pattern: str, language: str, path: Glob = "", limit: int = 50, root: Root = "") -> Matches:
        """Find code of a given shape, whatever its layout: an ast-grep pattern such as ``retry($$$ARGS)`` or ``$X == None``.

        Use it for calls, comparisons and statements that text search would find too often or miss over several lines.
        ``$A`` stands for one expression, ``$$$A`` for any number. ``language`` is python, javascript, typescript, tsx, go, ...
        """
        find = partial(shapes.structural, pattern=pattern, language=language)
        return await self._through(find, path, root, limit, shapes.MOST_SECONDS)

    async def symbols(self, name: str, limit: int = 20, root: Root = "") -> list[Passage]:
        """Find where something is defined, by its name or a part of it: ``Retry.sleep``, ``max_retries``, ``maxretries``.

        Best matches first: exact, then apart from case and underscores, then as a part of a longer name.
        """

        def find(base: Base) -> list[Passage]:
            return rooted(definitions.find(base, name, _limit(limit)), base.name)

        found = await asyncio.gather(*(in_thread(find, base) for base in self._bases.of(root)))
        return list(chain.from_iterable(found))[: _limit(limit)]

    async def references(self, name: str, path: Glob = "", limit: int = 50, root: Root = "") -> Matches:
        """Find where a name is used, as a whole word: calls, imports, mentions in comments, and its definition.

        It goes by the text alone: the same name elsewhere is found too.
        """
        find = partial(text_search.grep, pattern=text_search.compiled(text_search.word(name)))
        return await self._through(find, path, root, limit, text_search.MOST_SECONDS)

    async def outline(self, path: Path_, root: Root = "") -> Outline:
        """List what a file defines, with lines: classes, functions, methods, constants. Use it before reading a long file."""
        return await self._in_thread(path, root, lambda base: definitions.outline(path, base.text(path)))

    async def read(self, path: Path_, first: int = 1, last: int = 0, root: Root = "") -> Passage:
        """Read lines ``first`` to ``last`` of a file, counted from 1; 400 at a time at most. ``last`` 0: as far as that goes.

        Use it to see what stands around a match: a definition whole, with its comment, before you say what it does.
        """
        return await self._in_thread(path, root, lambda base: rooted(_read(path, base.text(path), first, last), base.name))

    async def list_files(self, path: Glob = "", limit: int = 200, root: Root = "") -> list[Listing]:
        """List the files of each source. Use it first where you do not know the layout. ``limit`` is for each source."""
        return [_listing(base, path, _limit(limit)) for base in self._bases.of(root)]

    async def history(self, path: Path_ = "", limit: int = 20, root: Root = "") -> list[Passage]:
        """The last commits that touched a file or folder (empty: any), newest first, with their messages: when and why.

        Only for a source that is a local git checkout.
        """
        base, history = self._history(path, root)
        return rooted(await history.log(path, _limit(limit)), base.name)

    async def blame(self, path: Path_, first: int, last: int, root: Root = "") -> Passage:
        """Which commit wrote each of the lines ``first`` to ``last``, by whom and when. Only for a local git checkout."""
        if not 1 <= first <= last < first + MOST_LINES:
            raise Invalid(f"lines {first} to {last}: give 1 to {MOST_LINES} lines, counted from 1, the first one first")
        base, history = self._history(path, root)
        return rooted(await history.blame(path, first, last), base.name)

    async def dependencies(self, root: Root = "") -> Dependencies:
        """What the project depends on, by its manifests: name, constraint, whether it is pinned, and the line that says so."""
        return await in_thread(lambda: _dependencies(self._bases.of(root)))

    async def _through(self, find: Find, path: str, root: str, limit: int, seconds: float) -> Matches:
        return await in_thread(self._bases.through, find, path, root, limit=_limit(limit), seconds=seconds)

    async def _in_thread(self, path: str, root: str, do: Callable[[Base], T]) -> T:
        return await in_thread(lambda: do(self._bases.holding(path, root)))

    def _history(self, path: str, root: str) -> tuple[Base, History]:
        if path.startswith(("/", "../")) or "/../" in path or "\0" in path:
            raise Invalid(f"{path!r} is no path inside a source: give it relative, without '..'")
        base = self._bases.holding(path, root)
        if base.history is None:
            raise Invalid(f"there is no history: {base.no_history}")
        return base, base.history


def _listing(base: Base, glob: str, most: int) -> Listing:
    paths = sorted(file for file in base.files if matches(file, glob))
    note = f"{len(paths) - most} more: narrow the glob" if len(paths) > most else ""
    return Listing(base.name, tuple(paths[:most]), note)


def _dependencies(bases: Sequence[Base]) -> Dependencies:
    found: list[Dependency] = []
    problems: list[str] = []
    for base in bases:
        for path in filter(manifests.is_manifest, base.files):
            text = base.text(path)
            try:
                declared = manifests.parse(path, text)
            except ValueError as e:
                problems.append(f"{path} cannot be parsed: {e}")
                continue
            for d in declared:
                passage = rooted(_read(path, text, d.line, d.line), base.name)
                found.append(Dependency(d.name, d.constraint, d.pinned, d.group, passage))
    return Dependencies(tuple(found), tuple(problems))


async def _open(source: Source, cache: Cache, limits: Limits, problems: list[tuple[str, str]], held: list[Held]) -> Base:
    """What it lies in goes to ``held``, and what is not as it should be to ``problems``."""
    place = await in_thread(locate, source)
    name = without_credentials(source.location)
    if isinstance(place, Repository):
        copy = await clone(place, cache, limits)
        held.append(copy.held)
        problems.extend(copy.problems)
        reason = f"{place} was cloned without its past: clone it yourself and give the directory"
        return Base(name, copy.tree, copy.held.folder / INDEX, history=None, no_history=reason)
    held.append(await cache.hold(index_folder(place, cache.folder, "code"), name))
    index = held[-1].folder / INDEX
    if is_installed(place):
        return Base(source.location, Distribution(place), index, history=None, no_history="it was installed from an archive")
    return Base(source.location, place, index, history=History(place))


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
