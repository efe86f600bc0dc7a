"""Streams that are deleted while services run, by hand or with their server's disk, are made anew."""

from __future__ import annotations

import asyncio
import time

import msgspec
import structlog

from concertino.bus import calls
from concertino.bus.api import NAME_IN_USE, STREAM_NOT_FOUND, Api, expect_no_error
from concertino.bus.topology import Stream
from concertino.contracts.errors import ConcertinoError

PAUSE = 1.0
"""Seconds between two looks: after a restart of the server nobody answers for a while, and all are there."""

log = structlog.get_logger(__name__)


class Streams:
    """The streams that this service has provisioned. Who may not provision remembers none, and makes none."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._streams: dict[str, Stream] = {}
        self._looking: asyncio.Task[None] | None = None
        self._again = False

    def remember(self, stream: Stream) -> None:
        self._streams[stream.name] = stream

    def look(self) -> None:
        """Nobody answered: see beside all else whether it is because a stream is gone. Whoever asked asks again."""
        self._again = True  # what is gone by now, a look that is under way may have found there
        if self._streams and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        if self._looking:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def restore(self) -> None:
        """Make those anew that are gone. What is there stays as it is, however it is configured: a newer release may have."""
        for stream in list(self._streams.values()):  # more may be provisioned meanwhile
            reply = await self._api.call(calls.stream_info(stream.name))
            if reply.error and reply.error.err_code == STREAM_NOT_FOUND:
                await self._make(stream)

    async def _make(self, stream: Stream) -> None:
        # Numbers of microseconds are beyond all that there were: whoever knows the last one, a reader, a stream that takes its
        # messages, a writer by compare-and-set, is neither deceived nor left behind.
        config = {**stream.config(), "first_seq": int(time.time() * 1e6)}
        reply = await self._api.call(calls.create_stream(stream.name), msgspec.json.encode(config))
        if reply.error and reply.error.err_code in NAME_IN_USE:
            return  # another service was faster
        expect_no_error(reply, f"stream {stream.name} cannot be made anew")
        log.error(
            "a stream was deleted, and is made anew: what was in it is lost but for work that waits, which orchestrators send "
            "again; see docs/operations.md, What is promised",
            stream=stream.name,
        )

    async def _look(self) -> None:
        while self._again:
            self._again = False
            try:
                await self.restore()
            except ConcertinoError as e:
                log.warning("whether a stream is gone is not known, or it cannot be made anew yet", error=str(e))
            await asyncio.sleep(PAUSE)
