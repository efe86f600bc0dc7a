"""A session with a server, owned by one task: the SDK's scopes must be left by the task that entered them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from string import Template
from typing import Any

from mcp import Client
from mcp.client.stdio import get_default_environment

from concertino.masking import learn, learn_environment
from concertino.runtime.config import McpServer
from concertino.worker.mcp.http import http
from concertino.worker.mcp.stdio import LEAVE_WITHIN, stdio

CLOSE_WITHIN = 4 * LEAVE_WITHIN
"""Seconds, for a process that has to be ended with force."""


class Away(Exception):
    """The server cannot be reached; the text says why, and holds no secret."""


class Session:
    """Begun by :meth:`open`. ``lost`` says why it is over, once it is; else it is empty.

    ``calls`` are under way, one or more of them ``since`` then.
    """

    def __init__(self, server: McpServer, environment: Mapping[str, str]) -> None:
        self.lost = ""
        self.calls, self.since = 0, 0.0
        self._end = asyncio.Event()
        self._opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(server, environment))

    @classmethod
    async def open(cls, server: McpServer, environment: Mapping[str, str], within: float) -> Session:
        """Raises :class:`Away` where the server does not answer ``within`` that many seconds, or at all."""
        session = cls(server, environment)
        try:
            done, _ = await asyncio.wait([session._opened], timeout=within)
            if not done:
                raise Away(f"it does not answer within {within:g} s")
            session._opened.result()
        except BaseException:
            await session.close()
            raise
        return session

    @property
    def client(self) -> Client:
        return self._opened.result()

    def lose(self, why: str) -> None:
        """It is of no use any more. The first reason counts."""
        self.lost = self.lost or why
        self._end.set()

    async def close(self) -> None:
        self.lose("it was closed")
        if not self._opened.done():
            self._owner.cancel()  # no event is looked at before it is open
        await asyncio.wait([self._owner], timeout=CLOSE_WITHIN)
        # Once only: a second cancellation would cut short how a process is ended.
        if not self._owner.done() and not self._owner.cancelling():
            self._owner.cancel()
            await asyncio.wait([self._owner], timeout=CLOSE_WITHIN)

    async def _own(self, server: McpServer, environment: Mapping[str, str]) -> None:
        try:
            async with Client(_transport(server, environment, self.lose), cache=None) as client:
                self._opened.set_result(client)
                await self._end.wait()
        except Exception as e:  # noqa: BLE001  (whatever a server makes the SDK raise: it is away)
            self.lose(_reason(e))
        finally:
            self.lose("it was closed")
            if not self._opened.done():
                self._opened.set_exception(Away(self.lost))
                self._opened.exception()  # nobody may be waiting any more


def _transport(
    server: McpServer, environment: Mapping[str, str], lost: Callable[[str], None]
) -> AbstractAsyncContextManager[Any]:
    if server.url:
        headers = _filled(server.headers, environment)
        learn((word for value in headers.values() for word in (value, value.rpartition(" ")[2])), forever=True)
        return http(server.url, headers, server.seconds)
    own = _filled(server.env, environment)
    learn_environment(own)
    return stdio(server.command, get_default_environment() | own, lost)


def _filled(values: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """``values`` with each ``$NAME`` replaced. :class:`Away` names a variable that is not set, never what it holds."""
    try:
        return {name: Template(value).substitute(environment) for name, value in values.items()}
    except KeyError as e:
        raise Away(f"the environment variable {e.args[0]} that its configuration names is not set") from e
    except ValueError as e:
        raise Away("a $ in its configuration names no variable: write $$ for the character itself") from e


def _reason(e: BaseException) -> str:
    while isinstance(e, BaseExceptionGroup):
        e = e.exceptions[0]
    if isinstance(e, FileNotFoundError | PermissionError):
        return f"its command cannot be started: {e.strerror}: {e.filename}"
    return (" ".join(str(e).split()) or type(e).__name__)[:300]
