"""What a cluster asks a service over HTTP: does it live, is it ready, and its metrics.

It is answered by the event loop that does the work, so a loop that hangs fails the probe. ``GET /livez``, ``/readyz`` and
``/metrics`` are all there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import prometheus_client
import structlog

from concertino.contracts.errors import BadSetting

log = structlog.get_logger(__name__)

_MOST_BYTES = 8 * 1024
"""Of a request's head."""
_SECONDS = 5.0
"""For one request, from its first byte to the last of its answer."""
_TEXT = "text/plain; charset=utf-8"

Answer = tuple[HTTPStatus, str, bytes]


class Probes:
    """``ready`` says in a word what is missing, or nothing where work can be taken; ``stuck``, whether only a new process can
    help."""

    def __init__(self, ready: Callable[[], str], stuck: Callable[[], bool] = lambda: False) -> None:
        self._ready, self._stuck = ready, stuck
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, where ``port`` is 0. Raises :class:`BadSetting` where that is not possible."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_MOST_BYTES)
        except OSError as e:
            raise BadSetting(f"CTN_PORT: cannot listen on {host}:{port} ({e.strerror}): name a free port, or 0 for none") from e
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(*self._answer(head)))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as e:
            log.debug("a probe went wrong", error=str(e))
        finally:
            writer.close()

    def _answer(self, head: bytes) -> Answer:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method != b"GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET\n"
        match path:
            case b"/livez" if self._stuck():
                return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"every slot is held by what was told to end, and does not\n"
            case b"/livez":
                return HTTPStatus.OK, _TEXT, b"alive\n"
            case b"/readyz":
                missing = self._ready()
                status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
                return status, _TEXT, f"{missing or 'ready'}\n".encode()
            case b"/metrics":
                return HTTPStatus.OK, prometheus_client.CONTENT_TYPE_LATEST, prometheus_client.generate_latest()
            case _:
                return HTTPStatus.NOT_FOUND, _TEXT, b"there are /livez, /readyz and /metrics\n"


def _response(status: HTTPStatus, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + body
