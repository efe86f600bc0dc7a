"""Tools of MCP servers that the configuration names: over stdio or streamable HTTP, for the kinds that may use them.

One session per server and process. What a server says of its tools, and what these answer, is data from outside: bounded in
size, and shown as what it is. A server that cannot be reached costs its tools, never the worker.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import Struct

from concertino.model.port import ToolSpec
from concertino.runtime.config import Config
from concertino.worker.mcp.answers import Told
from concertino.worker.tools import ToolFunction

if TYPE_CHECKING:
    from concertino.worker.mcp.offered import Offered
    from concertino.worker.mcp.server import Server

START_WITHIN = 10.0
"""Seconds that a worker waits for its servers before it takes work; slow ones are taken up when they are there."""

log = structlog.get_logger(__name__)


class Remote(Struct, frozen=True):
    """A tool of a server. ``public``: it reaches the open web."""

    spec: ToolSpec
    function: ToolFunction
    public: bool


class Servers:
    """The servers that one kind may use, for all its work in this process."""

    def __init__(self, servers: Sequence[Server] = (), problems: Sequence[str] = ()) -> None:
        self._servers = tuple(servers)
        self._problems = tuple(problems)

    @classmethod
    def of(cls, kind: str, config: Config, environment: Mapping[str, str] | None = None) -> Servers:
        """Those that ``config`` gives to ``kind``; nothing is started yet."""
        named = {alias: server for alias, server in config.mcp.items() if kind in server.kinds}
        if not named:
            return cls()
        try:
            from concertino.worker.mcp.server import Server  # an extra, and slow to import
        except ImportError as e:
            why = f"the library for it is not installed (pip install 'concertino[mcp]'): {e.name}"
            log.error("no MCP server can be used", why=why)
            return cls(problems=[f"the MCP server {alias!r}: {why}" for alias in named])
        environment = os.environ if environment is None else environment
        return cls([Server(alias, server, environment) for alias, server in named.items()])

    async def start(self, within: float = START_WITHIN) -> None:
        """Open a session with each, side by side."""
        await asyncio.gather(*(server.refresh(within) for server in self._servers))

    async def tools(self, allowed: Collection[str] | None = None) -> tuple[list[Remote], list[str]]:
        """The tools that there are now, and what is missing and why. A server is not asked if ``allowed`` names none of its."""
        wanted = [
            server
            for server in self._servers
            if allowed is None or any(name.startswith(f"{server.alias}_") for name in allowed)
        ]
        await asyncio.gather(*(server.refresh() for server in wanted))
        remotes = [
            Remote(offer.spec, _calling(server, offer), server.config.public) for server in wanted for offer in server.tools
        ]
        problems = [f"the MCP server {server.alias!r}: {problem}" for server in wanted for problem in server.problems]
        return remotes, [*self._problems, *problems]

    @property
    def abilities(self) -> dict[str, str]:
        """Every tool that is known, and what it says it is for."""
        return {offer.spec.name: offer.ability for server in self._servers for offer in server.tools}

    @property
    def public(self) -> list[str]:
        """Those of them that reach the open web."""
        return [offer.spec.name for server in self._servers if server.config.public for offer in server.tools]

    async def close(self) -> None:
        """End every session, and every process that was started for one."""
        await asyncio.gather(*(server.close() for server in self._servers))


def _calling(server: Server, offer: Offered) -> ToolFunction:
    async def call(**arguments: Any) -> Told:
        return await server.call(offer, arguments)

    return call
