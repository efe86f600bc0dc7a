"""Running again what failed: a new task that begins with the results of the old one."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from concertino.bus.blobs import evidence
from concertino.bus.port import Bus
from concertino.contracts.redrive import evidence_of
from concertino.contracts.state import State
from concertino.contracts.subjects import CLIENT

_AT_ONCE = 16


class Redriven(Struct, frozen=True):
    """``task`` is the new one."""

    task: str
    run: tuple[str, ...]
    """Ids of the subtasks that it runs. None where only planning or the report is made anew."""
    kept: tuple[str, ...]
    """Ids of those whose results it has already."""
    gone: int
    """Pieces of evidence that are not there any more: what rests on them is run again."""


async def refreshed(bus: Bus, state: State) -> set[str]:
    """Keep the evidence of ``state`` for as long as that of a task of today: as a copy, since clients may not write what is
    a worker's. Digests of what is gone."""
    kept = [(kind, digest) for kind, digests in sorted(evidence_of(state).items()) for digest in sorted(digests)]
    gone: set[str] = set()

    async def refresh(kind: str, digest: str) -> None:
        data = await evidence(bus, kind, digest)
        if data is None:
            gone.add(digest)
        else:
            await bus.put_blob(CLIENT, data)

    for first in range(0, len(kept), _AT_ONCE):
        await asyncio.gather(*(refresh(kind, digest) for kind, digest in kept[first : first + _AT_ONCE]))
    return gone
