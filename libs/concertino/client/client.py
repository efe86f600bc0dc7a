"""The client: what other services import, and what the command line is made of."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from concertino.bus import topology
from concertino.bus.announcements import kinds
from concertino.bus.jetstream import JetStream
from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.client.asking import asking, told
from concertino.client.ending import LOOK_AGAIN, SOON, Ending, ending
from concertino.client.failures import Failures, failures, failures_of
from concertino.client.listing import TaskSummary, newest
from concertino.client.offers import Offers
from concertino.client.redriving import Redriven, refreshed
from concertino.client.room import Room
from concertino.contracts.codec import decode
from concertino.contracts.errors import BusUnavailable, DeadlineExceeded, InvalidPlan, QueueFull, TaskExists, TaskNotFound
from concertino.contracts.facts import Fact
from concertino.contracts.ids import task_id
from concertino.contracts.messages import (
    Again,
    Announcement,
    Cancel,
    Finish,
    Lane,
    Limits,
    Message,
    Outcome,
    Plan,
    Progress,
    Source,
    Submitted,
)
from concertino.contracts.plans import problems
from concertino.contracts.redrive import redrive, redrive_id, run_by
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import CLIENT, FINISH, LANES, FactName, Subjects, check_id
from concertino.contracts.trace import NO_TRACE
from concertino.contracts.view import TaskView, view
from concertino.masking import masked, remembering
from concertino.runtime.clock import Clock
from concertino.runtime.settings import Settings, settings
from concertino.telemetry import tracing
from concertino.telemetry.names import Attribute, Event

T = TypeVar("T")

OVERDUE = 10.0
"""Seconds after a task's deadline for which its outcome is still waited for."""

_LAST_LOOK = 2.0
"""Seconds that who has waited long enough waits to hear whether the task has ended by now, and whether there is such a task."""

_A_MOMENT = 0.001
"""Seconds from when a task is in the log within which none has ended."""

FAILURES = 100
"""Pieces of failed work that are listed where nobody says how many."""

TASKS = 1_000
"""Tasks that are listed where nobody says how many."""


class WorkerKind(Struct, frozen=True):
    """A kind that is announced on the bus, with its live replicas and its queue over all lanes."""

    kind: str
    description: str
    replicas: int
    slots: int
    waiting: int
    running: int
    internal: bool
    tools: tuple[str, ...]
    """All that any of its replicas offers."""
    abilities: dict[str, str]
    """What a tool is for, where its name does not say."""
    sources: tuple[str, ...]
    """The kinds of source it reads."""


class Client:
    """One connection to the bus, for one program. Use it as ``async with Client() as client``.

    ``url`` defaults to the setting ``CTN_NATS_URL``. Errors are those of :mod:`concertino.contracts.errors`.
    """

    def __init__(
        self, url: str | None = None, *, config: Settings | None = None, bus: Bus | None = None, clock: Clock = time.time
    ) -> None:
        self._config = config or settings()
        self._url = url or self._config.nats_url
        self._subjects = Subjects(self._config.prefix)
        self._clock = clock
        self._given = bus
        self._bus_: Bus | None = bus
        self._room_: Room | None = None
        self._offers_: Offers | None = None
        self._last = ("", -math.inf)
        """The task that was submitted last, and when: on a clock that never jumps."""

    async def __aenter__(self) -> Client:
        if self._bus_ is None:
            self._bus_ = await JetStream.connect(
                self._url, "client", self._subjects, patience=3.0, access=self._config.access(CLIENT)
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bus_ is not None and self._given is None:
            await self._bus_.close()

    # --- tasks

    async def submit(
        self,
        request: str,
        *,
        sources: Sequence[Source] = (),
        limits: Limits | None = None,
        plan: Plan | None = None,
        lane: Lane = "interactive",
        plan_only: bool = False,
        task: str | None = None,
        wait: float = 0.0,
    ) -> str:
        """Put a task into the log; its id. With an id of your own, submitting again is harmless.

        Where queues are full, it is tried again for ``wait`` seconds. Raises :class:`InvalidMessage`, :class:`InvalidPlan` and
        :class:`QueueFull` before anything is stored, and :class:`TaskExists` where another request stands under ``task``.
        """
        until: Literal["plan", "report"] = "plan" if plan_only else "report"
        name = self._name(task)
        submitted = _said(request, sources, limits, plan, lane, until)
        if await self._submit(submitted, name, wait, new=task is None) is not None:
            self._last = (name, time.monotonic())
        return name

    def _name(self, task: str | None) -> str:
        return check_id(task) if task is not None else task_id(self._clock(), secrets.randbits)

    async def _submit(
        self, submitted: Submitted, name: str, wait: float, *, new: bool = False, roomy: bool = False
    ) -> int | None:
        """The sequence at which it stands in the log, where it was not there already. ``new``: nobody can have submitted it
        under that ``name``; ``roomy``: room for it was taken already."""
        if submitted.plan is not None:
            await self._check(submitted, submitted.plan)
        if not roomy:
            await self._have_room(submitted, wait, None if new else name)
        with tracing.sending(self._subjects.fact("{task}", "submitted"), name, {Attribute.LANE: submitted.lane}) as span:
            sequence = await self._log.store(name, "submitted", submitted)
            if sequence is None:
                there = await self._log.read_known(name, "submitted")
                if there.message != submitted:
                    raise TaskExists(f"another task was submitted as {name!r}: take another id, or none")
                span.event(Event.EXISTS)
                span.link(there.trace)
        return sequence

    async def _check(self, submitted: Submitted, plan: Plan) -> None:
        """Raise :class:`InvalidPlan` where ``plan`` cannot be run: not before it was looked who is on the bus now."""

        def against(offers: Sequence[Announcement]) -> list[str]:
            return problems(plan, submitted, {a.kind for a in offers}, brought=True, offers=offers)

        if (known := self._offers.known) and not against(known):
            return
        if found := against(await self._offers.look()):
            raise InvalidPlan("the plan cannot be run: " + "; ".join(found))

    async def _have_room(self, submitted: Submitted, wait: float, task: str | None) -> None:
        """Take it, or raise :class:`QueueFull`; not where it was submitted as ``task`` before."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + wait
        while True:
            try:
                await self._room.take(submitted)
                return
            except QueueFull as e:
                # Not all who wait are to come back at once.
                pause = (e.after or 0.0) * random.uniform(0.75, 1.25)  # noqa: S311
                if clock() + pause > give_up:
                    if task is not None and await self._log.read_one(task, "submitted") is not None:
                        return
                    raise
                await asyncio.sleep(pause)

    async def ask(
        self,
        request: str,
        *,
        sources: Sequence[Source] = (),
        limits: Limits | None = None,
        plan: Plan | None = None,
        lane: Lane = "interactive",
        task: str | None = None,
        wait: float = 0.0,
    ) -> TaskView:
        """Submit, with up to ``wait`` seconds for room in the queues, and wait for the outcome. The whole task comes with
        it: who needs no more than how it ended, and its report, has that for less by :meth:`submit` and :meth:`outcome`.

        Raises what :meth:`submit` does, and :class:`DeadlineExceeded` where no orchestrator is there to end the task when its
        time is up.
        """
        with asking() as span:
            name, submitted = self._name(task), _said(request, sources, limits, plan, lane, "report")
            state = State(name)
            async with ending(self._bus, self._subjects, name) as end:
                sequence = await self._submit(submitted, name, wait, new=task is None)
                if sequence is not None:  # nothing stands before it, and what it says is known
                    state.apply(Fact(FactName("submitted", ""), submitted, sequence, self._clock()))
                first = 0.0 if sequence is None else LOOK_AGAIN
                await self._ended(state, end, submitted.limits.deadline + OVERDUE, first=first)
            seen = view(state)
            told(span, seen.task, seen.status)
        return seen

    async def outcome(self, task: str, timeout: float | None = None) -> Outcome:
        """How ``task`` ended, once it has: status, reason, report, and what it cost. However wide the task is, that is one
        message; what its workers found one by one, :meth:`show` tells.

        It may be asked for before the task is submitted. Raises after ``timeout`` seconds (0: it looks once):
        :class:`DeadlineExceeded`, and the task goes on then, or :class:`TaskNotFound`, where nobody has submitted it by then.
        """
        # Usually that is asked in one breath with submitting it: to look then finds nothing, and is in the way of its work.
        first = SOON if self._last[0] == task and time.monotonic() - self._last[1] < _A_MOMENT else 0.0
        async with ending(self._bus, self._subjects, check_id(task)) as end:
            fact = await self._within(task, timeout, end, lambda: self._log.read_one(task, "outcome"), first)
        assert isinstance(fact.message, Outcome)  # also in the place of one that cannot be read
        return fact.message

    async def wait(self, task: str, timeout: float | None = None) -> TaskView:
        """The task once it has its outcome. Raises what :meth:`outcome` does."""
        state = State(check_id(task))
        async with ending(self._bus, self._subjects, task) as end:
            await self._ended(state, end, timeout)
        return view(state)

    async def _ended(self, state: State, end: Ending, timeout: float | None, *, first: float = 0.0) -> None:
        """Bring ``state`` up to the outcome of its task."""

        async def look() -> Outcome | None:
            for fact in await self._log.read(state.task, state.sequence):
                state.apply(fact)
            return state.outcome

        await self._within(state.task, timeout, end, look, first)

    async def _within(
        self, task: str, timeout: float | None, end: Ending, look: Callable[[], Awaitable[T | None]], first: float
    ) -> T:
        """What ``look`` finds within ``timeout`` seconds, or when they are over: who does not want to wait wants to look."""
        try:
            async with asyncio.timeout(timeout):
                return await end.seen(look, first=first)
        except TimeoutError as e:
            # A bus that is away says nothing.
            with contextlib.suppress(BusUnavailable, TimeoutError):
                async with asyncio.timeout(_LAST_LOOK):
                    if (found := await look()) is not None:
                        return found
                    if await self._log.read_one(task, "submitted") is None:
                        raise _not_found(task) from e
            raise DeadlineExceeded(f"task {task} has no outcome after {timeout:g} s; it goes on") from e

    def follow(self, task: str) -> AbstractAsyncContextManager[AsyncIterator[Fact | Progress]]:
        """Everything about ``task``, from its first fact on, as it happens. Ends only with the ``async with``."""
        return self._log.follow(check_id(task))

    async def facts(self, task: str) -> list[Fact]:
        """The log of ``task`` as it is now, in order. Raises :class:`TaskNotFound`."""
        facts = await self._log.read(check_id(task))
        if all(fact.name.type == "again" for fact in facts):  # what was written last outlives the rest
            raise _not_found(task)
        return facts

    async def state(self, task: str) -> State:
        """What the log says of ``task`` now. Raises :class:`TaskNotFound`."""
        return fold(task, await self.facts(task))

    async def show(self, task: str) -> TaskView:
        """The task as it stands now. Raises :class:`TaskNotFound`."""
        return view(await self.state(task))

    async def cancel(self, task: str, reason: str = "") -> bool:
        """Ask for ``task`` to end now. False: it had ended, or was cancelled already. Raises :class:`TaskNotFound`."""
        return await self._ask_for(task, "cancel", Cancel(reason=masked(reason)))

    async def finish(self, task: str, reason: str = "") -> bool:
        """Ask for ``task`` to stop here, and for what there is to be written up: nothing is begun any more, and what is at work
        has a few seconds. False: it had ended, is being cancelled, or that was asked for already.

        Raises :class:`TaskNotFound`.
        """
        return await self._ask_for(task, FINISH, Finish(reason=masked(reason)))

    async def _ask_for(self, task: str, name: str, message: Message) -> bool:
        state = await self.state(task)
        if state.outcome or (name == FINISH and state.cancel):
            return False
        # Part of what its caller is doing; where that is no trace, of the task's.
        parent = NO_TRACE if tracing.here() else state.trace
        with tracing.sending(self._subjects.fact("{task}", name), task, parent=parent) as span:
            if not parent:
                span.link(state.trace)
            return await self._log.write(task, name, message)

    async def failures(
        self,
        since: float = 86_400.0,
        *,
        kind: str = "",
        task: str = "",
        most: int = FAILURES,
    ) -> Failures:
        """Work that failed, newest first, and at most ``most`` of it: of all tasks that were submitted or ended in the last
        ``since`` seconds, or of ``task`` alone; of workers of ``kind`` alone.

        Reads all outcomes from then on: of a million facts that is half a minute, on a busy machine. Raises
        :class:`TaskNotFound`.
        """
        if not task:
            return await failures(self._bus, self._subjects, self._clock() - since, kind, most)
        await self.facts(task)
        found = [one for one in await failures_of(self._log, task) if kind in ("", one.kind)]
        found.sort(key=lambda one: one.at, reverse=True)
        return Failures(tuple(found[:most]), len(found) > most)

    async def redrive(
        self,
        task: str,
        subtasks: Sequence[str] = (),
        *,
        deadline: float | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        model: str | None = None,
        wait: float = 0.0,
        new: str | None = None,
        once: bool = False,
    ) -> Redriven:
        """Run again what failed in ``task`` (or the ``subtasks`` that are named), and what depends on that, as a ``new`` task
        that has the other results already. What is given replaces the limits of the old one.

        Without ``new``, the id follows from the log: asked twice at once, or again after the connection broke, it is one task.
        Later it is another one, which runs it all again; not with ``once``. Raises :class:`TaskNotFound`,
        :class:`CannotRedrive`, what :meth:`submit` does, and :class:`TaskExists` where it was run again in another way at the
        same time, or before, with ``once``.
        """
        state = await self.state(task)
        if once and state.again:
            raise TaskExists(f"task {task} was run again already, as {', '.join(sorted(state.again))}")
        given = {"deadline": deadline, "max_tokens": max_tokens, "max_cost": max_cost, "model": model}
        limits = msgspec.structs.replace(
            state.submitted.limits if state.submitted else Limits(), **{k: v for k, v in given.items() if v is not None}
        )
        name = check_id(new) if new is not None else redrive_id(state)
        # Before anything is read, or stored, that may be large.
        await self._have_room(redrive(state, subtasks, (), limits).submitted, wait, name)
        gone = await refreshed(self._bus, state)
        found = redrive(state, subtasks, gone, limits)
        try:
            await self._submit(_as_read(found.submitted), name, wait, roomy=True)
        except TaskExists as e:
            there = (await self._log.read_known(name, "submitted")).message
            if not isinstance(there, Submitted) or there.again != task:
                raise
            # Who made it may not have come to say so: then whoever asks next would meet it again.
            await self._log.write(task, f"again.{name}", Again(subtasks=run_by(there)))
            raise TaskExists(
                f"task {task} is being run again in another way, as {name}: wait for that one (concertino follow {name}), or "
                "say it once more to run both"
            ) from e
        await self._log.write(task, f"again.{name}", Again(subtasks=found.run))
        return Redriven(name, found.run, found.kept, len(gone), tuple(sorted(state.again - {name})))

    async def tasks(self, since: float = 86_400.0, *, most: int = TASKS) -> list[TaskSummary]:
        """Tasks submitted in the last ``since`` seconds, newest first, and at most ``most`` of them: only these are held in
        memory, though all that were submitted since then are read. Where as many come back, there may be older ones."""
        return await newest(self._bus, self._subjects, self._clock() - since, most)

    # --- the fleet

    async def workers(self) -> list[WorkerKind]:
        """The kinds on the bus. One that is served on demand has no replica while there is nothing to do."""
        by_kind: dict[str, list[Announcement]] = {}
        for announcement in await kinds(self._bus, self._subjects):
            by_kind.setdefault(announcement.kind, []).append(announcement)
        found = (self._worker_kind(kind, replicas) for kind, replicas in sorted(by_kind.items()))
        return list(await asyncio.gather(*found))

    async def _worker_kind(self, kind: str, replicas: Sequence[Announcement]) -> WorkerKind:
        depths = [await self._bus.depth(topology.work(self._subjects, kind, lane)) for lane in LANES]
        return WorkerKind(
            kind=kind,
            description=replicas[0].description,
            replicas=sum(bool(a.replica) for a in replicas),
            slots=sum(a.slots for a in replicas if a.replica),
            waiting=sum(waiting for waiting, _ in depths),
            running=sum(running for _, running in depths),
            internal=replicas[0].internal,
            tools=tuple(dict.fromkeys(tool for a in replicas for tool in a.tools)),
            abilities={tool: what for a in replicas for tool, what in a.abilities.items()},
            sources=tuple(dict.fromkeys(source for a in replicas for source in a.sources)),
        )

    @property
    def _bus(self) -> Bus:
        if self._bus_ is None:
            raise RuntimeError("use the client inside `async with Client() as client:`")
        return self._bus_

    @property
    def _room(self) -> Room:
        self._room_ = self._room_ or Room(self._bus, self._subjects)
        return self._room_

    @property
    def _offers(self) -> Offers:
        self._offers_ = self._offers_ or Offers(self._bus, self._subjects)
        return self._offers_

    @property
    def _log(self) -> TaskLog:
        return TaskLog(self._bus, self._subjects)


def _said(
    request: str,
    sources: Sequence[Source],
    limits: Limits | None,
    plan: Plan | None,
    lane: Lane,
    until: Literal["plan", "report"],
) -> Submitted:
    """What a caller says, as every reader will read it. Raises :class:`InvalidMessage`."""
    with remembering():
        request, plan = masked(request), masked(plan)
    limits = limits or Limits()
    return _as_read(Submitted(request=request, sources=tuple(sources), limits=limits, plan=plan, lane=lane, until=until))


def _as_read(submitted: Submitted) -> Submitted:
    """What would be refused by every reader is refused here, with the same words."""
    return decode(Submitted, msgspec.json.encode(submitted))


def _not_found(task: str) -> TaskNotFound:
    return TaskNotFound(
        f"no task {task!r} in this log: see `concertino list`. It may be on another bus (CTN_NATS_URL), older than the "
        "log keeps, or of a `concertino ask` without a bus: what that brought up, its log included, ended with it"
    )
