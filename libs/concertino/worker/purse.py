"""The ledger of a task, kept in a bucket and changed by compare-and-set: what one attempt reserves there and settles."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from msgspec import Struct

from concertino.bus.port import Bus
from concertino.contracts import budget
from concertino.contracts.budget import Ask, Refusal, Taken
from concertino.contracts.codec import decode
from concertino.contracts.errors import ConcertinoError, LedgerUnavailable
from concertino.contracts.messages import Amount, Hold, Ledger, Usage, Work
from concertino.contracts.subjects import Subjects
from concertino.model.port import Estimate
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics
from concertino.worker.cell import Cell

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a call waits for what others have taken and may give back."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0

log = structlog.get_logger(__name__)


class Purse:
    """The :class:`~concertino.model.port.Purse` of delivery number ``delivery`` of ``work``.

    While nobody else writes, to reserve is one word to the bus and its answer, and so is to settle.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        work: Work,
        delivery: int,
        *,
        monotonic: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._work, self.delivery = work, delivery
        self._ledger = Cell(bus, subjects.budget_bucket, work.task, _read, sleep)
        self._budget = budget.budget_of(work)
        self._monotonic, self._sleep = monotonic, sleep
        self._last_words: set[asyncio.Task[Any]] = set()

    async def reserve(self, estimate: Estimate) -> _Reservation:
        ask = Ask(
            id=secrets.token_hex(8),
            model=estimate.model,
            work=self._work.id,
            attempt=self._work.attempt,
            delivery=self.delivery,
            line=estimate.line,
            input_tokens=estimate.input_tokens,
            room=estimate.room,
            input_cost=estimate.input_cost,
            room_cost=estimate.room_cost,
        )
        give_up, pause = self._monotonic() + PATIENCE, _FIRST_PAUSE
        while True:
            try:
                found = await self._taken(ask)
            except LedgerUnavailable:
                self._count("ledger")
                raise
            if isinstance(found, Taken):
                return _Reservation(found.hold, found.room, self._settle)
            if not found.waits or self._monotonic() + pause > give_up:
                self._count(found.why)
                raise found.error
            await self._sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _taken(self, ask: Ask) -> Taken | Refusal:
        """Whoever is interrupted meanwhile gives back what may have been taken already."""
        placing = asyncio.ensure_future(self._change(lambda ledger: self._placed(ledger, ask)))
        try:
            return await asyncio.shield(placing)
        except asyncio.CancelledError:
            self._keep(self._undone(placing))
            raise

    def _placed(self, ledger: Ledger, ask: Ask) -> tuple[Ledger, Taken | Refusal]:
        found = budget.reserve(ledger, ask, self._budget)
        return (found.ledger if isinstance(found, Taken) else ledger), found

    async def _undone(self, placing: asyncio.Future[Taken | Refusal]) -> None:
        found = await placing
        if isinstance(found, Taken):
            await self._written(found.hold, Amount())

    async def _settle(self, hold: Hold, took: Usage | None) -> None:
        """Whoever is interrupted meanwhile leaves it to be written all the same. Where it cannot be written, what was reserved
        stays taken: that is no reason to lose what the model said."""
        with contextlib.suppress(LedgerUnavailable):
            await asyncio.shield(self._keep(self._written(hold, None if took is None else budget.amount(took))))

    async def _written(self, hold: Hold, took: Amount | None) -> None:
        await self._change(lambda ledger: (budget.settle(ledger, hold, took), None))

    def _keep(self, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(doing)
        self._last_words.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._last_words.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("a ledger keeps what a call had reserved", task=self._work.task, work=self._work.id, error=str(error))

    async def _change(self, decide: Callable[[Ledger], tuple[Ledger, T]]) -> T:
        try:
            return await self._ledger.change(decide)
        except ConcertinoError as e:
            raise _unavailable(e) from e

    def _count(self, why: str) -> None:
        metrics.BUDGET_REFUSALS.labels(self._work.brief.kind, why).inc()


def _read(value: bytes | None) -> Ledger:
    return decode(Ledger, value) if value else Ledger()


def _unavailable(error: ConcertinoError) -> LedgerUnavailable:
    return LedgerUnavailable(f"what the task has spent cannot be looked up, so no model is called: {error}")


class _Reservation(Struct, frozen=True):
    hold: Hold
    room: int
    _settle: Callable[[Hold, Usage | None], Awaitable[None]]

    async def settle(self, took: Usage | None) -> None:
        await self._settle(self.hold, took)
