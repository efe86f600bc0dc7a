"""One attempt at one piece of work, as the runtime passes it through its middleware."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from concertino.contracts.messages import Settled, Work
from concertino.contracts.subjects import nth
from concertino.contracts.trace import NO_TRACE, Trace
from concertino.worker.alarms import Alarm
from concertino.worker.context import Context
from concertino.worker.journal import Journal
from concertino.worker.lease import Hold


class Job(Struct, eq=False):
    """``attempt`` counts from 1, without deliveries that were no fault of the work's."""

    work: Work
    attempt: int
    context: Context
    replica: str
    lane: str = ""
    queued_at: float = 0.0
    """Unix seconds at which its queue had it."""
    delivery: int = 1
    """How often its queue has delivered it. Counts from 1, and on where the queue counts anew."""
    began: float | None = None
    """When it got a slot, by a clock that never jumps. What has none when a replica leaves is handed back at once."""
    told: bool = False
    """Whether the log says that it has begun."""
    alone: bool = False
    """Whether nothing else is to be at work beside it: it may be what ends its workers."""
    hold: Hold | None = None
    """On the work's lease."""
    since: float | None = None
    """Unix seconds at which it was first begun, where that was another delivery and matters."""
    alarm: Alarm | None = None
    """What ends it when its time is up, while it runs."""
    trace: Trace = NO_TRACE
    """The span of all that is done about this delivery."""
    running: asyncio.Task[Settled] | None = None
    """Its handler at work, and what is around that."""

    def interrupt(self) -> None:
        """It is to end here."""
        self.context.cancelled = True
        self.journal.end()
        if self.hold:
            self.hold.lost = self.journal.taken_over
        if self.running:
            self.running.cancel()

    def finish(self, seconds: float) -> None:
        """Its caller wants what there is, within ``seconds``."""
        self.context.wish.voice()
        if self.alarm:
            self.alarm.within(seconds)

    @property
    def journal(self) -> Journal:
        """What is kept of its conversation with a model."""
        return self.context.journal

    @property
    def hedge(self) -> bool:
        """Whether it goes on beside another attempt that is slow. It only ever helps: what fails of it is let go."""
        return self.work.attempt > 1

    @property
    def nth(self) -> str:
        """What tells the facts about this delivery from those about others."""
        return nth(self.work.attempt, self.delivery)
