"""Puts into the log which attempts are under way: who looks at a running task, or at one whose worker died, sees it there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from concertino.bus.tasklog import TaskLog
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Begun
from concertino.contracts.subjects import Subjects
from concertino.runtime.clock import Clock
from concertino.telemetry import tracing
from concertino.worker.job import Job

TOLD_AFTER = 1.0
"""Seconds after which an attempt is told of. Work that is quicker costs no message more: what ends it says how long it took."""

log = structlog.get_logger(__name__)


class Telling:
    """Looks at the ``running`` jobs of a replica, and not each of them at its own time: a timer for each would cost quick work
    more than all that is measured about it. ``after`` is in seconds, ``monotonic`` gives seconds that never jump, and
    ``hedge`` says whether a second attempt may be made beside what is under way."""

    def __init__(
        self,
        tasklog: TaskLog,
        subjects: Subjects,
        running: Callable[[], Iterable[Job]],
        monotonic: Clock,
        after: float = TOLD_AFTER,
        hedge: Callable[[], bool] = lambda: False,
    ) -> None:
        self._log, self._subjects, self._running = tasklog, subjects, running
        self._monotonic, self._after, self._hedge = monotonic, after, hedge
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._looking = asyncio.create_task(self._look())

    def end(self) -> None:
        if self._looking:
            self._looking.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._after / 4)
            for job in list(self._running()):
                if job.began is not None and self._monotonic() - job.began >= self._patience(job):
                    await self.tell(job)

    def _patience(self, job: Job) -> float:
        """Where it is bounded how long work may wait, what has begun says so before anybody takes it for waiting."""
        return self._after if job.work.limits.max_queued is None else 0.0

    async def tell(self, job: Job) -> None:
        """Tell of ``job`` now, if it has begun and nobody has. Where the bus is away it is told at one of the next looks, and
        still says since when."""
        if job.told or job.began is None:
            return
        began = job.began
        seconds = round(self._monotonic() - began, 4)
        begun = Begun(worker=job.replica, attempt=job.attempt, seconds=seconds, hedge=self._hedge())
        try:
            with tracing.carrying(job.trace):
                await self._log.write(job.work.task, self._subjects.begun(job.work.id, job.nth), begun)
        except ConcertinoError as e:
            log.debug("an attempt could not be told of yet", task=job.work.task, work=job.work.id, error=str(e))
        else:
            job.told = True
