"""Work that was in queues which were deleted, by hand or with their disk, is sent again: the log says what it was.

A task that is not over has a timer, set while its first work is sent. Those that are older than the queues are of tasks whose
work may have been in the ones before; where nothing was ever deleted, there are none, and nothing is read but that.

For two minutes the server drops what is sent twice. So it is sent within that time, by whichever orchestrators there are, or
not at all: later, it could be done twice.
"""

from __future__ import annotations

import structlog

from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.contracts.budget import UNBOUND, Bounds
from concertino.contracts.errors import InvalidId, QueueFull
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import Subjects, check_id
from concertino.orchestrator.core.decide import lost_with_queues
from concertino.orchestrator.performer import Performer
from concertino.orchestrator.reading import narrowed
from concertino.runtime.clock import Clock

log = structlog.get_logger(__name__)

WITHIN = 100.0
"""Seconds after the queues were made for which what is sent twice is surely sent once."""


class Resending:
    """``bounds`` narrow the limits of tasks, as for whoever sent their work first."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock, bounds: Bounds = UNBOUND) -> None:
        self._bus, self._subjects, self._clock, self._bounds = bus, subjects, clock, bounds
        self._performer = Performer(bus, subjects, clock)
        self._log = TaskLog(bus, subjects)

    async def after(self, made: float) -> None:
        """The queues are those that were ``made`` at that Unix time. Sent twice, also by another replica, is sent once.

        Raises :class:`BusUnavailable`, and :class:`QueueFull` where there is no room for all of it, when what has room is sent:
        say it again then.
        """
        if self._clock() - made > WITHIN:
            return
        tasks: dict[str, None] = {}
        async for page in self._bus.pages(self._subjects.timers_stream, self._subjects.timer("*", "*"), since=0.0):
            older = [stored for stored in page if stored.time < made]
            tasks |= dict.fromkeys(self._subjects.parse_fact(stored.subject)[0] for stored in older)
            if len(older) < len(page):
                break  # they come in their order
        full: QueueFull | None = None
        for task in tasks:
            try:
                check_id(task)
            except InvalidId:
                continue  # nothing of it was ever sent
            state = await self._state(task)
            if work := lost_with_queues(state, made):
                try:
                    await self._performer.send_again(state, work)
                except QueueFull as e:
                    full = e  # what comes after it may be for other queues
                    continue
                log.warning("work that was in a queue which was deleted is sent again", task=task, pieces=len(work))
        if full:
            raise full

    async def _state(self, task: str) -> State:
        state = fold(task, await self._log.read(task))
        narrowed(state, self._bounds)
        return state
