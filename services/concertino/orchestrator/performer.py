"""Does what was decided. Each effect is done under a name that follows from the log: done twice, it is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.contracts.codec import encode
from concertino.contracts.errors import QueueFull
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Dispatched, Halted, Lane, Message, Outcome, OutcomeStatus, Settled, Signal, Work
from concertino.contracts.state import State
from concertino.contracts.subjects import HALTED, ROOM, FactName, Subjects
from concertino.orchestrator import counting
from concertino.orchestrator.core.effects import Dispatch, Effect, Halt, SetTimer, WriteFailed, WriteOutcome
from concertino.orchestrator.core.policies import hedge
from concertino.orchestrator.stragglers import Stragglers
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics, tracing
from concertino.telemetry.names import Attribute, Event

SLICE = 1024
"""Pieces of work that are in flight at once. Once a queue has said that it is full, no more is tried there."""


class Performer:
    """Does effects on ``bus``, and counts them. ``clock`` gives Unix seconds; ``stragglers`` are told of hedges."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock, stragglers: Stragglers | None = None) -> None:
        self._bus, self._subjects, self._clock, self._stragglers = bus, subjects, clock, stragglers
        self._log = TaskLog(bus, subjects)

    async def perform(self, state: State, effects: Sequence[Effect]) -> bool:
        """Do ``effects``, and let ``state`` know. False where the log is to be read again: a fact was there already, say; what
        comes after that one is not done.

        Timers are set beside the others: nothing waits for them, and they would be the first of which a task waits."""
        timers = [effect for effect in effects if isinstance(effect, SetTimer)]
        setting = asyncio.create_task(self._set(state, timers)) if timers else None
        try:
            for effect in effects:
                if not isinstance(effect, SetTimer) and not await self._do(state, effect):
                    return False
            return True
        finally:
            if setting:
                await setting

    async def _set(self, state: State, timers: Sequence[SetTimer]) -> None:
        for name, at in ((timer.name, timer.at) for timer in timers):
            await self._bus.schedule(self._subjects.timer(state.task, name), at, self._subjects.due(state.task, name))
            _apply(state, "timer", name, None)

    async def _do(self, state: State, effect: Dispatch | WriteFailed | WriteOutcome | Halt) -> bool:
        match effect:
            case Dispatch():
                return await self._dispatch(state, effect)
            case WriteFailed(results):
                for few in (results[i : i + SLICE] for i in range(0, len(results), SLICE)):
                    await asyncio.gather(*(self._fail(state, work, result) for work, result in few))
                return False  # what counts is what stands there
            case WriteOutcome(outcome, timers):
                if not await self.end(state, outcome):
                    return False
                _apply(state, "outcome", "", outcome)
                for name in timers:
                    await self._bus.unschedule(self._subjects.timer(state.task, name))
                return True
            case Halt():
                if not await self.halt(state.task):
                    return False
                _apply(state, HALTED, "", Halted())
                return True

    async def look_again(self, task: str, at: float) -> None:
        """Have ``task`` looked at once more at Unix time ``at``, whatever else comes. One such timer replaces the other."""
        await self._bus.schedule(self._subjects.timer(task, ROOM), at, self._subjects.due(task, ROOM))

    async def end(self, state: State, outcome: Outcome) -> bool:
        """Write ``outcome``. False: there is one already."""
        said = {Attribute.OUTCOME: outcome.status.value, Attribute.COST: outcome.usage.cost_usd}
        with tracing.sending(self._subjects.fact("{task}", "outcome"), state.task, said, parent=state.trace) as span:
            written = await self._log.write(state.task, "outcome", outcome)
            if not written:
                span.event(Event.EXISTS)
            elif outcome.status == OutcomeStatus.FAILED:
                span.failed(outcome.status.value)
        if written:
            counting.ended(state, outcome, self._clock())
        return written

    async def halt(self, task: str) -> bool:
        """Say that ``task`` is over to whoever listens, then to whoever will look. False: the latter was said already.

        In this order a crash between the two means that both are said again. Workers of every kind hear it, so it says no more.
        """
        await self._bus.publish(self._subjects.signal(task), encode(Signal(reason="the task is over")))
        return await self._log.write(task, HALTED, Halted())

    async def _dispatch(self, state: State, effect: Dispatch) -> bool:
        assert state.submitted is not None
        wave, lane = effect.wave, state.submitted.lane
        said = {Attribute.BATCH: len(effect.work), Attribute.WAVE: wave, Attribute.LANE: lane}
        with tracing.sending(self._subjects.work("{lane}", "{kind}"), state.task, said, parent=state.trace) as span:
            sent, full = await self._enqueue(lane, effect.work)
            of = {w.brief.kind for w in sent}
            dispatched = Dispatched(
                work=tuple((w.id, w.attempt) for w in sent),
                hedge_after={kind: after for kind, after in effect.hedge_after.items() if kind in of},
            )
            if not await self._log.write(state.task, f"dispatched.{wave}", dispatched):
                span.event(Event.EXISTS)
                return False
            _apply(state, "dispatched", str(wave), dispatched)
        counting.sent(sent)
        for w in sent:
            if w.attempt == hedge.HEDGE and self._stragglers:
                self._stragglers.hedged(w.brief.kind)
        if full:
            raise full  # the rest is the next wave, once there is room
        return True

    async def send_again(self, state: State, work: Sequence[Work]) -> None:
        """Put ``work`` into its queues, which a wave says it is in. Raises :class:`QueueFull` where not all of it has room."""
        assert state.submitted is not None
        lane = state.submitted.lane
        said = {Attribute.BATCH: len(work), Attribute.LANE: lane}
        with tracing.sending(self._subjects.work("{lane}", "{kind}"), state.task, said, parent=state.trace):
            _, full = await self._enqueue(lane, work)
        if full:
            raise full

    async def _enqueue(self, lane: Lane, work: Sequence[Work]) -> tuple[list[Work], QueueFull | None]:
        """What of ``work`` its queues took, and what those say that are full. Raises that where they took nothing."""
        sent: list[Work] = []
        full: dict[str, QueueFull] = {}
        for first in range(0, len(work), SLICE):
            some = [w for w in work[first : first + SLICE] if w.brief.kind not in full]
            for one, answer in zip(some, await self._log.enqueue(lane, *some), strict=True):
                if answer:
                    full[one.brief.kind] = answer
                else:
                    sent.append(one)
        for kind in full:
            metrics.QUEUE_FULL.labels(kind, lane).inc()
        why = next(iter(full.values()), None)
        if why and not sent:
            raise why
        return sent, why

    async def _fail(self, state: State, work: str, result: Settled) -> None:
        """Write ``result`` in the place of a worker's, unless that was first."""
        if await self._log.write(state.task, work, result):
            counting.failed(work, result)


def _apply(state: State, type_: str, about: str, message: Message | None) -> None:
    """A fact of our own, at sequence 0: how far the log was read does not change."""
    state.apply(Fact(FactName(type_, about), message, 0, 0.0, tracing.here()))
