"""What was told to end and does not: a handler that swallows its cancellation, a thread that never looks up.

Nothing can be done about it from within. It is counted and named; once it is all that a replica could do, ``/livez`` says so,
and whoever runs the replica starts it again: it drains first, as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from concertino.runtime.clock import Clock
from concertino.telemetry import metrics
from concertino.worker.job import Job

LET_GO_WITHIN = 10.0
"""Seconds to end, once told."""

log = structlog.get_logger(__name__)


class Stuck:
    """Looks at the ``running`` jobs of a replica of ``kind`` with so many ``slots``, and at those that :meth:`left` a thread
    behind. ``monotonic`` gives seconds that never jump; ``within`` is how many of them something may take to end."""

    def __init__(
        self, kind: str, slots: int, running: Callable[[], Iterable[Job]], monotonic: Clock, within: float = LET_GO_WITHIN
    ) -> None:
        self._kind, self._slots, self._running, self._monotonic, self._within = kind, slots, running, monotonic, within
        self._left: list[Job] = []
        self._since: dict[int, float] = {}
        self._named: set[int] = set()
        self._looking: asyncio.Task[None] | None = None
        self.all = False
        """Whether every slot is held like this, or as many threads are as there are slots."""

    def begin(self) -> None:
        metrics.STUCK.labels(self._kind).set(0)
        self._looking = asyncio.create_task(self._look())

    def end(self) -> None:
        if self._looking:
            self._looking.cancel()

    def left(self, job: Job) -> None:
        """``job`` is over; if its thread is not, it is looked after here."""
        if job.context.in_thread:
            self._left.append(job)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._within / 4)
            self._left = [job for job in self._left if job.context.in_thread]
            running = [job for job in self._running() if job.began is not None and _told_to_end(job)]
            self._since = {id(job): self._since.get(id(job), self._monotonic()) for job in (*running, *self._left)}
            self._named &= self._since.keys()
            held, threads = self._those(running), self._those(self._left)
            for job in (*held, *threads):
                self._name(job)
            self.all = max(len(held), len(threads)) >= self._slots
            metrics.STUCK.labels(self._kind).set(len(held) + len(threads))

    def _those(self, jobs: Iterable[Job]) -> list[Job]:
        return [job for job in jobs if self._monotonic() - self._since[id(job)] >= self._within]

    def _name(self, job: Job) -> None:
        if id(job) in self._named:
            return
        self._named.add(id(job))
        log.error(
            "a handler was told to end, and does not: it must not swallow CancelledError, and a thread has to look at "
            "context.cancelled; when nothing else is left, this replica has to be started again",
            task=job.work.task,
            work=job.work.id,
            doing=job.context.doing,
        )


def _told_to_end(job: Job) -> bool:
    return job.context.cancelled or (job.alarm is not None and job.alarm.rang)
