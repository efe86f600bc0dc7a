"""A connection that can be made to misbehave: a TCP proxy before the real server."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Forwards between clients and the server at ``url``, until told otherwise."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.mute = False
        """What the server says is swallowed."""
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def say(self, data: bytes) -> None:
        """Say ``data`` to every client, as if the server had."""
        for client in self._clients:
            client.write(data)
            await client.drain()

    def hold(self) -> None:
        """What the server says stays on the wire until :meth:`release`."""
        self._flowing.clear()

    def release(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection; new ones are accepted."""
        for client in list(self._clients):
            client.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._host, self._port)
        self._clients.add(writer)
        there = asyncio.create_task(self._forward(reader, server_writer, mutable=False))
        back = asyncio.create_task(self._forward(server_reader, writer, mutable=True))
        self._tasks |= {there, back}
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        self._clients.discard(writer)
        for end in (writer, server_writer):
            end.transport.abort()
        await asyncio.wait({there, back})
        self._tasks -= {there, back}

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mutable: bool) -> None:
        try:
            while data := await reader.read(65536):
                if mutable:
                    await self._flowing.wait()
                if not (mutable and self.mute):
                    writer.write(data)
                    await writer.drain()
        except OSError:
            return
