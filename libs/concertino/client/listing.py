"""The newest tasks. The log is looked through from end to end, and no more of it is kept than what is listed."""

from __future__ import annotations

from msgspec import Struct

from concertino.bus.port import Bus, Stored
from concertino.bus.tasklog import TaskLog
from concertino.contracts.messages import Outcome, Submitted
from concertino.contracts.subjects import Subjects


class TaskSummary(Struct, frozen=True):
    """A line of ``concertino list``."""

    task: str
    submitted: float
    status: str
    request: str


async def newest(bus: Bus, subjects: Subjects, since: float, most: int) -> list[TaskSummary]:
    """At most ``most`` of the tasks that were submitted after Unix time ``since``, newest first."""
    log = TaskLog(bus, subjects)
    kept = await _submitted(bus, subjects, since, most)
    ended = await _ended(bus, subjects, log, kept)
    return [await _summary(log, task, kept[task], ended.get(task, "running")) for task in reversed(kept)]


async def _submitted(bus: Bus, subjects: Subjects, since: float, most: int) -> dict[str, Stored]:
    """By task, oldest first. Of what is written twice, the first counts."""
    kept: dict[str, Stored] = {}
    async for page in bus.pages(subjects.tasks_stream, subjects.fact("*", "submitted"), since):
        for stored in page:
            kept.setdefault(subjects.parse_fact(stored.subject)[0], stored)
            if len(kept) > most:
                del kept[next(iter(kept))]
    return kept


async def _ended(bus: Bus, subjects: Subjects, log: TaskLog, kept: dict[str, Stored]) -> dict[str, str]:
    """What became of those of ``kept`` that are over."""
    found: dict[str, str] = {}
    if not kept:
        return found
    oldest = next(iter(kept.values())).time
    async for page in bus.pages(subjects.tasks_stream, subjects.fact("*", "outcome"), oldest):
        for stored in page:
            task, _ = subjects.parse_fact(stored.subject)
            if task in kept and task not in found:
                message = (await log.fact_in(stored)).message
                found[task] = str(message.status) if isinstance(message, Outcome) else "failed"
    return found


async def _summary(log: TaskLog, task: str, stored: Stored, status: str) -> TaskSummary:
    message = (await log.fact_in(stored)).message
    request = message.request if isinstance(message, Submitted) else "(unreadable)"
    return TaskSummary(task, stored.time, status, request)
