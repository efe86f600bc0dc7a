"""Triggers as they come, by task: what comes together is handled together, one group of a task at a time, each in its turn."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
import structlog
from msgspec import Struct

from concertino.bus import topology
from concertino.bus.port import Delivery
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Lane
from concertino.contracts.subjects import FINISH, Subjects
from concertino.orchestrator.peers import Handed
from concertino.orchestrator.states import States
from concertino.orchestrator.turns import Turns

BATCH_AT_ONCE = 64
"""Batch tasks that are handled at the same time: enough to keep the server busy, few for an interactive one to stand among."""
LAST_WORDS = 5.0
"""Seconds for what is being handled when a replica leaves."""

_URGENT = ("cancel", FINISH)
"""Facts that end what their task costs."""

log = structlog.get_logger(__name__)


class Triggers(Struct):
    """Deliveries about one task that wait to be handled together: k results cost a few reads, not k."""

    reach: int
    deliveries: list[Delivery]
    begins: int = 0
    """The sequence at which the task was submitted, where that is among them."""

    @property
    def first(self) -> bool:
        """None of them was delivered before."""
        return all(delivery.attempt == 1 for delivery in self.deliveries)

    @property
    def handed(self) -> bool:
        """Some of them came to a peer."""
        return any(isinstance(delivery, Handed) for delivery in self.deliveries)

    async def settle(self, retry: float | None) -> None:
        """All are done, or (with ``retry``) come again after so many seconds."""
        await _settle(self.deliveries, retry)


Handle: TypeAlias = Callable[[str, Triggers], Awaitable[None]]


class _InLane(Struct):
    """What of a submitted task says who waits for it. (Any other fact has no lane.)"""

    lane: Lane | None = None


class Intake:
    """Hands the triggers of each task to ``handle``, which settles them and does not raise. ``states`` tell who is patient."""

    def __init__(self, subjects: Subjects, states: States, handle: Handle) -> None:
        self._subjects, self._states, self._handle = subjects, states, handle
        self._waiting: dict[str, Triggers] = {}
        self._busy: set[str] = set()
        self._handling: set[asyncio.Task[None]] = set()
        self._turns = Turns(BATCH_AT_ONCE, self._in_hand, topology.COORDINATOR_LEASE)

    async def stop(self) -> None:
        """Finish what is being handled, and leave to others what waits."""
        waiting = list(self._in_hand())
        self._waiting.clear()
        self._turns.end()
        try:
            await _settle(waiting, 0.0)
        except BusUnavailable as e:
            log.warning("triggers could not be handed back; they go to others when their lease ends", error=str(e))
        if self._handling:
            await asyncio.wait(self._handling, timeout=LAST_WORDS)

    def take(self, delivery: Delivery) -> Coroutine[Any, Any, None] | None:
        """Done when it is settled; None where somebody is at its task already, who will settle it."""
        if delivery.attempt == 1:
            self._states.comes(delivery.message.sequence)
        task, name = self._subjects.parse_fact(delivery.message.subject)
        begins = delivery.message.sequence if name.type == "submitted" else 0
        return self._add(task, delivery, urgent=name.type in _URGENT, begins=begins)

    def take_handed(self, task: str, handed: Handed) -> Coroutine[Any, Any, None] | None:
        """The same of what a peer hands over: it waits for no turn, as it had its turn there."""
        return self._add(task, handed, urgent=True, begins=handed.begins)

    def _add(self, task: str, delivery: Delivery, *, urgent: bool, begins: int) -> Coroutine[Any, Any, None] | None:
        triggers = self._waiting.setdefault(task, Triggers(0, []))
        triggers.reach = max(triggers.reach, delivery.message.sequence)
        triggers.begins = max(triggers.begins, begins)
        triggers.deliveries.append(delivery)
        if task in self._busy:
            if urgent:
                self._turns.hurry(task)
            return None
        self._busy.add(task)
        return self._take(task, delivery, urgent=urgent)

    async def _take(self, task: str, delivery: Delivery, *, urgent: bool) -> None:
        """Handle ``task`` until nothing of it waits."""
        handling = asyncio.current_task()
        assert handling is not None
        self._handling.add(handling)
        try:
            await asyncio.sleep(0)  # whatever came in the same read of the socket joins this group
            async with self._turns.turn(task, patient=not urgent and self._lane(task, delivery) == "batch"):
                while task in self._waiting:
                    await self._handle(task, self._waiting.pop(task))
        finally:
            # Were something left (only where this is cancelled), it would come back when its lease ends.
            self._waiting.pop(task, None)
            self._busy.discard(task)
            self._handling.discard(handling)

    def _lane(self, task: str, delivery: Delivery) -> Lane | None:
        """The lane of ``task`` as far as it can be told without reading its log."""
        if (state := self._states.seen(task)) and state.submitted:
            return state.submitted.lane
        try:
            return msgspec.json.decode(delivery.message.data, type=_InLane).lane
        except (msgspec.DecodeError, RecursionError):  # reading it whole will say why
            return None

    def _in_hand(self) -> Iterator[Delivery]:
        """What waits for its task to be handled."""
        return itertools.chain.from_iterable(triggers.deliveries for triggers in self._waiting.values())


async def _settle(deliveries: Sequence[Delivery], retry: float | None) -> None:
    for delivery in deliveries:
        await (delivery.ack() if retry is None else delivery.nak(retry))
