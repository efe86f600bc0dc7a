"""The coordinator: reads the facts of a task, asks the core what is to be done, and does it. It keeps nothing.

What it remembers of a task is a cache of its log. Any replica may handle any trigger; a trigger is acknowledged only once all
effects that follow from it are, so a crash at any point means that somebody does the same again, under the same names.
"""

from __future__ import annotations

import random
from collections.abc import Collection

import structlog

from concertino.bus import topology
from concertino.bus.announcements import kinds
from concertino.bus.port import Bus, Consumption
from concertino.contracts.budget import UNBOUND, Bounds
from concertino.contracts.errors import BusUnavailable, ConcertinoError, InvalidId, QueueFull
from concertino.contracts.state import State
from concertino.contracts.subjects import ROOM, Subjects, check_id
from concertino.orchestrator import counting
from concertino.orchestrator.core.decide import decide
from concertino.orchestrator.core.effects import Effect
from concertino.orchestrator.core.policies import ending, hedge
from concertino.orchestrator.intake import Intake, Triggers
from concertino.orchestrator.peers import Peers
from concertino.orchestrator.performer import Performer
from concertino.orchestrator.reading import Reader
from concertino.orchestrator.states import States
from concertino.orchestrator.stragglers import Stragglers
from concertino.runtime.clock import Clock
from concertino.telemetry import logs

SLOTS = 4000
"""Triggers in hand. As many as that may stand before an urgent one, and it still comes at once."""
BUG_ATTEMPTS = 5
"""Times that a task may make a replica fail in a row; then it is ended, so that it is not stuck for ever."""
FULL_DELAY, LONGEST_FULL = 1.0, 15.0
"""Seconds until work is tried again whose queue is full: at first, and at the most."""
RETRY_DELAY = 0.5
"""Seconds until a trigger comes back; twice as many with each attempt where the fault may be the task's own."""

log = structlog.get_logger(__name__)


class Coordinator:
    """One replica. ``clock`` gives Unix seconds; ``bounds`` narrow what callers allow their tasks. ``stragglers`` say what is
    slow; without them nothing is hedged."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        bounds: Bounds = UNBOUND,
        stragglers: Stragglers | None = None,
    ) -> None:
        self._bus, self._subjects, self._clock, self._stragglers = bus, subjects, clock, stragglers
        self._states = States()
        self._intake = Intake(subjects, self._states, self._handle)
        self._peers = Peers(bus, subjects, self._intake.take_handed, self._states.done, self._leave_to_others)
        self._reader = Reader(bus, subjects, self._states, bounds, stragglers)
        self._performer = Performer(bus, subjects, clock, stragglers)
        self._triggers: Consumption | None = None
        self._kinds: frozenset[str] = frozenset()
        counting.nothing_yet()

    def start(self) -> Consumption:
        """Handle triggers from now on."""
        self._peers.start()
        self._triggers = self._bus.consume(topology.coordinator(self._subjects), self._intake.take, SLOTS)
        return self._triggers

    async def stop(self) -> None:
        """Take no more triggers, finish what is being handled, and leave to others what waits."""
        await self._peers.leave()
        if self._triggers:
            await self._triggers.stop()
        await self._intake.stop()
        await self._peers.stop()

    async def _handle(self, task: str, triggers: Triggers) -> None:
        logs.about(task)
        if triggers.begins:
            self._states.begins(task, triggers.begins)
        # What was read with what came before is done, unless somebody sends for it again.
        done = triggers.first and triggers.reach <= self._states.done(task)
        retry = None if done else await self._see_to(task, triggers)
        try:
            await triggers.settle(retry)
        except BusUnavailable as e:
            log.warning("triggers could not be settled; they come back when their lease ends", error=str(e))

    async def _see_to(self, task: str, triggers: Triggers) -> float | None:
        """Have whoever's ``task`` is look at it. Seconds after which its triggers are to come again, if it is not done."""
        owner = self._peers.owner(task)
        if owner and triggers.first and not triggers.handed:
            told = await self._peers.hand(owner, task, triggers.reach, begins=triggers.begins)
            counting.handed_over(answered=told is not None)
            if told:
                self._states.did(task, told.seen)
                return told.retry
        retry = await self._look_at(task, triggers.reach)
        if self._peers.owner(task):
            self._states.forget(task)  # what becomes of it, this replica may never hear
        return retry

    def _leave_to_others(self) -> None:
        """There are more coordinators now: forget what is theirs."""
        self._states.forget_those(self._peers.owner)

    async def _look_at(self, task: str, reach: int) -> float | None:
        """Do what follows from the facts of ``task``. Seconds after which its triggers are to come again, if it is not done."""
        try:
            await self.reconcile(task, reach)
        except BusUnavailable as e:
            log.warning("could not reconcile, trying again", error=str(e))
            return RETRY_DELAY
        except QueueFull as e:
            log.warning("work waits for room in its queue", error=str(e))
            return await self._wait_for_room(task)
        except Exception as e:
            log.exception("a bug, or a log that nobody foresaw")
            return await self._after_fault(task, e)
        self._states.succeeded(task)
        return None

    async def _wait_for_room(self, task: str) -> float | None:
        """Look at ``task`` again when there may be room. Its triggers are done then: were they handed back, the server would
        count them as taken, and give out no others behind some thousands of them.

        Longer and longer, and not for all at the same moment."""
        now = self._clock()
        waited = now - self._states.of(task).times.get(f"timer.{ROOM}", now)
        try:
            await self._performer.look_again(
                task,
                now + min(max(waited, FULL_DELAY), LONGEST_FULL) * random.uniform(0.5, 1.0),  # noqa: S311
            )
        except ConcertinoError as e:
            log.warning("no timer could be set for when there is room, trying again", error=str(e))
            return RETRY_DELAY
        return None

    async def _after_fault(self, task: str, error: Exception) -> float | None:
        """Seconds after which to try ``task`` again that made us fail; None once it has been ended for that."""
        state = self._states.seen(task) or State(task)
        times = self._states.failed(task)
        retry = RETRY_DELAY * float(2 ** min(times - 1, BUG_ATTEMPTS))
        if times < BUG_ATTEMPTS:
            return retry
        reason = f"the orchestrator cannot handle this task ({type(error).__name__}: {error}): please report it with its log"
        if isinstance(error, ConcertinoError):
            reason = str(error)  # it says what to do
        try:
            await self._performer.end(state, ending.failed(State(task), reason))
            await self._performer.halt(task)
        except ConcertinoError as e:
            log.warning("could not end the task, trying again", error=str(e))
            return retry
        self._states.succeeded(task)
        return None

    async def reconcile(self, task: str, reach: int) -> None:
        """Bring ``task`` as far as its facts allow now, reading the log at least up to sequence ``reach``."""
        try:
            check_id(task)
        except InvalidId as e:
            # Its log is not even read: `*` can stand in a subject, and would mean the facts of every task.
            await self._performer.end(State(task), ending.failed(State(task), f"the task's id: {e}"))
            return
        state = self._states.of(task)
        if not state.outcome and state.sequence < reach:
            await self._reader.read(state, reach)
        while effects := await self._decide(state):
            if not await self._performer.perform(state, effects):
                await self._reader.catch_up(state)
        if state.outcome:
            # All that matters of an ended task is that it has ended.
            self._states.remember(State(task, sequence=state.sequence, outcome=state.outcome, halted=state.halted))
        self._states.did(task, max(reach, state.sequence))

    async def _decide(self, state: State) -> list[Effect]:
        wanted = {subtask.kind for subtask in state.subtasks}
        hedging = self._stragglers.hedging(wanted) if self._stragglers else hedge.OFF
        return decide(state, self._clock(), await self._on_the_bus(wanted), hedging)

    async def _on_the_bus(self, wanted: Collection[str]) -> Collection[str]:
        """The kinds on the bus, looked up anew where one that is ``wanted`` was not there yet."""
        if not self._kinds.issuperset(wanted):
            found = await kinds(self._bus, self._subjects)
            self._kinds = frozenset(a.kind for a in found if not a.internal)
        return self._kinds
