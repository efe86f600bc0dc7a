"""Large payloads: kept once under their digest, in parts where one message would be too large."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from concertino.bus.port import Stored
from concertino.contracts.codec import MAX_MESSAGE
from concertino.contracts.errors import MessageTooLarge

CHUNK = 256 * 1024
"""Bytes of one part: half the limit of a message, so that a replica never copies much for one reader."""

_CHUNKS = "Ctn-Chunks"


def check_size(subject: str, data: bytes) -> None:
    """Refuse what the server would end the connection for."""
    if len(data) > MAX_MESSAGE:
        raise MessageTooLarge(f"{subject}: {len(data)} bytes, and one message may hold {MAX_MESSAGE}: store it as a blob")


def parts(subject: str, data: bytes) -> Iterator[tuple[str, bytes, Mapping[str, str]]]:
    """Subject, payload and headers of each message that stores ``data``. The last one makes it visible."""
    if len(data) <= CHUNK:
        yield subject, data, {}
        return
    count = -(-len(data) // CHUNK)
    for i in range(count):
        yield f"{subject}.{i}", data[i * CHUNK : (i + 1) * CHUNK], {}
    yield subject, b"", {_CHUNKS: str(count)}


def chunks_of(stored: Stored) -> int:
    """In how many parts the blob is kept; 0 if in this very message."""
    return int(stored.headers.get(_CHUNKS, "0"))


def join(stored: Sequence[Stored], count: int, digest: str) -> bytes | None:
    """The blob from its parts; None where one is missing or the bytes are not those of ``digest``."""
    by_number = {int(s.subject.rpartition(".")[2]): s.data for s in stored}
    if any(i not in by_number for i in range(count)):
        return None
    data = b"".join(by_number[i] for i in range(count))
    return data if hashlib.sha256(data).hexdigest() == digest else None
