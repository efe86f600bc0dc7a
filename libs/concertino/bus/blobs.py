"""Large payloads: kept under their digest, in parts where one message would be too large. Both adapters keep them like this."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from concertino.bus.port import Headers, Stored
from concertino.bus.topology import BLOB_REFRESH, MAX_HEADERS
from concertino.contracts.codec import MAX_MESSAGE
from concertino.contracts.errors import MessageTooLarge
from concertino.contracts.subjects import Subjects

CHUNK = 256 * 1024
"""Bytes of one part: half the limit of a message, so that a replica never copies much for one reader."""

_CHUNKS = "Ctn-Chunks"
_AT_ONCE = 16  # parts in flight: 4 MiB


def check_size(subject: str, data: bytes, headers: Headers | None) -> None:
    """Refuse what the server would end the connection for."""
    if len(data) > MAX_MESSAGE:
        raise MessageTooLarge(f"{subject}: {len(data)} bytes, and one message may hold {MAX_MESSAGE}: store it as a blob")
    # A character is at most four bytes in UTF-8; counting those exactly would cost every message for the sake of none.
    if headers and (size := sum(len(k) + len(v) for k, v in headers.items())) * 4 > MAX_HEADERS:
        raise MessageTooLarge(f"{subject}: headers of {size} characters, and {MAX_HEADERS // 4} are allowed: shorten them")


class BlobStore(Protocol):
    """What a blob needs of an adapter."""

    async def write_once(self, subject: str, data: bytes, headers: Headers | None = None) -> int | None: ...
    async def overwrite(self, subject: str, data: bytes, headers: Headers) -> None: ...
    async def last(self, stream: str, subjects: str) -> list[Stored]: ...
    async def read(self, stream: str, subjects: str) -> list[Stored]: ...


async def put(store: BlobStore, subjects: Subjects, data: bytes, clock: Callable[[], float] = time.time) -> str:
    """Keep ``data``; its digest. What was stored long ago is stored anew, so that it outlives the task that names it now."""
    digest = hashlib.sha256(data).hexdigest()
    subject = subjects.blob(digest)

    async def keep(subject: str, part: bytes, headers: Mapping[str, str]) -> None:
        if await store.write_once(subject, part, headers) is not None:
            return
        stored = await store.last(subjects.blobs_stream, subject)
        if not stored or clock() - stored[0].time > BLOB_REFRESH:
            await store.overwrite(subject, part, headers)

    if len(data) <= CHUNK:
        await keep(subject, data, {})
        return digest
    count = -(-len(data) // CHUNK)
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, count))
        await asyncio.gather(*(keep(f"{subject}.{i}", data[i * CHUNK : (i + 1) * CHUNK], {}) for i in numbers))
    # The last word makes the blob visible, when all of it is there.
    await keep(subject, b"", {_CHUNKS: str(count)})
    return digest


async def get(store: BlobStore, subjects: Subjects, digest: str) -> bytes | None:
    """The blob; None where it, or a part of it, is missing, or where its bytes are not those of ``digest``."""
    subject = subjects.blob(digest)
    stored = await store.last(subjects.blobs_stream, subject)
    if not stored:
        return None
    data: bytes | None = stored[0].data
    if _CHUNKS in stored[0].headers:
        data = _join(await store.read(subjects.blobs_stream, f"{subject}.*"), stored[0].headers[_CHUNKS])
    return data if data is not None and hashlib.sha256(data).hexdigest() == digest else None


def _join(stored: Sequence[Stored], count: str) -> bytes | None:
    parts = {s.subject.rpartition(".")[2]: s.data for s in stored}
    if not count.isdecimal() or len(parts) < int(count):
        return None
    return b"".join(parts.get(str(i), b"") for i in range(int(count)))
