"""Who is at work in a replica, and who is not to be: what nobody waits for any more, and what is to finish."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from concertino.contracts.messages import Work
from concertino.telemetry.names import Event
from concertino.worker.job import Job
from concertino.worker.lease import Hold

T = TypeVar("T")

REMEMBERED = 10_000
"""Words about work that are remembered, the latest of each sort: work may come after them."""


class Roster:
    """The jobs of one replica, from the moment at which they queue for a slot until their handler has ended; and what it holds,
    which is until its result is written."""

    def __init__(self) -> None:
        self._jobs: dict[Job, None] = {}
        self._held: dict[tuple[str, str, int], Hold] = {}
        self._over = _Latest[str]()
        self._superseded = _Latest[tuple[str, str]]()
        self._finishing = _Latest[str]()
        self._leaving = False

    def enter(self, job: Job) -> None:
        """It is at work from now on, or ends at once because of what was said while it was made ready."""
        self._jobs[job] = None
        if self._leaving or self.needless(job.work):
            job.interrupt()

    def leave(self, job: Job) -> None:
        del self._jobs[job]

    def jobs(self) -> list[Job]:
        return list(self._jobs)

    def hold(self, work: Work, hold: Hold) -> None:
        """``work`` is being done, or written down, until :meth:`let_go`."""
        self._held[work.task, work.id, work.attempt] = hold

    def let_go(self, work: Work, hold: Hold) -> None:
        about = (work.task, work.id, work.attempt)
        if self._held.get(about) is hold:
            del self._held[about]
        hold.end()

    def held(self, task: str, work: str, attempt: int = 1) -> Hold | None:
        """On the first attempt at this piece of work, or on that one, where it is here, and to go on."""
        found = self._held.get((task, work, 1)) or self._held.get((task, work, attempt))
        return found if found and not found.lost else None

    # --- what nobody waits for

    def needless(self, work: Work) -> str:
        """Why nobody waits for ``work`` any more, as spans say it; empty where somebody does."""
        if work.task in self._over:
            return Event.OVER
        if work.task in self._finishing:
            return Event.DROPPED
        return Event.LATE if (work.task, work.id) in self._superseded else ""

    def is_over(self, task: str) -> bool:
        return task in self._over

    def is_superseded(self, task: str, work: str) -> bool:
        """Whether nobody waits any more for this piece of a task that goes on."""
        return (task, work) in self._superseded

    def abort(self, task: str, work: str = "") -> None:
        """Nobody waits any more for ``task`` or, where it is named, for this ``work`` of it."""
        if work:
            self._superseded.add((task, work))
        else:
            self._over.add(task)
        _interrupt(job for job in self.jobs() if job.work.task == task and work in ("", job.work.id))

    def taken_over(self, task: str, work: str, delivery: int) -> None:
        """Attempts of deliveries before this one do not go on."""
        for job in self.jobs():
            if (job.work.task, job.work.id, job.hedge) != (task, work, False) or not job.hold:
                continue
            if max(job.delivery, job.hold.attempt) < delivery:
                job.journal.taken_over = True
                job.interrupt()

    # --- what is to end

    def is_finishing(self, task: str) -> bool:
        return task in self._finishing

    def finish(self, task: str, seconds: float) -> list[Job]:
        """The caller of ``task`` wants what there is: what is at work, and returned, says so and has ``seconds``; all else is
        not begun."""
        self._finishing.add(task)
        jobs = [job for job in self.jobs() if job.work.task == task]
        _interrupt(job for job in jobs if job.began is None)
        for job in jobs:
            job.finish(seconds)
        return jobs

    def leave_off(self) -> None:
        """Interrupt what has not begun, from now on, and what asks a model at its next turn."""
        self._leaving = True
        _interrupt(job for job in self.jobs() if job.began is None)
        for job in self.jobs():
            job.journal.leave()

    def interrupt(self) -> None:
        """Interrupt them all."""
        _interrupt(self.jobs())


def _interrupt(jobs: Iterable[Job]) -> None:
    for job in jobs:
        job.interrupt()


class _Latest(OrderedDict[T, None]):
    """Words that were said lately."""

    def add(self, word: T) -> None:
        self[word] = None
        if len(self) > REMEMBERED:
            self.popitem(last=False)
