"""As much of an HTTP/1.1 server as tests need: requests with bodies, answers in chunks, connections that break on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import h11
from msgspec import Struct

_READ = 65_536


class Request(Struct, frozen=True):
    """``headers`` have names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Response(Struct, frozen=True):
    """Bytes, or pieces that are sent one by one."""

    status: int
    headers: Mapping[str, str]
    body: bytes | AsyncIterator[bytes]


class Broken(Exception):
    """Raised by a handler, or while a body is sent, to break the connection where it is."""


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Server:
    """Serves ``handler`` on a free port of 127.0.0.1."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None, "not started"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Break every connection, and hear no more."""
        assert self._server is not None, "not started"
        self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (Broken, ConnectionError, h11.RemoteProtocolError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()  # not raised again: the streams of asyncio would report it as an error
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while (request := await _receive(connection, reader)) is not None:
            await self._while_connected(self._answer(connection, request, writer), _hung_up(connection, reader))
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _while_connected(self, answering: Coroutine[Any, Any, None], hanging_up: Coroutine[Any, Any, None]) -> None:
        """Whoever hung up is not answered: what takes long is given up, and its handler hears :class:`CancelledError`."""
        answer, gone = asyncio.create_task(answering), asyncio.create_task(hanging_up)
        try:
            await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise Broken
            answer.result()
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def _answer(self, connection: h11.Connection, request: Request, writer: asyncio.StreamWriter) -> None:
        response = await self._handler(request)
        framing = {"transfer-encoding": "chunked"}
        if isinstance(response.body, bytes):
            framing = {"content-length": str(len(response.body))}
        head = h11.Response(status_code=response.status, headers=list({**response.headers, **framing}.items()))
        await _send(connection, writer, head)
        if isinstance(response.body, bytes):
            await _send(connection, writer, h11.Data(data=response.body))
        else:
            async for piece in response.body:
                await _send(connection, writer, h11.Data(data=piece))
        await _send(connection, writer, h11.EndOfMessage())


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when there is none to come."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ))
            case h11.Request() as head:
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage():
                assert head is not None
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                return Request(head.method.decode(), head.target.decode(), headers, bytes(body))
            case _:
                return None


async def _hung_up(connection: h11.Connection, reader: asyncio.StreamReader) -> None:
    """Returns once the other side has closed. What it sends until then belongs to its next request."""
    while data := await reader.read(_READ):
        connection.receive_data(data)


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, event: h11.Event) -> None:
    data = connection.send(event)
    if data:
        writer.write(data)
        await writer.drain()
