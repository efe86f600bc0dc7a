"""Failed work of all tasks: the log is looked through from end to end, and only which tasks are of interest is kept of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

import msgspec
from msgspec import Struct

from concertino.bus.port import Bus, Stored
from concertino.bus.tasklog import TaskLog
from concertino.contracts.errors import InvalidId
from concertino.contracts.failures import MISSING, FailedWork, failed_work
from concertino.contracts.messages import OutcomeStatus
from concertino.contracts.state import fold
from concertino.contracts.subjects import Subjects, check_id

LOOKED_INTO = 5_000
"""Tasks whose logs are read at the most, the newest first."""
_AT_ONCE = 4


class Failures(Struct, frozen=True):
    """Failed work, newest first."""

    work: tuple[FailedWork, ...]
    more: bool
    """Whether there may be more of it, older than what is here."""


class _Ended(Struct):
    """What of an outcome is looked at."""

    status: str = ""


_decode = msgspec.json.Decoder(_Ended).decode


async def failures(bus: Bus, subjects: Subjects, since: float, kind: str, most: int) -> Failures:
    """Of the tasks that were submitted or ended after Unix time ``since``; of ``kind`` alone, where it is not empty."""
    tasks, more = await _of_interest(bus, subjects, since)
    log = TaskLog(bus, subjects)
    found: list[FailedWork] = []
    for first in range(0, len(tasks), _AT_ONCE):
        if len(found) > most:
            more = True
            break
        some = tasks[first : first + _AT_ONCE]
        for failed in await asyncio.gather(*(failures_of(log, task) for task in some)):
            found += [one for one in failed if kind in ("", one.kind) and one.at >= since]
    found.sort(key=lambda one: one.at, reverse=True)
    return Failures(tuple(found[:most]), more or len(found) > most)


async def failures_of(log: TaskLog, task: str) -> Sequence[FailedWork]:
    """Of one task. What is missing because somebody cancelled it has not failed."""
    state = fold(task, await log.read(task))
    cancelled = state.outcome is not None and state.outcome.status == OutcomeStatus.CANCELLED
    return [one for one in failed_work(state) if not (cancelled and one.code == MISSING)]


async def _of_interest(bus: Bus, subjects: Subjects, since: float) -> tuple[list[str], bool]:
    """Tasks of which something may have failed, those first that ended last: all that were not answered. And whether there are
    older ones beside these."""
    running: dict[str, None] = {}
    async for page in bus.pages(subjects.tasks_stream, subjects.fact("*", "submitted"), since):
        running |= dict.fromkeys(_tasks(subjects, page))
    ended: deque[str] = deque(maxlen=LOOKED_INTO)
    more = False
    async for page in bus.pages(subjects.tasks_stream, subjects.fact("*", "outcome"), since):
        for task in _tasks(subjects, page):
            running.pop(task, None)
        short = _tasks(subjects, [stored for stored in page if _fell_short(stored)])
        more = more or len(ended) + len(short) > LOOKED_INTO
        ended.extend(short)
    newest = [*reversed(running), *reversed(ended)]
    return newest[:LOOKED_INTO], more or len(newest) > LOOKED_INTO


def _tasks(subjects: Subjects, stored: Collection[Stored]) -> list[str]:
    found: list[str] = []
    for one in stored:
        task, _ = subjects.parse_fact(one.subject)
        try:
            found.append(check_id(task))
        except InvalidId:
            continue  # nothing of it was run; and its name might mean the facts of other tasks
    return found


def _fell_short(outcome: Stored) -> bool:
    """Of what is answered nothing failed. An outcome that cannot be read may hide anything."""
    try:
        return _decode(outcome.data).status != OutcomeStatus.ANSWERED
    except (msgspec.DecodeError, RecursionError):
        return True
