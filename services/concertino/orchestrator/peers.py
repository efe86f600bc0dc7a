"""The coordinators beside this one: of each task one reads the log, whoever the server gives its triggers to.

Any replica may handle any trigger, and all of them may at once: that is safe, and dear, as each would read and fold the whole
log of every task. So a trigger is *handed* to the one whose task it is: the one with the highest number by a hash of its name
and the task's, among those that were heard a moment ago. Whoever hands keeps the delivery, and settles it as it is told.

What is to be said to the same replica in one turn of the event loop is said in one message, unless it is of the release before.

Nothing rests on this. Who is not answered does it itself, who is not known is not asked, and a trigger that comes again is
handled where it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar

import structlog

from concertino.bus.port import Bus, Stored, Subscription
from concertino.contracts.codec import decode, encode
from concertino.contracts.errors import BusUnavailable, ConcertinoError, Invalid, Refused
from concertino.contracts.messages import Asked, Look, Looked, Message, Present, Told
from concertino.contracts.subjects import Header, Subjects
from concertino.orchestrator.outbox import Outbox
from concertino.runtime.clock import Clock

M = TypeVar("M", bound=Message)

HERE = 1.0
"""Seconds between words that a replica is there."""
GONE = 3.5
"""Seconds of silence after which it is not asked any more."""
ANSWERED = 3.0
"""Seconds within which it answers: less than the lease of what it is asked about."""
KNOWN = 10_000
"""Tasks of which it is kept whose they are."""
MANY = 100
"""Of what is said to one, in one message: names of tasks as long as the server allows still fit."""

log = structlog.get_logger(__name__)


class Handed:
    """A :class:`~concertino.bus.port.Delivery` that a peer holds: it settles its own as it is told here."""

    attempt = 1

    def __init__(self, subject: str, asked: Asked, answer: Callable[[float | None], None]) -> None:
        self.message, self.begins = Stored(subject, b"", {}, asked.reach, 0.0), asked.begins
        self._answer = answer

    async def ack(self, *, confirm: bool = False) -> None:
        self._answer(None)

    async def nak(self, delay: float = 0) -> None:
        self._answer(delay)

    async def in_progress(self) -> None:
        """Its lease is kept by whoever holds it."""


class Peers:
    """What one replica knows of the others. ``take`` is given what they hand over, ``done`` says up to which sequence all that
    follows from a task is done here, and ``more`` is called when there is one more of them. ``clock`` never jumps."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        take: Callable[[str, Handed], Coroutine[Any, Any, None] | None],
        done: Callable[[str], int],
        more: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._bus, self._subjects, self._clock = bus, subjects, clock
        self._take, self._done, self._more = take, done, more
        self.name = secrets.token_hex(6)
        self._heard: dict[str, float] = {}
        self._sharing: list[str] = []
        self._owners: dict[str, str] = {}
        """Whose tasks are, among those."""
        self._numbers = itertools.count(1)
        self._many: set[str] = set()
        """Who reads several in one message."""
        self._asked: dict[int, tuple[str, asyncio.Future[Told | None]]] = {}
        self._questions = Outbox(self._ask, self._together)
        self._answers = Outbox(self._answer, self._together)
        self._taking: set[asyncio.Task[None]] = set()
        self._subscriptions: list[Subscription] = []
        self._being: asyncio.Task[None] | None = None
        self._leaving = False

    def start(self) -> None:
        """Be there for others from now on, as soon as the bus is."""
        self._being = asyncio.create_task(self._be())

    @property
    def others(self) -> list[str]:
        """Who was heard a moment ago."""
        since = self._clock() - GONE
        return [name for name, heard in self._heard.items() if heard >= since]

    def owner(self, task: str) -> str | None:
        """Whose ``task`` is, if it is not ours."""
        others = self.others
        if others != self._sharing:
            self._sharing = others
            self._owners.clear()
        if not others:
            return None
        owner = self._owners.get(task)
        if owner is None:
            owner = max(self.name, *others, key=lambda name: blake2b(f"{name} {task}".encode(), digest_size=8).digest())
            if len(self._owners) >= KNOWN:
                self._owners.clear()
            self._owners[task] = owner
        return owner if owner != self.name else None

    async def hand(self, owner: str, task: str, reach: int, *, begins: int = 0) -> Told | None:
        """Have ``owner`` look at ``task`` up to sequence ``reach``, and return what it says; None where it says nothing.
        It ``begins`` at the sequence where it was just submitted."""
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Told | None] = loop.create_future()
        self._asked[number] = owner, answer
        self._questions.post(owner, Asked(number=number, task=task, reach=reach, begins=begins))
        patience = loop.call_later(ANSWERED, self._silent, owner, number)
        try:
            return await answer
        finally:
            patience.cancel()
            del self._asked[number]

    def _silent(self, owner: str, number: int) -> None:
        if self._heard.pop(owner, None) is not None:  # said once, whatever else it was asked
            log.warning("another orchestrator did not answer: its tasks are handled here while it is silent", peer=owner)
        self._hear(number, None)

    async def leave(self) -> None:
        """Be asked no more, nor by who comes now."""
        self._leaving = True
        if self._being is None:
            return
        self._being.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._being
        if self._subscriptions:
            with contextlib.suppress(BusUnavailable):
                await self._say(self._subjects.coordinator("here"), Present(replica=self.name, leaving=True))

    async def stop(self) -> None:
        """Hear nothing more, once all is said. What is asked still is answered by nobody."""
        await self._questions.sent()
        await self._answers.sent()
        for subscription in self._subscriptions:
            await subscription.stop()
        self._subscriptions.clear()
        self._forget(*list(self._heard))

    async def _be(self) -> None:
        while not self._subscriptions:
            try:
                self._subscriptions += [
                    await self._bus.subscribe(self._subjects.coordinator("looked", self.name), self._on_looked),
                    await self._bus.subscribe(self._subjects.coordinator("look", self.name), self._on_look),
                    await self._bus.subscribe(self._subjects.coordinator("here"), self._on_present),
                ]
            except Refused as e:
                log.warning("orchestrators cannot share tasks out, so each reads all logs: renew the users", error=str(e))
                return
            except BusUnavailable as e:
                log.warning("other orchestrators cannot be heard yet", error=str(e))
                await asyncio.sleep(HERE)
        while True:
            await self._be_heard()
            await asyncio.sleep(HERE)
            self._forget(*(self._heard.keys() - set(self.others)))

    async def _be_heard(self) -> None:
        try:
            await self._say(self._subjects.coordinator("here"), Present(replica=self.name, many=True))
        except BusUnavailable as e:
            log.debug("other orchestrators cannot be told", error=str(e))

    def _forget(self, *gone: str) -> None:
        for name in gone:
            self._heard.pop(name, None)
            self._many.discard(name)
        for owner, answer in self._asked.values():
            if owner in gone and not answer.done():
                answer.set_result(None)

    async def _on_present(self, message: Stored) -> None:
        found = _read(Present, message)
        if found is None or found.replica == self.name:
            return
        if found.leaving:
            self._forget(found.replica)
            return
        new = found.replica not in self.others
        self._heard[found.replica] = self._clock()
        if found.many:
            self._many.add(found.replica)
        if new:
            self._more()
            log.info("another orchestrator is here: each task is one's", peer=found.replica)
            if not self._leaving:
                await self._be_heard()

    async def _on_look(self, message: Stored) -> None:
        if (look := _read(Look, message)) is None:
            return
        for asked in (look, *look.more):
            handed = Handed(message.subject, asked, partial(self._tell, look.replica, asked))
            if handling := self._take(asked.task, handed):
                taking = asyncio.create_task(handling)
                self._taking.add(taking)
                taking.add_done_callback(self._taking.discard)

    def _tell(self, replica: str, asked: Asked, retry: float | None) -> None:
        self._answers.post(replica, Told(number=asked.number, retry=retry, seen=self._done(asked.task)))

    async def _on_looked(self, message: Stored) -> None:
        if (looked := _read(Looked, message)) is None:
            return
        for told in (looked, *looked.more):
            self._hear(told.number, told)

    def _hear(self, number: int, told: Told | None) -> None:
        _, answer = self._asked.get(number, ("", None))
        if answer and not answer.done():
            answer.set_result(told)

    async def _ask(self, owner: str, few: tuple[Asked, ...]) -> None:
        """Questions that cannot be asked are answered by nobody."""
        first = few[0]
        look = Look(
            replica=self.name, number=first.number, task=first.task, reach=first.reach, begins=first.begins, more=few[1:]
        )
        try:
            await self._say(self._subjects.coordinator("look", owner), look)
        except BusUnavailable:
            for asked in few:
                self._hear(asked.number, None)
        except Invalid as e:
            log.warning("somebody who is no orchestrator says to be one", peer=owner, error=str(e))
            self._forget(owner)

    async def _answer(self, replica: str, few: tuple[Told, ...]) -> None:
        first = few[0]
        looked = Looked(number=first.number, retry=first.retry, seen=first.seen, more=few[1:])
        try:
            await self._say(self._subjects.coordinator("looked", replica), looked)
        except ConcertinoError as e:
            log.warning("another orchestrator cannot be answered: it does itself what it asked for", error=str(e))

    def _together(self, replica: str) -> int:
        return MANY if replica in self._many else 1

    async def _say(self, subject: str, message: Message) -> None:
        await self._bus.publish(subject, encode(message))


def _read(type_: type[M], message: Stored) -> M | None:
    try:
        return decode(type_, message.data, message.headers.get(Header.SCHEMA))
    except Invalid as e:
        log.debug("another orchestrator cannot be understood", subject=message.subject, error=str(e))
        return None
