"""What workers that read sources have in common: open them, offer their tools to the model, and name what could not be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import structs

from concertino.contracts.errors import SourceError
from concertino.contracts.facts import failure
from concertino.contracts.messages import Result, ResultStatus, Settled, Source
from concertino.masking import without_credentials
from concertino.model.port import Prompt
from concertino.retrieval.cache import NoRoomTogether
from concertino.retrieval.tree import Tree
from concertino.worker.context import Context
from concertino.worker.handlers import settle
from concertino.worker.tools import ToolFunction
from concertino.worker.toolsets import Opened, Toolset

_SCP = re.compile(r"[\w.-]+@[\w.-]+:")
"""How git writes a repository on another machine: ``git@example.org:team/project``."""

NAMED = 3
"""Unreadable files that are named in a result; the rest is counted."""


class Reading:
    """What could be opened of the ``sources`` of one piece of work. ``failed``: what could not, and why."""

    def __init__(self, opened: Opened, failed: Sequence[str]) -> None:
        self._opened = opened
        self.failed = tuple(failed)

    @classmethod
    async def of(cls, context: Context, toolset: Toolset, sources: Sequence[Source]) -> Reading:
        """Open ``sources``. One that cannot be read costs that source, not the others; :class:`SourceError` where none can be
        read."""
        allowed, refused = _allowed(sources, context.settings.source_roots)
        if allowed:
            await context.progress(f"opening {', '.join(without_credentials(source.location) for source in allowed)}")
        return cls(*await _open(context, toolset, allowed, refused))

    @property
    def problems(self) -> Sequence[tuple[str, str]]:
        """What could not be read within the sources that could be."""
        return self._opened.problems

    def tools(self) -> Sequence[ToolFunction]:
        return self._opened.tools()

    async def close(self) -> None:
        await self._opened.close()


async def research(context: Context, toolset: Toolset, prompt: Prompt | str = "") -> Result:
    """The findings of the context's model in its sources. A source that cannot be read costs that source, not the others.

    Raises :class:`SourceError` where none can be read.
    """
    sources = context.sources
    if not sources:
        raise SourceError(f"this brief names no source for {context.work.brief.kind!r} to read: give the task one")
    reading = await Reading.of(context, toolset, sources)
    try:
        context.tools.add(*reading.tools())
        answer = await context.research(prompt)
        problems = list(reading.problems)
    finally:
        await reading.close()
    return completed(settle(answer, context), problems, reading.failed)


def completed(result: Settled, problems: Sequence[tuple[str, str]], failed: Sequence[str]) -> Result:
    """``result`` with what could not be read: ``problems`` are noted, sources that ``failed`` make it partial."""
    assert isinstance(result, Result)
    result = structs.replace(result, notes=(*result.notes, *_notes(problems)))
    if not failed:
        return result
    causes = [*failed, *([result.error.message] if result.error else [])]
    return structs.replace(result, status=ResultStatus.PARTIAL, error=failure(SourceError("; ".join(causes))))


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


async def _open(context: Context, toolset: Toolset, sources: Sequence[Source], failed: list[str]) -> tuple[Opened, list[str]]:
    if not failed:
        try:
            return await toolset.open(context, sources), []
        except NoRoomTogether:
            raise  # each alone would do, and all of them will not
        except SourceError:
            if len(sources) <= 1:
                raise
    good: list[Source] = []
    for source in sources:
        try:
            await (await toolset.open(context, [source])).close()
            good.append(source)
        except SourceError as e:
            failed.append(str(e))
    if not good:
        raise SourceError("; ".join(failed))
    return await toolset.open(context, good), failed


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
