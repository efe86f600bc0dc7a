"""The conversation with a model, kept on the bus while it goes on: whoever takes the work over goes on at the next turn.

Each checkpoint is written once under the next number. That is also the fence between deliveries: whoever goes on from an
earlier one takes the next number first, so that an attempt which does not know yet that it lost its lease finds it taken, and
ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

import structlog

from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.contracts.checkpoints import Bill, Resumed, resumed, together
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Checkpoint, Record
from concertino.contracts.subjects import Subjects, nth
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics

KEPT_BEYOND = 60.0
"""Seconds for which checkpoints are kept after the time at which their work is of no use any more."""
_AT_ONCE = 8
"""Checkpoints that are asked for side by side."""
_LAG = 0.05
"""Seconds between looks for a checkpoint that a replica may not have yet."""
_SILENCE = 30.0
"""Seconds for which nothing is written after it failed: a bus that is away must not hold up a model that is not."""

log = structlog.get_logger(__name__)


def _unused() -> None:
    """Nobody to interrupt yet."""


async def _unheard() -> None:
    """Nobody to tell yet."""


class Checkpoints:
    """What is kept of one attempt at one piece of work, by number. ``deadline``: Unix seconds after which nobody reads it."""

    def __init__(self, bus: Bus, subjects: Subjects, task: str, work: str, attempt: int, deadline: float = 0.0) -> None:
        self._bus, self._subjects, self._log = bus, subjects, TaskLog(bus, subjects)
        self._task, self._work, self._attempt, self._deadline = task, work, attempt, deadline

    async def get(self, number: int) -> Checkpoint | None:
        """Checkpoint ``number``. Raises :class:`InvalidMessage` where it cannot be read."""
        stored = await self._bus.newest(self._subjects.checkpoints_stream, self._subject(number))
        return await self._log.checkpoint_in(stored) if stored else None

    async def put(self, number: int, checkpoint: Checkpoint, now: float) -> bool:
        """Write ``checkpoint`` down as ``number``. False: there is one already."""
        life = math.ceil(max(self._deadline - now, 0.0) + KEPT_BEYOND)
        return await self._log.write_checkpoint(self._subject(number), checkpoint, life)

    async def all(self, after: int = 0) -> list[Checkpoint]:
        """Every checkpoint after number ``after``, in order."""
        found: list[Checkpoint] = []
        while True:
            first = after + len(found) + 1
            for checkpoint in await asyncio.gather(*(self.get(first + i) for i in range(_AT_ONCE))):
                if checkpoint is None:
                    return found
                found.append(checkpoint)

    async def resumed(self, checkpoints: list[Checkpoint]) -> Resumed:
        """What ``checkpoints`` come to. What a delivery paid for that has ended stands in the task's log."""
        ended = sorted({checkpoint.delivery for checkpoint in checkpoints if checkpoint.left})
        there = await asyncio.gather(*(self._booked(delivery) for delivery in ended))
        return resumed(checkpoints, {delivery for delivery, booked in zip(ended, there, strict=True) if booked})

    async def _booked(self, delivery: int) -> bool:
        name = self._subjects.spent(self._work, nth(self._attempt, delivery))
        return await self._bus.newest(self._subjects.tasks_stream, self._subjects.fact(self._task, name)) is not None

    def _subject(self, number: int) -> str:
        return self._subjects.checkpoint(self._task, self._work, self._attempt, number)


class Journal:
    """The :class:`~concertino.model.port.Journal` of delivery number ``delivery``, in ``worker``.

    Where a checkpoint cannot be written the work goes on, and it is written with the next: that puts at risk what was paid for,
    and nothing else. With no ``checkpoints`` nothing is kept.
    """

    def __init__(self, checkpoints: Checkpoints | None, kind: str, worker: str, delivery: int, clock: Clock) -> None:
        self._checkpoints, self._kind, self._worker, self._clock = checkpoints, kind, worker, clock
        self.delivery = delivery
        """Beyond those of all that left something here, also where the queue counts anew."""
        self._held: defaultdict[str, deque[Record]] = defaultdict(deque)
        self._waiting: list[Record] = []
        self._number = 0
        """Of the newest checkpoint that is there, as far as this delivery knows."""
        self._turn, self._first = asyncio.Lock(), asyncio.Lock()
        self._silent_until = 0.0
        self._steps = 0
        self._looked = delivery > 1
        self._begun = self._leaves = self._over = False
        self._interrupt: Callable[[], None] = _unused
        self._no_first: Callable[[], Awaitable[None]] = _unheard
        self.unbooked: Bill = {}
        """What earlier deliveries paid for, by model, that nobody has booked: this one does."""
        self.accounted: Bill = {}
        """What whoever goes on from here finds out from the checkpoints: of this delivery, and of those before."""
        self.taken_over = False
        """Whether a later delivery goes on with the work."""

    def on_end(self, interrupt: Callable[[], None] | None) -> None:
        """Have ``interrupt`` called when the work is to end here: another has it now, or is to have it. None: it has ended."""
        self._interrupt = interrupt or _unused

    def on_no_first(self, tell: Callable[[], Awaitable[None]] | None) -> None:
        """Have ``tell`` called where a delivery that was counted as the first turns out not to be: :attr:`delivery` and
        :attr:`unbooked` are others from then on."""
        self._no_first = tell or _unheard

    async def open(self) -> None:
        """Go on from what earlier deliveries left. Where it cannot be read, the work begins anew."""
        self._looked = True
        if self._checkpoints is None:
            return
        found: list[Checkpoint] = []
        try:
            while True:
                found += await self._checkpoints.all(len(found))
                self.delivery = max((self.delivery, *(checkpoint.delivery + 1 for checkpoint in found)))
                if await self._checkpoints.put(len(found) + 1, self._said(), self._clock()):
                    break
                await asyncio.sleep(_LAG)  # one more was written meanwhile, or the replica that answers lags
            kept = await self._checkpoints.resumed(found)
        except ConcertinoError as e:
            self._is_unreadable(e)
            return
        self._number = len(found) + 1
        self._hold(kept)
        self.unbooked = self.accounted = kept.unbooked

    async def copy(self) -> None:
        """Begin with what an attempt has kept that goes on beside this one: nothing is taken from it, no number, nor what it
        paid. What this one asks itself is not kept."""
        self._looked = True
        checkpoints, self._checkpoints = self._checkpoints, None
        if checkpoints is None:
            return
        try:
            self._hold(await checkpoints.resumed(await checkpoints.all()))
        except ConcertinoError as e:
            self._is_unreadable(e)

    def _hold(self, kept: Resumed) -> None:
        for record in kept.records:
            self._held[record.key].append(record)

    @property
    def resumes(self) -> bool:
        return self._checkpoints is not None and self._clock() >= self._silent_until

    def _is_unreadable(self, error: ConcertinoError) -> None:
        log.warning("what an earlier attempt asked a model cannot be read: it is asked again", error=str(error))
        self._checkpoints = None

    # --- steps

    async def begin(self) -> None:
        """A first delivery may not be the first: they are counted anew where their consumer was made anew, and where a server
        that was killed had not written its count down. To look costs a read before a call that costs seconds. Whoever asks
        beside waits for that, too: else it would ask anew what is kept, and take who looked for another."""
        async with self._first:
            if self._looked or self._checkpoints is None:
                return
            self._looked = True
            try:
                there = await self._checkpoints.get(1)
            except ConcertinoError as e:
                self._is_unreadable(e)
                return
            if there:
                await self.open()
                if self._checkpoints is not None:
                    await self._no_first()

    def recall(self, key: str) -> Record | None:
        held = self._held.get(key)
        if not held:
            return None
        record = held.popleft()
        if record.answer:
            metrics.RECALLED.labels(self._kind).inc()
        return record

    async def turn(self) -> None:
        if self._over:
            raise asyncio.CancelledError("nobody waits for this any more")
        self._begun = True
        if self._leaves:
            await self._end()

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        self._steps += 1
        try:
            yield
        finally:
            self._steps -= 1
            if self._leaves and not self._steps:
                self._interrupt()

    async def keep(self, record: Record) -> None:
        self._waiting.append(record)
        if self._clock() >= self._silent_until:
            await self._write()

    def note(self, record: Record) -> None:
        self._waiting.append(record)

    # --- the end of it

    def leave(self) -> None:
        """Have the work interrupted as soon as no step is under way: another worker is to go on with it. Work that takes no
        steps is let be."""
        self._leaves = True
        if self._begun and not self._steps:
            self._interrupt()

    def end(self) -> None:
        """Let no other turn be taken, also where whoever was told to go does not."""
        self._over = True

    async def close(self, how: Literal["handed_back", "tried_again"], *, doubted: bool = False) -> None:
        """This delivery ends, and what it paid for is about to be booked; not where it turns out to be :attr:`taken_over`."""
        paid = any(record.spent for record in self._waiting)
        if self._checkpoints is not None and (self._number or paid) and not self.taken_over:
            await self._write(Checkpoint(worker=self._worker, delivery=self.delivery, left=how, doubted=doubted))

    async def _end(self) -> None:
        if not self._steps:
            self._interrupt()
        await asyncio.get_running_loop().create_future()  # until it is interrupted

    # --- writing

    def _said(self, *records: Record) -> Checkpoint:
        return Checkpoint(worker=self._worker, delivery=self.delivery, records=records)

    async def _write(self, last: Checkpoint | None = None) -> None:
        """Write what waits, and then ``last``, which raises where it cannot be written."""
        if self._checkpoints is None:
            self._waiting.clear()
            return
        async with self._turn:
            while self._waiting and not self.taken_over:
                records = tuple(self._waiting)
                try:
                    await self._put(self._checkpoints, self._said(*records))
                except ConcertinoError as e:
                    if last:
                        raise
                    self._silent_until = self._clock() + _SILENCE
                    log.warning("a turn of a conversation cannot be kept yet", error=str(e))
                    return
            if last and not self.taken_over:
                await self._put(self._checkpoints, last)
        if self.taken_over and last is None:
            self._interrupt()
            await asyncio.get_running_loop().create_future()

    async def _there(self, checkpoints: Checkpoints, number: int) -> Checkpoint:
        """A checkpoint that is known to be there: the replica that answers may lag."""
        found = await checkpoints.get(number)
        while found is None:
            await asyncio.sleep(_LAG)
            found = await checkpoints.get(number)
        return found

    async def _put(self, checkpoints: Checkpoints, checkpoint: Checkpoint) -> None:
        written = checkpoint
        if not await checkpoints.put(self._number + 1, checkpoint, self._clock()):
            there = await self._there(checkpoints, self._number + 1)
            if (there.worker, there.delivery) != (self._worker, self.delivery):
                self.taken_over = True
                return
            written = there  # of ours after all: the answer to it was lost
        self._number += 1
        del self._waiting[: len(written.records)]
        for record in written.records:
            self.accounted = together(self.accounted, record.spent)
