"""What workers that read sources have in common: open them, offer their tools to the model, and name what could not be read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from msgspec import structs

from concertino.contracts.errors import SourceError
from concertino.contracts.facts import failure
from concertino.contracts.messages import Result, ResultStatus, Source
from concertino.model.port import Research
from concertino.retrieval.tree import Tree
from concertino.worker.context import Context
from concertino.worker.handlers import settle
from concertino.worker.tools import ToolFunction

_SCP = re.compile(r"[\w.-]+@[\w.-]+:")
"""How git writes a repository on another machine: ``git@example.org:team/project``."""

NAMED = 3
"""Unreadable files that are named in a result; the rest is counted."""


class Opened(Protocol):
    """Sources, opened, with tools over all of them."""

    @property
    def problems(self) -> Sequence[tuple[str, str]]: ...

    def tools(self) -> Sequence[ToolFunction]: ...

    async def close(self) -> None: ...


O = TypeVar("O", bound=Opened)  # noqa: E741
Open = Callable[[Sequence[Source], Path], Awaitable[O]]


async def research(context: Context, open_: Open[O], prompt: str = "") -> Result:
    """The findings of the context's model in its sources. A source that cannot be read costs that source, not the others.

    Raises :class:`SourceError` where none can be read.
    """
    sources = context.sources
    if not sources:
        raise SourceError(f"this brief names no source for {context.work.brief.kind!r} to read: give the task one")
    allowed, refused = _allowed(sources, context.settings.source_roots)
    await context.progress(f"opening {', '.join(source.location for source in allowed)}")
    opened, failed = await _open(allowed, refused, open_, Path(context.settings.cache))
    try:
        context.tools.add(*opened.tools())
        answer = await context.model.research(Research(work=context.work, tools=context.tools, prompt=prompt))
        notes = _notes(opened.problems)
    finally:
        await opened.close()
    result = settle(answer, context)
    assert isinstance(result, Result)
    result = structs.replace(result, notes=(*result.notes, *notes))
    if failed:
        error = failure(SourceError("; ".join(failed)))
        result = structs.replace(result, status=ResultStatus.PARTIAL, error=error)
    return result


def folders(context: Context) -> list[Tree]:
    """The brief's sources as folders to read files from, confined to what they hold.

    Raises :class:`SourceError` where one is no folder, or lies outside of those that workers may read here.
    """
    allowed, refused = _allowed(context.sources, context.settings.source_roots)
    paths = [(source.location, _local(source.location)) for source in allowed]
    refused += [f"{location}: this worker reads folders on its own machine only" for location, path in paths if path is None]
    if refused:
        raise SourceError("; ".join(refused))
    return [Tree(path) for _, path in paths if path is not None]


async def _open(sources: Sequence[Source], failed: list[str], open_: Open[O], cache: Path) -> tuple[O, list[str]]:
    if sources and not failed:
        try:
            return await open_(sources, cache), []
        except SourceError:
            if len(sources) == 1:
                raise
    good: list[Source] = []
    for source in sources:
        try:
            await (await open_([source], cache)).close()
            good.append(source)
        except SourceError as e:
            failed.append(str(e))
    if not good:
        raise SourceError("; ".join(failed))
    return await open_(good, cache), failed


def _allowed(sources: Sequence[Source], roots: str) -> tuple[list[Source], list[str]]:
    """Sources that lie in the folders that the installation lets workers read, and why the others do not."""
    folders = [Path(root).resolve() for root in roots.split(":") if root]
    allowed: list[Source] = []
    refused: list[str] = []
    for source in sources:
        path = _local(source.location)
        if path is not None and not path.is_absolute():
            refused.append(f"{source.location}: give an absolute path, or a URL: on the bus there is no current folder")
        elif path is None or any(path.resolve().is_relative_to(folder) for folder in folders):
            allowed.append(source)
        else:
            refused.append(f"{source.location}: lies outside the folders that workers may read here (CTN_SOURCE_ROOTS)")
    return allowed, refused


def _local(location: str) -> Path | None:
    """The path that ``location`` names on this machine, if it does."""
    if location.startswith("file://"):
        return Path(unquote(urlsplit(location).path))
    return None if "://" in location or _SCP.match(location) else Path(location)


def _notes(problems: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    notes = [f"not read: {path}: {reason}" for path, reason in problems[:NAMED]]
    if len(problems) > NAMED:
        notes.append(f"not read: {len(problems) - NAMED} more files")
    return tuple(notes)
