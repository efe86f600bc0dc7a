"""The lanes of a replica share its slots. Interactive work takes the next that is free, whatever batch work waits for one.

What had to be taken early waits here, with its lease kept: interactive work, where batch work has every slot, and the little
batch work that was on its way when interactive work took them.
"""

from __future__ import annotations

import asyncio
from collections import deque

from concertino.contracts.messages import Settled
from concertino.contracts.subjects import LANES
from concertino.runtime.clock import Clock
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


class Slots:
    """``count`` of them, handed out lane by lane, and in each lane in the order in which they were asked for."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {lane: deque() for lane in LANES}

    def take_at_once(self) -> bool:
        """Whether one was free; then nobody waits."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def take(self, lane: str) -> None:
        if self.take_at_once():
            return
        slot = asyncio.get_running_loop().create_future()
        queue = self._waiting[lane]
        queue.append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if not slot.cancelled():
                self.give_back()  # it was ours in the moment we were told to go
            elif slot in queue:
                queue.remove(slot)
            raise

    def give_back(self) -> None:
        for queue in self._waiting.values():
            while queue:
                slot = queue.popleft()
                if not slot.done():  # else whoever waited has been told to go
                    slot.set_result(None)
                    return
        self._free += 1


def slots(count: int, monotonic: Clock) -> Middleware:
    """At most ``count`` handlers at once. ``monotonic`` gives seconds that never jump."""
    shared = Slots(count)

    async def middleware(job: Job, next_: Next) -> Settled:
        if not shared.take_at_once():  # a coroutine costs more than what it would look at
            await shared.take(job.lane)
        try:
            job.began = monotonic()
            return await next_(job)
        finally:
            shared.give_back()

    return middleware
