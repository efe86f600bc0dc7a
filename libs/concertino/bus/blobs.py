"""Large payloads: kept under their digest, in parts where one message would be too large. Both adapters keep them like this."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from concertino.bus.port import Bus, Headers, Stored
from concertino.bus.topology import BLOB_REFRESH, MAX_HEADERS
from concertino.contracts.codec import MAX_MESSAGE
from concertino.contracts.errors import MessageTooLarge, Refused
from concertino.contracts.subjects import CLIENT, Subjects, is_number

CHUNK = 256 * 1024
"""Bytes of one part: half the limit of a message, so that a replica never copies much for one reader."""

_CHUNKS = "Ctn-Chunks"
_AT_ONCE = 16  # parts in flight: 4 MiB


def check_size(subject: str, data: bytes, headers: Headers | None) -> None:
    """Refuse what the server would end the connection for."""
    if len(data) > MAX_MESSAGE:
        raise MessageTooLarge(f"{subject}: {len(data)} bytes, and one message may hold {MAX_MESSAGE}: store it as a blob")
    # A character is at most four bytes in UTF-8; counting those exactly would cost every message for the sake of none.
    if headers and (size := sum(map(len, headers)) + sum(map(len, headers.values()))) * 4 > MAX_HEADERS:
        raise MessageTooLarge(f"{subject}: headers of {size} characters, and {MAX_HEADERS // 4} are allowed: shorten them")


class BlobStore(Protocol):
    """What a blob needs of an adapter."""

    async def write_once(self, subject: str, data: bytes, headers: Headers | None = None) -> int | None: ...
    async def overwrite(self, subject: str, data: bytes, headers: Headers) -> None: ...
    async def newest(self, stream: str, subject: str) -> Stored | None: ...


async def put(store: BlobStore, subjects: Subjects, owner: str, data: bytes, clock: Callable[[], float] = time.time) -> str:
    """Keep ``data`` for ``owner``; its digest. What was stored long ago is stored anew, so that it outlives the task that names
    it now; and so is what somebody stored under this digest that is something else."""
    digest = hashlib.sha256(data).hexdigest()
    subject = subjects.blob(owner, digest)

    async def keep(subject: str, part: bytes, headers: Mapping[str, str]) -> None:
        if await store.write_once(subject, part, headers) is not None:
            return
        stored = await store.newest(subjects.blobs_stream, subject)
        if stored is None or clock() - stored.time > BLOB_REFRESH or not _is(stored, part, headers):
            await store.overwrite(subject, part, headers)

    if len(data) <= CHUNK:
        await keep(subject, data, {})
        return digest
    count = -(-len(data) // CHUNK)
    for numbers in _windows(count):
        await asyncio.gather(*(keep(f"{subject}.{i}", data[i * CHUNK : (i + 1) * CHUNK], {}) for i in numbers))
    # The last word makes the blob visible, when all of it is there.
    await keep(subject, b"", {_CHUNKS: str(count)})
    return digest


async def get(store: BlobStore, subjects: Subjects, owner: str, digest: str) -> bytes | None:
    """The blob; None where it, or a part of it, is missing, or where its bytes are not those of ``digest``.

    What an earlier release kept, which named no owner, is found by whoever may read it.
    """
    if (found := await _at(store, subjects.blobs_stream, subjects.blob(owner, digest), digest)) is not None:
        return found
    with contextlib.suppress(Refused):
        return await _at(store, subjects.blobs_stream, subjects.unowned_blob(digest), digest)
    return None


async def evidence(bus: Bus, kind: str, digest: str) -> bytes | None:
    """What workers of ``kind`` kept under ``digest``, or a client that runs their task again: for whoever may read both."""
    kept = await bus.get_blob(kind, digest)
    return await bus.get_blob(CLIENT, digest) if kept is None else kept


async def _at(store: BlobStore, stream: str, subject: str, digest: str) -> bytes | None:
    stored = await store.newest(stream, subject)
    if stored is None:
        return None
    data: bytes | None = stored.data
    if _CHUNKS in stored.headers:
        data = await _join(store, stream, subject, stored.headers[_CHUNKS])
    return data if data is not None and hashlib.sha256(data).hexdigest() == digest else None


async def _join(store: BlobStore, stream: str, subject: str, count: str) -> bytes | None:
    """Each part by its name: who may read one owner's blobs may not ask for all there are."""
    if not is_number(count):
        return None
    parts: list[bytes] = []
    for numbers in _windows(int(count)):
        for stored in await asyncio.gather(*(store.newest(stream, f"{subject}.{i}") for i in numbers)):
            if stored is None:
                return None
            parts.append(stored.data)
    return b"".join(parts)


def _is(stored: Stored, data: bytes, headers: Headers) -> bool:
    return stored.data == data and stored.headers.get(_CHUNKS) == headers.get(_CHUNKS)


def _windows(count: int) -> Iterator[range]:
    """The numbers of ``count`` parts, as many at a time as may be in flight."""
    return (range(first, min(first + _AT_ONCE, count)) for first in range(0, count, _AT_ONCE))
