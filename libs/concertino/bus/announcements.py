"""Who can do what: workers announce their kinds in a bucket whose entries expire unless renewed."""

from __future__ import annotations

from concertino.bus.port import Bus
from concertino.contracts.codec import decode, encode
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import Subjects


async def announce(bus: Bus, subjects: Subjects, announcement: Announcement) -> None:
    """Say it, or say it again in time."""
    await bus.put_key(subjects.workers_bucket, _key(announcement), encode(announcement))


async def withdraw(bus: Bus, subjects: Subjects, announcement: Announcement) -> None:
    """This replica is leaving."""
    await bus.delete_key(subjects.workers_bucket, _key(announcement))


async def announcements(bus: Bus, subjects: Subjects) -> list[Announcement]:
    """Every live announcement. What cannot be read is left out: a newer release may say more than this one knows."""
    found: list[Announcement] = []
    for value in (await bus.keys(subjects.workers_bucket)).values():
        try:
            found.append(decode(Announcement, value))
        except Invalid:
            continue
    return found


def _key(announcement: Announcement) -> str:
    return f"{announcement.kind}.{announcement.replica}"
