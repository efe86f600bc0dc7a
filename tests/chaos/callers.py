"""Those who submit tasks, and say so again where they are not heard: with what each shape of task needs besides."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from msgspec import structs
from nats.aio.client import Client as Nats
from tests.chaos import garbage
from tests.chaos.orders import Material, Submission, submission
from tests.chaos.plan import Order
from tests.chaos.verdict import OVERDUE

from concertino.client import Client
from concertino.contracts.errors import (
    CannotRedrive,
    ConcertinoError,
    DeadlineExceeded,
    QueueFull,
    TaskExists,
    TaskNotFound,
    Transient,
)
from concertino.contracts.subjects import Subjects

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds for which a caller tries."""
PAUSE = 0.5
COPIES = 3
"""Of a submission that is made at once from several sides."""


class Callers:
    """``client`` submits, ``nats`` says what no client would."""

    def __init__(self, client: Client, nats: Nats, subjects: Subjects, material: Material) -> None:
        self._client, self._nats, self._subjects, self._material = client, nats, subjects, material
        self.accepted: dict[str, Order] = {}
        """Tasks whose submission was acknowledged."""
        self.refused: dict[str, str] = {}
        """Tasks that were not taken, and why."""
        self.full = 0
        """Submissions that were refused because a queue was full, and made again later."""
        self.repeated = 0
        """Submissions that had to be made again."""
        self.wrong: list[str] = []
        """What should have been refused."""
        self.spoiled: set[tuple[str, str]] = set()
        """Facts, by task and name, where garbage was written as no service does: whether or not there was one already."""

    async def do(self, order: Order) -> None:
        """Submit the task of ``order``, and do to it what its shape says."""
        asked = submission(order, self._material)
        random = Random(order.seed)
        try:
            if order.shape == "twice":
                await asyncio.gather(*(self._submit(order, asked) for _ in range(COPIES)))
                await self._another(order, asked)
            else:
                await self._submit(order, asked)
        except ConcertinoError as e:
            self.refused[order.task] = f"{e.code}: {e}"
            return
        match order.shape:
            case "poison":
                await self._again(order)
            case "cancelled":
                await asyncio.sleep(random.uniform(0.2, 4.0))
                await self._persist(lambda: self._client.cancel(order.task, "chaos has changed its mind"))
            case "finished":
                await asyncio.sleep(random.uniform(0.2, 6.0))
                await self._persist(lambda: self._client.finish(order.task, "chaos has seen enough"))
            case "spoiled":
                for subject, data in garbage.about(order, self._subjects, random):
                    await asyncio.sleep(random.uniform(0.0, 0.5))
                    task, name = self._subjects.parse_fact(subject)
                    self.spoiled |= {(task, str(name)), (order.task, "")}
                    await self._nats.publish(subject, data)

    async def _submit(self, order: Order, asked: Submission) -> None:
        await self._persist(lambda: self._client.submit(asked.request, task=order.task, **asked.arguments()))
        self.accepted[order.task] = order

    async def _another(self, order: Order, asked: Submission) -> None:
        """Under an id that is taken, another task is refused."""
        try:
            await self._persist(lambda: self._client.submit(f"{asked.request} And why?", task=order.task, **asked.arguments()))
        except TaskExists:
            return
        self.wrong.append(f"{order.task}: another task was taken under its id")

    async def _again(self, order: Order) -> None:
        """What failed of it is run once more, as a task of its own. Where nothing did that is refused."""
        try:
            await self._persist(lambda: self._client.wait(order.task, order.deadline + OVERDUE))
        except DeadlineExceeded:
            return  # it is stuck: the verdict finds that in its log
        again = structs.replace(order, task=f"{order.task}-again", at=order.at + order.deadline)
        with contextlib.suppress(CannotRedrive):
            await self._persist(lambda: self._client.redrive(order.task, new=again.task))
            self.accepted[again.task] = again

    async def _persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """What ``call`` returns, however often it must be made: it may be repeated."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + PATIENCE
        while True:
            try:
                return await call()
            except (Transient, TaskNotFound) as e:
                if clock() > give_up:
                    raise
                self.repeated += 1
                self.full += isinstance(e, QueueFull)
                await asyncio.sleep(getattr(e, "after", None) or PAUSE)
