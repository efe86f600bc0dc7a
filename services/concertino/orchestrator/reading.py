"""Reads what is new in the log of a task, and passes on at once what others wait to hear of it."""

from __future__ import annotations

from msgspec import structs

from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.contracts.budget import UNBOUND, Bounds
from concertino.contracts.codec import encode
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import COORDINATOR, Dispatched, Result, ResultStatus, Signal
from concertino.contracts.state import State
from concertino.contracts.subjects import Subjects
from concertino.orchestrator.core.policies import hedge
from concertino.orchestrator.states import States
from concertino.orchestrator.stragglers import Stragglers


class Reader:
    """Brings ``states`` up to date. ``stragglers`` learn from every result; a task's limits are held to
    ``bounds``."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        states: States,
        bounds: Bounds = UNBOUND,
        stragglers: Stragglers | None = None,
    ) -> None:
        self._bus, self._subjects, self._states = bus, subjects, states
        self._bounds, self._stragglers = bounds, stragglers
        self._log = TaskLog(bus, subjects)

    async def read(self, state: State, reach: int = 0) -> None:
        """Add to ``state`` what is new, at least up to sequence ``reach``."""
        told = state.finish is not None
        for fact in await self._log.read(state.task, state.sequence, reach):
            if self._stragglers and isinstance(fact.message, Dispatched):
                self._count_hedges(self._stragglers, state, fact.message)
            state.apply(fact)
            if isinstance(fact.message, Result) and str(fact.name) in state.sent:
                await self._learn(state, str(fact.name), fact.message)
        if state.finish and not told and not state.outcome:
            await self._tell(state, self._subjects.finish_signal(state.task), "the caller asked to finish")
        narrowed(state, self._bounds)

    async def catch_up(self, state: State) -> None:
        """Another replica was first with a fact of ours: what it says counts."""
        known = state.sequence
        await self.read(state)
        if state.sequence == known:
            # Asking at once again would do all the effects again, as fast as we can, until the reader has caught up.
            raise BusUnavailable("the log holds a fact that the replica which was read has not seen yet")

    def _count_hedges(self, stragglers: Stragglers, state: State, dispatched: Dispatched) -> None:
        """Those of other replicas: what results pay for is paid for once, and not once for each replica that reads them."""
        for work, attempt in dispatched.work:
            if attempt == hedge.HEDGE > state.sent.get(work, 0) and work.startswith("result."):
                stragglers.hedged(work.split(".")[1])

    async def _learn(self, state: State, work: str, result: Result) -> None:
        """A result counts for what is slow, and ends what is done beside it."""
        kind = work.split(".")[1]
        if self._stragglers and result.status != ResultStatus.FAILED and not result.cold:
            self._stragglers.saw(kind, hedge.took(state, work))
        if result.worker == COORDINATOR and result.error:
            await self._tell(state, self._subjects.signal(state.task, work), result.error.message)
        elif state.sent[work] >= hedge.HEDGE:
            await self._tell(state, self._subjects.signal(state.task, work), "another attempt was first")

    async def _tell(self, state: State, subject: str, reason: str) -> None:
        """Whoever it is about, because of a fact that was just read."""
        try:
            await self._bus.publish(subject, encode(Signal(reason=reason)))
        except BusUnavailable:
            self._states.forget(state.task)  # so that it is read, and said, again
            raise


def narrowed(state: State, bounds: Bounds) -> None:
    """Hold the limits of a task to what the installation allows."""
    if state.submitted:
        state.submitted = structs.replace(state.submitted, limits=bounds.narrow(state.submitted.limits))
