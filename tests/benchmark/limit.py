"""The speed of light of the design: once-only facts in a log, a coordinator that reads them back and reconciles, nothing else.

No types, no telemetry, no runtime, no retries: a coordinator and a few workers as processes of their own, on streams of their
own, beside the product on the same server. It uses nothing of the product: a yardstick must not grow with what it measures.
What the product takes longer than this is what it costs to be a product.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import nats
import uvloop
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig
from tests.benchmark.pull import Pull

ONCE = {"Nats-Expected-Last-Subject-Sequence": "0"}
LOG, WORK, COORDINATOR, WORKER = "LIMIT_LOG", "LIMIT_WORK", "coordinator", "echo"
FINDING = b'{"claim":"' + b"x" * 400 + b'"}'
WITHIN = 60.0
"""Seconds within which a task ends, or nothing works."""


class Bus:
    """Publishes with acknowledgement, and ranged reads of one task's facts, over one inbox."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._open: dict[str, tuple[asyncio.Future[Any], list[Msg] | None]] = {}
        self._numbers, self._inbox = itertools.count(), connection.new_inbox() + "."

    async def start(self) -> Bus:
        await self.connection.subscribe(self._inbox + "*", cb=self._on_reply)
        return self

    async def publish(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        await self._ask(subject, data, headers, None)

    async def read(self, stream: str, subjects: str, start: int) -> list[Msg]:
        request = {"seq": start, "batch": 100_000, "next_by_subj": subjects}
        found: list[Msg] = await self._ask(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), None, [])
        return found

    async def _ask(self, subject: str, data: bytes, headers: dict[str, str] | None, many: list[Msg] | None) -> Any:
        token, future = str(next(self._numbers)), asyncio.get_running_loop().create_future()
        self._open[token] = future, many
        await self.connection.publish(subject, data, reply=self._inbox + token, headers=headers)
        return await asyncio.wait_for(future, 10)

    async def _on_reply(self, message: Msg) -> None:
        token = message.subject[len(self._inbox) :]
        future, many = self._open.get(token, (None, None))
        if future is None:
            return
        if many is not None and not (message.headers and message.headers.get("Status")):
            many.append(message)
            return
        del self._open[token]
        future.set_result(message if many is None else many)


async def worker(url: str) -> None:
    bus = await Bus(await nats.connect(url)).start()

    async def handle(message: Msg) -> None:
        work = json.loads(message.data)
        await bus.publish(f"l.{work['task']}.result.{work['subtask']}", FINDING, ONCE)
        await message.ack()

    await Pull(bus.connection, WORK, WORKER, handle, 200).forever()


@dataclass
class Task:
    """What the coordinator has read of one."""

    sequence: int = 0
    subtasks: int = 0
    done: set[str] = field(default_factory=set)
    sent: bool = False
    over: bool = False


async def coordinator(url: str) -> None:
    bus = await Bus(await nats.connect(url)).start()
    tasks: dict[str, Task] = {}
    waiting: dict[str, list[Msg]] = {}
    busy: set[str] = set()

    async def reconcile(name: str, reach: int) -> None:
        task = tasks.setdefault(name, Task())
        if task.sequence < reach:
            for message in await bus.read(LOG, f"l.{name}.>", task.sequence + 1):
                headers = message.headers or {}
                fact = headers["Nats-Subject"].split(".")
                task.sequence = int(headers["Nats-Sequence"])
                task.subtasks = json.loads(message.data)["subtasks"] if fact[2] == "submitted" else task.subtasks
                task.sent = task.sent or fact[2] == "dispatched"  # by another coordinator, where there are two
                task.over = task.over or fact[2] == "outcome"
                if fact[2] == "result":
                    task.done.add(fact[3])
        if not task.over and not task.sent:
            task.sent = True
            briefs = (json.dumps({"task": name, "subtask": n}).encode() for n in range(task.subtasks))
            await asyncio.gather(
                *(bus.publish("w.echo", brief, {"Nats-Msg-Id": f"{name}.{n}.1"}) for n, brief in enumerate(briefs))
            )
            await bus.publish(f"l.{name}.dispatched.1", b"{}", ONCE)
        if not task.over and len(task.done) == task.subtasks:
            task.over = True
            await bus.publish(f"l.{name}.outcome", b"done", ONCE)
        if task.over:
            tasks.pop(name, None)

    async def handle(message: Msg) -> None:
        name = message.subject.split(".")[1]
        waiting.setdefault(name, []).append(message)
        if name in busy:
            return
        busy.add(name)
        await asyncio.sleep(0)
        while group := waiting.pop(name, None):
            await reconcile(name, max(int(m.reply.split(".")[5]) for m in group))
            for m in group:
                await m.ack()
        busy.discard(name)

    await Pull(bus.connection, LOG, COORDINATOR, handle, 1000).forever()


def _process(role: Callable[[str], Awaitable[None]], url: str) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(role(url))  # type: ignore[arg-type]


class Limit:
    """Tasks of the skeleton, as their caller sees them. ``pids`` are its processes, by what they do."""

    def __init__(self, bus: Bus, pids: Mapping[str, Sequence[int]]) -> None:
        self._bus, self.pids = bus, pids
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._numbers, self._name = itertools.count(), f"{os.getpid()}-{time.time_ns()}"

    async def task(self, subtasks: int) -> float:
        """Seconds from submission to outcome."""
        name = f"{self._name}-{next(self._numbers)}"
        ended = self._waiting[name] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        await self._bus.publish(f"l.{name}.submitted", json.dumps({"subtasks": subtasks}).encode(), ONCE)
        await asyncio.wait_for(ended, WITHIN)
        return time.perf_counter() - began

    async def _on_outcome(self, message: Msg) -> None:
        if ended := self._waiting.pop(message.subject.split(".")[1], None):
            ended.set_result(None)


@asynccontextmanager
async def limit(url: str, workers: int, coordinators: int = 1) -> AsyncIterator[Limit]:
    """The skeleton on the server at ``url``, with so many ``workers``. Several ``coordinators`` know nothing of each other:
    each reads the log of every task of which it gets a trigger."""
    async with await nats.connect(url) as connection:
        bus = await Bus(connection).start()
        jetstream = connection.jetstream()
        await jetstream.add_stream(StreamConfig(name=LOG, subjects=["l.>"], allow_direct=True))
        await jetstream.add_stream(StreamConfig(name=WORK, subjects=["w.>"], retention=RetentionPolicy.WORK_QUEUE))
        explicit = AckPolicy.EXPLICIT
        await jetstream.add_consumer(
            WORK, ConsumerConfig(durable_name=WORKER, ack_policy=explicit, max_ack_pending=5_000, ack_wait=30)
        )
        triggers = ["l.*.submitted", "l.*.result.*"]
        await jetstream.add_consumer(
            LOG,
            ConsumerConfig(
                durable_name=COORDINATOR,
                ack_policy=explicit,
                filter_subjects=triggers,
                max_ack_pending=20_000,
                ack_wait=30,
            ),
        )
        context = multiprocessing.get_context("spawn")
        roles = [worker] * workers + [coordinator] * coordinators
        processes = [context.Process(target=_process, args=(role, url), daemon=True) for role in roles]
        for process in processes:
            process.start()
        pids = [process.pid or 0 for process in processes]
        driver = Limit(bus, {"workers": pids[:workers], "orchestrator": pids[workers:]})
        await connection.subscribe("l.*.outcome", cb=driver._on_outcome)
        try:
            for stream, consumer, processes_of_it in ((LOG, COORDINATOR, coordinators), (WORK, WORKER, workers)):
                while (await jetstream.consumer_info(stream, consumer)).num_waiting < processes_of_it:
                    await asyncio.sleep(0.05)
            yield driver
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
