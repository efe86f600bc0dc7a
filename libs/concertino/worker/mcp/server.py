"""One server of the configuration: its tools, and the session with it, opened anew when it was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog
from mcp import InputRequiredRoundsExceededError, MCPError
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, REQUEST_TIMEOUT
from pydantic import ValidationError

from concertino.contracts.errors import Invalid, Transient
from concertino.runtime.clock import Clock
from concertino.runtime.config import McpServer
from concertino.telemetry import metrics
from concertino.telemetry.ending import ending
from concertino.worker.mcp.answers import Told, told
from concertino.worker.mcp.offered import Offered, offered
from concertino.worker.mcp.session import Away, Session

OPEN_WITHIN = 30.0
"""Seconds until its tools must be known."""
LIST_WITHIN = 10.0
FRESH = 5.0
"""Seconds for which a session that answered is taken to be alive."""
AGAIN_AFTER = 5.0
"""Seconds after which a server that could not be reached is tried again, when there is work that may need it."""
_PAGES = 20

log = structlog.get_logger(__name__)


class Server:
    """``alias`` is its name in the configuration. ``environment`` fills its variables."""

    def __init__(
        self, alias: str, config: McpServer, environment: Mapping[str, str], *, monotonic: Clock = time.monotonic
    ) -> None:
        self.alias, self.config = alias, config
        self.tools: tuple[Offered, ...] = ()
        """As it listed them last; none while it is away."""
        self.problems: tuple[str, ...] = ()
        self._environment, self._monotonic = environment, monotonic
        self._session: Session | None = None
        self._answered = self._failed = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._closed = False

    async def refresh(self, within: float = OPEN_WITHIN) -> None:
        """Bring :attr:`tools` and :attr:`problems` up to date. What takes longer than ``within`` seconds goes on beside."""
        if self._closed:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        await asyncio.wait([self._refreshing], timeout=within)

    async def call(self, offer: Offered, arguments: Mapping[str, Any]) -> Told:
        """What the tool answers. Raises :class:`Invalid` for an error of the tool, :class:`Transient` for one of the server."""
        with ending(self._monotonic, lambda how, took: metrics.MCP_SECONDS.labels(self.alias, how).observe(took)):
            return await self._call(offer, arguments)

    async def _call(self, offer: Offered, arguments: Mapping[str, Any]) -> Told:
        session = await self._living()
        name = offer.spec.name
        if not session.calls:
            session.since = self._monotonic()
        session.calls += 1
        try:
            async with asyncio.timeout(self.config.seconds):
                result = await session.client.call_tool(offer.tool, dict(arguments))
        except TimeoutError as e:
            raise Transient(f"{name} did not answer within {self.config.seconds:g} s: ask for less, or go on without it") from e
        except MCPError as e:
            if e.code == CONNECTION_CLOSED or session.lost:
                session.lose("the connection was closed")
                await self.refresh(within=0)
                raise Transient(
                    f"the MCP server {self.alias!r} was lost while {name} was called ({session.lost}): it is opened again, "
                    "and may be called again if that does no harm"
                ) from e
            if e.code in (INTERNAL_ERROR, REQUEST_TIMEOUT):
                raise Transient(f"{name} failed at its server: {_short(e)}") from e
            raise Invalid(f"{name}: {_short(e)}") from e
        except (InputRequiredRoundsExceededError, RuntimeError, ValidationError) as e:
            raise Invalid(f"{name} answers what its protocol or its own schema does not allow: {_short(e)}") from e
        except Exception as e:  # whatever else a server makes the SDK raise: no bug of ours is in there
            raise Transient(f"{name} could not be called: {_short(e)}") from e
        finally:
            session.calls -= 1
        self._answered = self._monotonic()
        return told(self.alias, offer.tool, arguments, result)

    async def close(self) -> None:
        self._closed = True
        if self._refreshing:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        if self._session:
            await self._session.close()

    async def _living(self) -> Session:
        if self._session is None or self._session.lost:
            await self.refresh()
        if self._session is None or self._session.lost:
            raise Transient(f"the MCP server {self.alias!r} cannot be reached: {'; '.join(self.problems)}")
        return self._session

    async def _refresh(self) -> None:
        now = self._monotonic()
        if self._session:
            session = self._session
            if not session.lost and (self._busy(session) or now - self._answered < FRESH or await self._list(session)):
                return
            await self._drop(session)
        elif now - self._failed < AGAIN_AFTER:
            return
        try:
            self._session = await Session.open(self.config, self._environment, OPEN_WITHIN)
        except Away as e:
            self._away(str(e))
            return
        if not await self._list(self._session):
            await self._drop(self._session)

    def _busy(self, session: Session) -> bool:
        """Whether ``session`` is at work. Who does one thing at a time lists nothing meanwhile, and is alive all the same; who
        answers nobody for as long as a call may take is not."""
        return session.calls > 0 and self._monotonic() - max(self._answered, session.since) < self.config.seconds

    async def _drop(self, session: Session) -> None:
        session.lose("; ".join(self.problems))
        await session.close()
        self._session = None

    async def _list(self, session: Session) -> bool:
        """Whether ``session`` answers, or is at work for somebody."""
        try:
            async with asyncio.timeout(LIST_WITHIN):
                listed: list[Any] = []
                cursor: str | None = None
                for _ in range(_PAGES):
                    page = await session.client.list_tools(cursor=cursor)
                    listed += page.tools
                    if not (cursor := page.next_cursor):
                        break
        except Exception as e:  # noqa: BLE001  (as above)
            if self._busy(session) and not session.lost:
                return True
            slow = f"it does not list its tools within {LIST_WITHIN:g} s"
            self._away(session.lost or (slow if isinstance(e, TimeoutError) else _short(e)))
            return False
        tools, problems = offered(self.alias, listed, self.config.tools)
        if tuple(problems) != self.problems:
            for problem in problems:
                log.warning("an MCP server does not offer all that is configured", server=self.alias, problem=problem)
        self.tools, self.problems, self._answered = tuple(tools), tuple(problems), self._monotonic()
        return True

    def _away(self, why: str) -> None:
        log.warning("an MCP server is away, and so are its tools", server=self.alias, why=why)
        self.tools, self.problems, self._failed = (), (why,), self._monotonic()


def _short(e: Exception) -> str:
    return (" ".join(str(e).split()) or type(e).__name__)[:500]
