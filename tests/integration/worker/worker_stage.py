"""A queue, a log and replicas of one kind on the bus in memory, where a test says what time it is and what goes wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

from concertino.bus import topology
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Consumption, Delivery, Handler, Listener, Stored, Subscription
from concertino.bus.tasklog import TaskLog
from concertino.bus.topology import Consumer
from concertino.contracts.codec import decode
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Announcement, Lane, Limits, Progress, Settled, Source, Subtask, Work
from concertino.contracts.subjects import LANES, Subjects
from concertino.model.extractive import Extractive
from concertino.runtime.settings import Settings
from concertino.worker.handlers import Handler as WorkHandler
from concertino.worker.runtime import Runtime
from kit.waiting import until

KIND = "echo"
DEADLINE = 600.0


class Wire(MemoryBus):
    """A client whose wire breaks where a test says so."""

    acks_are_lost = False
    leases_are_lost = False
    hears_nothing = False
    newest_read = 0
    """How often a message was read by its subject."""
    refuses_writes = 0
    """The next so many facts cannot be written."""

    def __init__(self, subjects: Subjects, server: MemoryServer) -> None:
        super().__init__(subjects, server=server)
        self.renewals = 0
        self.flows = asyncio.Event()
        """What was sent to it stays on its way until then."""
        self.flows.set()
        self.reconnected: list[Callable[[], None]] = []

    def consume(self, consumer: Consumer, handler: Handler, slots: int, after: Consumption | None = None) -> Consumption:
        async def handle(delivery: Delivery) -> None:
            await self.flows.wait()
            await handler(_Frayed(self, delivery))

        return super().consume(consumer, handle, slots, after)

    async def write_once(self, subject: str, data: bytes, headers: Any = None) -> int | None:
        if self.refuses_writes:
            self.refuses_writes -= 1
            raise BusUnavailable("the wire is broken")
        return await super().write_once(subject, data, headers)

    async def newest(self, stream: str, subject: str) -> Stored | None:
        self.newest_read += 1
        return await super().newest(stream, subject)

    async def subscribe(self, subject: str, listener: Listener, *, confirm: bool = True) -> Subscription:
        async def hear(message: Stored) -> None:
            if not self.hears_nothing:
                await listener(message)

        return await super().subscribe(subject, hear, confirm=confirm)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self.reconnected.append(callback)


class _Frayed:
    def __init__(self, wire: Wire, delivery: Delivery) -> None:
        self._wire, self._delivery = wire, delivery
        self.message, self.attempt = delivery.message, delivery.attempt

    async def ack(self, *, confirm: bool = False) -> None:
        if not self._wire.acks_are_lost:
            await self._delivery.ack(confirm=confirm)

    async def nak(self, delay: float = 0) -> None:
        await self._delivery.nak(delay)

    async def in_progress(self) -> None:
        if self._wire.leases_are_lost:
            raise BusUnavailable("the wire is broken")
        await self._delivery.in_progress()
        self._wire.renewals += 1


class Stage:
    """``server`` stands still in time until told to ``elapse``; ``bus`` is an onlooker's client."""

    def __init__(self) -> None:
        self.subjects = Subjects()
        self.server = MemoryServer(clock=lambda: 1e9)
        self.bus = MemoryBus(self.subjects, server=self.server)
        self.log = TaskLog(self.bus, self.subjects)
        self.runtimes: list[Runtime] = []
        self._numbers = itertools.count(1)

    async def open(self) -> None:
        await self.bus.provision(topology.installation(self.subjects))
        await self.bus.provision(topology.queues(self.subjects, [KIND], Settings().lease))

    async def close(self) -> None:
        for runtime in self.runtimes:
            await runtime.drain(0)

    def wire(self) -> Wire:
        return Wire(self.subjects, self.server)

    async def replica(
        self,
        handler: WorkHandler,
        *,
        wire: MemoryBus | None = None,
        slots: int = 4,
        settings: Settings | None = None,
        **more: Any,
    ) -> Runtime:
        """A replica at work, with a connection of its own."""
        announcement = Announcement(kind=KIND, description="Echoes.", replica=f"r{next(self._numbers)}", slots=slots)
        runtime = Runtime(
            announcement,
            handler,
            bus=wire or self.wire(),
            model=Extractive(),
            settings=settings or Settings(),
            clock=self.server.now,
            **more,
        )
        await runtime.start()
        self.runtimes.append(runtime)
        return runtime

    async def submit(
        self,
        id_: str = "result.echo.s1",
        *,
        task: str = "t1",
        lane: Lane = "interactive",
        deadline: float = DEADLINE,
        objective: str = "say it",
        sources: Sequence[Source] = (),
        limits: Limits | None = None,
        **brief: Any,
    ) -> Work:
        work = Work(
            task=task,
            id=id_,
            attempt=1,
            request=objective,
            brief=Subtask(id=id_.rpartition(".")[2], kind=KIND, objective=objective, **brief),
            sources=tuple(sources),
            limits=limits or Limits(),
            deadline=self.server.now() + deadline,
        )
        await self.log.enqueue(lane, work)
        return work

    async def result(self, id_: str = "result.echo.s1", task: str = "t1") -> Settled:
        """What the log says came of it, as soon as it does."""
        fact = None

        async def there() -> bool:
            nonlocal fact
            fact = await self.log.read_one(task, id_)
            return fact is not None

        await until(there, f"{task} {id_}")
        assert fact is not None
        return cast(Settled, fact.message)

    async def queue(self) -> tuple[int, int]:
        """Messages that wait, and that somebody has."""
        depths = [await self.bus.depth(topology.work(self.subjects, KIND, lane)) for lane in LANES]
        return sum(w for w, _ in depths), sum(r for _, r in depths)

    async def queue_is(self, waiting: int, taken: int) -> bool:
        """Whether so many messages wait, and somebody has so many."""
        return await self.queue() == (waiting, taken)

    async def settled(self) -> None:
        """Nothing waits and nobody has anything any more."""

        async def empty() -> bool:
            return await self.queue() == (0, 0)

        await until(empty, "the queue is empty")

    async def elapse(self, seconds: float) -> None:
        await self.server.advance(seconds)

    async def kill(self, runtime: Runtime) -> None:
        """End it without a word, as SIGKILL does."""
        self.runtimes.remove(runtime)
        for consumption in runtime._consumptions:
            await consumption.stop()
        await runtime._signals.end()
        runtime._leases.end()
        runtime._telling.end()
        for delivery in list(runtime._deliveries):
            delivery.cancel()

    async def take_and_die(self, times: int) -> None:
        """What a replica does that the work kills: take it, and never be heard of again."""
        seen = asyncio.Queue[int]()

        async def die(delivery: Delivery) -> None:
            seen.put_nowait(delivery.attempt)

        consumption = self.bus.consume(topology.work(self.subjects, KIND, "interactive"), die, 1)
        for _ in range(times - 1):
            await seen.get()
            await self.elapse(Settings().lease + 1)
        await seen.get()
        await consumption.stop()
        await self.elapse(Settings().lease + 1)


class Said:
    """What the workers of a task say they do."""

    def __init__(self, stage: Stage, task: str = "t1") -> None:
        self._stage, self._task = stage, task
        self.progress: list[Progress] = []

    async def __aenter__(self) -> Said:
        async def hear(message: Any) -> None:
            self.progress.append(decode(Progress, message.data))

        self._subscription = await self._stage.bus.subscribe(self._stage.subjects.progress(self._task), hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._subscription.stop()


class Gate:
    """A handler that says that it began, and goes on when it is let."""

    def __init__(self) -> None:
        self.began = 0
        self.ended = 0
        self.interrupted = 0
        self.at_once = 0
        self.most_at_once = 0
        self.open = asyncio.Event()

    async def __call__(self, brief: Subtask, context: Any) -> None:
        self.began += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            self.ended += 1
        except asyncio.CancelledError:
            self.interrupted += 1
            raise
        finally:
            self.at_once -= 1

    async def until_begun(self, times: int = 1) -> None:
        await until(lambda: self.began >= times, f"begun {times} times")
