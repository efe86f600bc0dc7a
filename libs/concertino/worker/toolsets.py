"""Toolsets: what a service can do with sources of its kind, in a form that other workers can take up too.

A service offers its own under the entry point ``concertino.toolsets``. Its worker uses it under the tools' own names; a worker
that combines several (kind ``general``) sees each tool as ``<toolset>_<tool>``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

import structlog
from msgspec import Struct

from concertino.contracts.messages import Source
from concertino.model.port import Model
from concertino.runtime.settings import Settings
from concertino.worker.tools import ToolFunction

if TYPE_CHECKING:
    from concertino.worker.context import Context

GROUP = "concertino.toolsets"

log = structlog.get_logger(__name__)


class Opened(Protocol):
    """Sources, opened, with tools over all of them."""

    @property
    def problems(self) -> Sequence[tuple[str, str]]:
        """What could not be read of them, and why: files, pages. Asked for when the work is done."""

    def tools(self) -> Sequence[ToolFunction]: ...

    async def close(self) -> None: ...


class Toolset(Struct, frozen=True):
    """``open(context, sources)`` gives the tools over ``sources``, and nothing beyond them.

    It raises :class:`~concertino.contracts.errors.SourceError` where one cannot be read, or
    :class:`~concertino.contracts.errors.Transient` where it may be later.
    """

    name: str
    sources: tuple[str, ...]
    """Kinds of source that it reads."""
    open: Callable[[Context, Sequence[Source]], Awaitable[Opened]]
    abilities: Callable[[Settings, Model], Mapping[str, str]]
    """Every tool that it has in this installation, and what each is for in a line."""
    public: bool = False
    """Whether it reaches the open web. Such tools and those over private sources never go into the same piece of work: a page
    could have the model carry what is private out in an address."""
    names: Mapping[str, str] = {}
    """What a tool is called where toolsets are combined, if not ``<toolset>_<tool>``. Still with that beginning."""

    def qualified(self, tool: str) -> str:
        """The name of ``tool`` where toolsets are combined."""
        return self.names.get(tool, f"{self.name}_{tool}")

    def described(self, text: str, tools: Sequence[str]) -> str:
        """``text``, a tool's description, with the ``tools`` that it names between backticks called as they are there."""
        return re.sub(r"(?<=`)\w+(?=`)", lambda m: self.qualified(m[0]) if m[0] in tools else m[0], text)


@cache
def installed() -> Mapping[str, Toolset]:
    """Every toolset of this installation whose service can be imported here, by name."""
    found: dict[str, Toolset] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        try:
            toolset = entry.load()
        except ImportError as e:  # its service is an extra that is not installed here
            log.info("a toolset is not installed", toolset=entry.name, missing=str(e))
            continue
        if not isinstance(toolset, Toolset):
            raise TypeError(f"the entry point {entry.name} of {GROUP} is a {type(toolset).__name__}, and no Toolset")
        found[toolset.name] = toolset
    return found
