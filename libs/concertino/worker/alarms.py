"""Ends what is done when its time is up, with one timer for all that is done: one for each would cost quick work more than
its handler does."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Self

from concertino.runtime.clock import Clock

_EARLY = 0.001
"""Seconds by which the event loop may call too soon: its clock has no finer ticks."""


class Alarms:
    """Those that are set, of the event loop in which this is made. ``monotonic`` gives seconds that never jump: to ask for the
    loop, or the loop for its own clock, costs a call of the system."""

    def __init__(self, monotonic: Clock = time.monotonic) -> None:
        self.now, self.loop = monotonic, asyncio.get_running_loop()
        self._set: dict[Alarm, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def after(self, seconds: float) -> Alarm:
        """One that goes off so many ``seconds`` from now, in the task that enters it."""
        return Alarm(self, self.now() + seconds)

    def set(self, alarm: Alarm) -> None:
        self._set[alarm] = None
        self._look_at(alarm.at)

    def off(self, alarm: Alarm) -> None:
        """It does not go off any more. The timer is left alone: it costs least where it wakes nobody."""
        self._set.pop(alarm, None)

    def _look_at(self, at: float) -> None:
        if at >= self._next:
            return
        if self._timer:
            self._timer.cancel()
        self._next = at
        self._timer = self.loop.call_later(max(at - self.now(), 0.0), self._look)

    def _look(self) -> None:
        self._timer, self._next = None, math.inf
        due = self.now() + _EARLY
        for alarm in [alarm for alarm in self._set if alarm.at <= due]:
            self.off(alarm)
            alarm.ring()
        if self._set:
            self._look_at(min(alarm.at for alarm in self._set))


class Alarm:
    """Ends what stands in its ``with`` at ``at``, by the clock of all, with a :class:`TimeoutError`: what
    :class:`asyncio.Timeout` does, by a timer that it shares."""

    __slots__ = ("_alarms", "_cancelling", "_task", "at", "rang")

    def __init__(self, alarms: Alarms, at: float) -> None:
        self._alarms, self.at, self.rang = alarms, at, False

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._alarms.loop)
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._alarms.set(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._alarms.off(self)
        # Where somebody else has cancelled the task as well, that counts.
        if self.rang and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def ring(self) -> None:
        self.rang = True
        self._task.cancel()

    def within(self, seconds: float) -> None:
        """It goes off in so many ``seconds``, if not sooner."""
        at = self._alarms.now() + seconds
        if at < self.at:
            self.move(at)

    def move(self, at: float) -> None:
        """It goes off at ``at``, unless it has."""
        if not self.rang:
            self.at = at
            self._alarms.set(self)
