"""Who can do what: workers announce their kinds in a bucket whose entries expire unless renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from concertino.bus.port import Bus
from concertino.contracts.codec import decode, encode
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import Subjects


async def announce(bus: Bus, subjects: Subjects, announcement: Announcement) -> None:
    """Say it, or say it again in time."""
    await bus.put_key(subjects.workers_bucket, _key(announcement), encode(announcement))


async def provide(bus: Bus, subjects: Subjects, kinds: Iterable[Announcement]) -> None:
    """Make ``kinds`` the ones that are served on demand: their queues wake a worker where none runs. No others are, then."""
    wanted = {kind.kind: kind for kind in kinds}
    for kind in set(await bus.keys(subjects.kinds_bucket)) - set(wanted):
        await bus.delete_key(subjects.kinds_bucket, kind)
    for kind, announcement in wanted.items():
        await bus.put_key(subjects.kinds_bucket, kind, encode(announcement))


async def kinds(bus: Bus, subjects: Subjects) -> list[Announcement]:
    """Whom a plan may ask: every replica that is announced, and kinds on demand that have none at the moment."""
    live, provided = await asyncio.gather(announcements(bus, subjects), bus.keys(subjects.kinds_bucket))
    known = {announcement.kind for announcement in live}
    on_demand = _read(provided.values())
    return live + [announcement for announcement in on_demand if announcement.kind not in known]


async def withdraw(bus: Bus, subjects: Subjects, announcement: Announcement) -> None:
    """This replica is leaving."""
    await bus.delete_key(subjects.workers_bucket, _key(announcement))


async def announcements(bus: Bus, subjects: Subjects) -> list[Announcement]:
    """Every live announcement. What cannot be read is left out: a newer release may say more than this one knows."""
    return _read((await bus.keys(subjects.workers_bucket)).values())


def _read(values: Iterable[bytes]) -> list[Announcement]:
    found: list[Announcement] = []
    for value in values:
        try:
            found.append(decode(Announcement, value))
        except Invalid:
            continue
    return found


def _key(announcement: Announcement) -> str:
    return f"{announcement.kind}.{announcement.replica}"
