"""A coordinator's surroundings: the bus in memory, whose time stands still unless a test lets it pass, and scripted workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Delivery, Parcel, Stored
from concertino.bus.tasklog import TaskLog
from concertino.contracts.budget import UNBOUND, Bounds
from concertino.contracts.codec import decode
from concertino.contracts.errors import QueueFull
from concertino.contracts.messages import (
    Announcement,
    Finding,
    Limits,
    Message,
    Outcome,
    Plan,
    Planned,
    Report,
    Result,
    Settled,
    Submitted,
    Subtask,
    Synthesized,
    Work,
)
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import LANES, PLAN, SYNTHESIZE, Header, Subjects
from concertino.orchestrator.coordinator import Coordinator
from concertino.orchestrator.stragglers import Stragglers
from kit.waiting import until

Script = Callable[[Work], Settled | None]
"""What a worker makes of its work; None: it takes it and is never heard of again."""


def subtask(id_: str, *depends_on: str, kind: str = "web") -> Subtask:
    return Subtask(id=id_, kind=kind, objective=f"look into {id_}", depends_on=depends_on)


def brought(*subtasks: Subtask, deadline: float = 100.0) -> Submitted:
    return Submitted(request="What is it?", plan=Plan(subtasks=subtasks), limits=Limits(deadline=deadline))


def good_work(work: Work) -> Settled:
    match work.id.partition(".")[0]:
        case "plan":
            return Planned(plan=Plan(subtasks=(subtask("a"), subtask("b"), subtask("c", "a", "b", kind="code"))))
        case "synthesis":
            return Synthesized(report=Report(text="It is so."))
    return Result(findings=(Finding(claim=f"{work.brief.id} is so"),))


class Orchestra:
    """``conduct()`` adds a coordinator, ``play()`` the workers."""

    def __init__(self, subjects: Subjects) -> None:
        self.max_queued = topology.MAX_QUEUED
        self.subjects, self.server = subjects, MemoryServer(clock=lambda: 1e9)
        self.buses: list[MemoryBus] = []
        self.delivered: list[str] = []
        """Message ids of the work that was delivered, as often as it was."""

    async def connect(self) -> MemoryBus:
        bus = MemoryBus(self.subjects, server=self.server)
        self.buses.append(bus)
        await bus.provision(topology.installation(self.subjects, max_queued=self.max_queued))
        return bus

    async def conduct(
        self,
        wrap: Callable[[MemoryBus], Any] = lambda bus: bus,
        bounds: Bounds = UNBOUND,
        stragglers: Stragglers | None = None,
    ) -> Coordinator:
        coordinator = Coordinator(wrap(await self.connect()), self.subjects, self.server.now, bounds, stragglers)
        coordinator.start()
        return coordinator

    async def play(self, script: Script = good_work, kinds: tuple[str, ...] = ("web", "code")) -> None:
        bus = await self.connect()
        log = TaskLog(bus, self.subjects)

        async def work(delivery: Delivery) -> None:
            self.delivered.append(delivery.message.headers[Header.MESSAGE_ID])
            found = await log.work_in(delivery.message)
            settled = script(found)
            if settled is not None:
                await log.write(found.task, found.id, settled)
            await delivery.ack()

        for kind in (*kinds, PLAN, SYNTHESIZE):
            internal = kind in (PLAN, SYNTHESIZE)
            announcement = Announcement(kind=kind, description="scripted", replica="r1", internal=internal)
            await announce(bus, self.subjects, announcement)
            await bus.provision(topology.queues(self.subjects, [kind]))
            for lane in LANES:
                bus.consume(topology.work(self.subjects, kind, lane), work, 100)

    async def submit(self, task: str, submitted: Submitted) -> None:
        await self.write(task, "submitted", submitted)

    async def write(self, task: str, name: str, message: Message) -> None:
        assert await TaskLog(self.buses[0], self.subjects).write(task, name, message)

    async def write_raw(self, task: str, name: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        assert await self.buses[0].write_once(self.subjects.fact(task, name), data, headers)

    async def facts(self, task: str) -> list[Stored]:
        """As they stand in the stream. (By subject: what a task may be called is not always what may stand in a pattern.)"""
        prefix = self.subjects.fact(task, "")
        stored = await self.buses[0].read(self.subjects.tasks_stream, self.subjects.fact("*", ">"))
        return [s for s in stored if s.subject.startswith(prefix)]

    async def names(self, task: str) -> list[str]:
        return [s.subject.removeprefix(self.subjects.fact(task, "")) for s in await self.facts(task)]

    async def timers(self, task: str) -> list[str]:
        """Those that are still set, or have gone off."""
        return [s.subject for s in await self.buses[0].read(self.subjects.timers_stream, self.subjects.task(task))]

    async def state(self, task: str) -> State:
        return fold(task, await TaskLog(self.buses[0], self.subjects).read(task))

    async def advance(self, seconds: float) -> None:
        await self.server.advance(seconds)

    async def outcome(self, task: str, within: float = 0.0) -> Outcome:
        """The outcome; ``within`` as many seconds of the server's time, which pass half a second at a time."""
        end = self.server.now() + within

        async def there() -> bool:
            if self.server.now() + 0.5 <= end:
                await self.advance(0.5)
            return "outcome" in await self.names(task)

        await until(there, f"an outcome of {task}: there is {await self.names(task)}")
        [stored] = [s for s in await self.facts(task) if s.subject == self.subjects.fact(task, "outcome")]
        return decode(Outcome, stored.data)

    async def quiet(self) -> None:
        """Until the coordinators have settled everything."""
        consumer = topology.coordinator(self.subjects)

        async def settled() -> bool:
            return await self.buses[0].depth(consumer) == (0, 0)

        await until(settled, "all triggers are settled")

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()
        await asyncio.sleep(0)


class Faulty:
    """A bus that fails where :attr:`fault` says so: it gets the call's name and its first argument, and may raise."""

    def __init__(self, bus: MemoryBus, fault: Callable[[str, str], None]) -> None:
        self._bus, self._fault = bus, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._bus, name)
        if name == "enqueue_each":
            return self._each
        if name not in ("read", "write_once", "enqueue", "schedule", "publish", "unschedule", "keys"):
            return found

        async def call(subject: str, *args: Any, **kwargs: Any) -> Any:
            self._fault(name, args[0] if name == "read" else subject)
            return await found(subject, *args, **kwargs)

        return call

    async def _each(self, parcels: Sequence[Parcel]) -> list[QueueFull | None]:
        for parcel in parcels:
            self._fault("enqueue", parcel.subject)
        return await self._bus.enqueue_each(parcels)
