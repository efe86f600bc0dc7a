"""The way of one service to the servers: a TCP proxy that can be cut, fall silent, or be slow."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

SLOW = 0.2
"""Seconds that everything takes longer on its way."""


class Link:
    """Forwards between one service and one of the servers at ``urls``, until told otherwise."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._servers = [(host, int(port)) for host, _, port in (url.removeprefix("nats://").partition(":") for url in urls)]
        self._listening: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hearing = asyncio.Event()
        self._hearing.set()
        self._delay = 0.0

    @property
    def url(self) -> str:
        assert self._listening is not None
        return f"nats://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    def cut(self) -> None:
        """Break every connection. New ones are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    def deafen(self) -> None:
        """Connections stand, and nothing comes through to the service any more."""
        self._hearing.clear()

    def slow(self) -> None:
        """Everything takes :data:`SLOW` longer, both ways."""
        self._delay = SLOW

    def heal(self) -> None:
        self._hearing.set()
        self._delay = 0.0

    async def stop(self) -> None:
        if self._listening:
            self._listening.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await self._dial()
        if there is None:
            writer.transport.abort()
            return
        server_reader, server_writer = there
        ends = {writer, server_writer}
        self._writers |= ends
        ways = {
            asyncio.create_task(self._forward(reader, server_writer, back=False)),
            asyncio.create_task(self._forward(server_reader, writer, back=True)),
        }
        self._tasks |= ways
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()
        for way in ways:
            way.cancel()  # one that waits for a deaf ear to hear again has nobody left to tell
        await asyncio.wait(ways)
        self._tasks -= ways
        self._writers -= ends

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for host, port in random.sample(self._servers, len(self._servers)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, port)
        return None

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if back:
                    await self._hearing.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()
