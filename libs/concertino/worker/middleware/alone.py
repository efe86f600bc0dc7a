"""Gives work that was lost with its worker, again and again, the process for itself: its neighbours are not to die with it, nor
it with them."""

from __future__ import annotations

import asyncio

from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next

_LOOK = 1.0
"""Seconds after which it is looked again who was told to end, as nobody says that."""


class Room:
    """Who is at work in a process. Whoever wants to be alone waits for those who are; all others wait for it, with their leases
    kept. One that was told to end, and does not, keeps nobody waiting. ``clock`` gives Unix seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._there: dict[int, Job] = {}
        self._alone: dict[int, Job] = {}
        self._waiting = 0
        self._changed = asyncio.Event()

    def enter_at_once(self, job: Job) -> bool:
        """Whether ``job`` may begin now, as nobody wants to be alone."""
        if job.alone or self._alone:
            return False
        self._there[id(job)] = job
        return True

    async def enter(self, job: Job) -> None:
        """Returns when ``job`` may begin, or when it is of no use any more."""
        if job.alone:
            self._alone[id(job)] = job
        try:
            while self._waits(job) and self._clock() < job.work.deadline:
                await self._change()
        except BaseException:
            self.leave(job)
            raise
        self._there[id(job)] = job

    def leave(self, job: Job) -> None:
        self._there.pop(id(job), None)
        self._alone.pop(id(job), None)
        if self._waiting:
            self._changed.set()
            self._changed = asyncio.Event()

    async def _change(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(_LOOK):
                await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    def _waits(self, job: Job) -> bool:
        first = next((other for other in self._alone.values() if not other.context.cancelled), None)
        if first is not job:
            return first is not None
        return any(not other.context.cancelled for other in self._there.values())


def alone(clock: Clock) -> Middleware:
    """``clock`` gives Unix seconds."""
    room = Room(clock)

    async def middleware(job: Job, next_: Next) -> Settled:
        if not room.enter_at_once(job):  # a coroutine costs more than what it would look at
            await room.enter(job)
        try:
            return await next_(job)
        finally:
            room.leave(job)

    return middleware
