"""An MCP server that is reached over streamable HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from concertino.worker.mcp.stdio import MOST_ANSWER

CONNECT_SECONDS = 10.0


@asynccontextmanager
async def http(url: str, headers: Mapping[str, str], seconds: float) -> AsyncIterator[Any]:
    """The streams of the server at ``url``. ``seconds`` is how long it may be silent."""
    client = httpx2.AsyncClient(
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(CONNECT_SECONDS, read=seconds + CONNECT_SECONDS),
        event_hooks={"response": [_bound]},
    )
    async with client, streamable_http_client(url, http_client=client, max_sse_event_size=MOST_ANSWER) as streams:
        yield streams


async def _bound(response: httpx2.Response) -> None:
    """The SDK bounds each event of a stream, and not an answer that comes as one document."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.RemoteProtocolError("it compressed its answer, though it was asked not to", request=response.request)
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MOST_ANSWER:
                raise httpx2.StreamError(f"it said more than {MOST_ANSWER} bytes at once")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
