"""The port, for one client of the twin."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

from concertino.bus import blobs
from concertino.bus.memory.flow import MemoryConsumption, MemorySubscription
from concertino.bus.memory.server import MemoryServer
from concertino.bus.port import Consumption, Entry, Handler, Headers, Listener, Parcel, Queued, Stored, Subscription
from concertino.bus.topology import Consumer, Topology
from concertino.bus.wildcards import matches
from concertino.contracts.errors import BusUnavailable, QueueFull
from concertino.contracts.subjects import Header, Subjects

_DEFAULT = Subjects()
_PAGE = 100
"""Messages of one page: few, so that whoever reads them has to turn it."""


class MemoryBus:
    """The :class:`~concertino.bus.port.Bus` in memory. Several on one ``server`` are several clients of it.

    ``clock`` is that of a server of its own, where none is given. Needs a running event loop once it is used.
    """

    def __init__(
        self, subjects: Subjects = _DEFAULT, *, server: MemoryServer | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.server = server or MemoryServer(clock)
        self._subjects = subjects
        self._flows: list[MemoryConsumption | MemorySubscription] = []
        self._closed = False

    @property
    def connected(self) -> bool:
        return not self._closed

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass; see :meth:`MemoryServer.advance`."""
        await self.server.advance(seconds)

    async def provision(self, topology: Topology) -> None:
        await self._hop()
        for stream in topology.streams:
            self.server.provision_stream(stream)
        for consumer in topology.consumers:
            self.server.provision_consumer(consumer)

    # --- streams

    async def write_once(self, subject: str, data: bytes, headers: Headers | None = None) -> int | None:
        return await self._store(subject, data, {**(headers or {}), Header.EXPECTED_LAST_SUBJECT_SEQUENCE: "0"})

    async def enqueue(self, subject: str, data: bytes, message_id: str, headers: Headers | None = None) -> None:
        await self._store(subject, data, {**(headers or {}), Header.MESSAGE_ID: message_id})

    async def enqueue_each(self, parcels: Sequence[Parcel]) -> list[QueueFull | None]:
        answers = await asyncio.gather(
            *(self.enqueue(p.subject, p.data, p.message_id, p.headers) for p in parcels), return_exceptions=True
        )
        full: list[QueueFull | None] = []
        for answer in answers:
            if answer is not None and not isinstance(answer, QueueFull):
                raise answer
            full.append(answer)
        return full

    async def overwrite(self, subject: str, data: bytes, headers: Headers) -> None:
        """Store ``data`` whatever is there."""
        await self._store(subject, data, headers)

    async def schedule(self, subject: str, at: float, target: str) -> None:
        when = datetime.fromtimestamp(at, UTC).isoformat()
        await self._store(subject, b"", {Header.SCHEDULE: f"@at {when}", Header.SCHEDULE_TARGET: target})

    async def unschedule(self, subject: str) -> None:
        await self._hop()
        self.server.stream(self._subjects.timers_stream).purge(subject)

    async def read(
        self, stream: str, subjects: str, after: int = 0, reach: int = 0, since: float | None = None
    ) -> list[Stored]:
        await self._hop()
        kept = self.server.stream(stream)
        if reach > kept.last_sequence:
            raise BusUnavailable(f"reading {subjects}: message {reach} is not there yet")
        found = kept.select(lambda subject: matches(subjects, subject), after)
        return [m for m in found if since is None or m.time >= since]

    async def newest(self, stream: str, subject: str) -> Stored | None:
        return max(await self.last(stream, subject), key=lambda stored: stored.sequence, default=None)

    async def pages(self, stream: str, subjects: str, since: float) -> AsyncIterator[Sequence[Stored]]:
        after, page = 0, await self.read(stream, subjects, since=since)
        while page:
            yield page[:_PAGE]
            after = page[:_PAGE][-1].sequence
            page = await self.read(stream, subjects, after, since=since)

    async def last(self, stream: str, subjects: str) -> list[Stored]:
        await self._hop()
        return self.server.stream(stream).last(subjects)

    async def count(self, stream: str, subjects: str) -> int:
        return len(await self.read(stream, subjects))

    async def depth(self, consumer: Consumer) -> tuple[int, int]:
        await self._hop()
        found = self.server.consumer(consumer)
        return found.depth() if found else (0, 0)

    async def depths(self, stream: str) -> dict[str, tuple[int, int]]:
        await self._hop()
        return {consumer.config.name: consumer.depth() for consumer in self.server.consumers(stream)}

    async def queued(self, stream: str, subjects: str) -> Queued:
        await self._hop()
        return self.server.stream(stream).queued(subjects)

    def consume(self, consumer: Consumer, handler: Handler, slots: int, after: Consumption | None = None) -> Consumption:
        flow = self.server.consume(consumer, handler, slots, after)
        self._flows.append(flow)
        return flow

    # --- blobs

    async def put_blob(self, owner: str, data: bytes) -> str:
        return await blobs.put(self, self._subjects, owner, data, self.server.now)

    async def get_blob(self, owner: str, digest: str) -> bytes | None:
        return await blobs.get(self, self._subjects, owner, digest)

    # --- buckets

    async def put_key(self, bucket: str, key: str, value: bytes) -> None:
        await self._store(f"$KV.{bucket}.{key}", value, {})

    async def delete_key(self, bucket: str, key: str) -> None:
        await self._hop()
        self.server.stream(f"KV_{bucket}").purge(f"$KV.{bucket}.{key}")

    async def keys(self, bucket: str) -> dict[str, bytes]:
        prefix = f"$KV.{bucket}."
        await self._hop()
        stored = self.server.stream(f"KV_{bucket}").last(prefix + ">")
        return {s.subject.removeprefix(prefix): s.data for s in stored}

    async def get_key(self, bucket: str, key: str) -> Entry:
        stored = await self.newest(f"KV_{bucket}", f"$KV.{bucket}.{key}")
        return Entry(stored.data, stored.sequence) if stored else Entry(None, 0)

    async def swap_key(self, bucket: str, key: str, value: bytes, revision: int) -> int | None:
        expected = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(revision)}
        return await self._store(f"$KV.{bucket}.{key}", value, expected)

    # --- not stored

    async def publish(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        await self._hop()
        self.server.publish(subject, data, headers or {}, stored=False)

    async def subscribe(self, subject: str, listener: Listener, *, confirm: bool = True) -> Subscription:
        await self._hop()
        flow = self.server.subscribe(subject, listener)
        self._flows.append(flow)
        return flow

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Nothing is ever missed here: ``callback`` is never called."""

    async def close(self) -> None:
        self._closed = True
        for flow in self._flows:
            await flow.stop()

    # --- inside

    async def _store(self, subject: str, data: bytes, headers: Headers) -> int | None:
        await self._hop()
        return self.server.publish(subject, data, headers, stored=True)

    async def _hop(self) -> None:
        """A turn of the event loop, as every call over a network is at least: what can interleave there does so here."""
        if self._closed:
            raise BusUnavailable("the connection was closed")
        await asyncio.sleep(0)
