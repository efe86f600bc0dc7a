"""The log of facts: typed messages of one task, written once, read in order, and followed without a gap."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import structlog

from concertino.bus.port import Bus, Parcel, Stored
from concertino.contracts.codec import MAX_MESSAGE, decode, encode, schema_of
from concertino.contracts.errors import BusUnavailable, Invalid, InvalidMessage, QueueFull
from concertino.contracts.facts import Fact, read_fact, unreadable_fact
from concertino.contracts.messages import Checkpoint, Lane, Message, Outcome, Progress, Submitted, Work
from concertino.contracts.subjects import Header, Subjects
from concertino.telemetry import tracing

log = structlog.get_logger(__name__)

INLINE = 32 * 1024
"""Bytes up to which a payload travels in its message; what is larger is kept as a blob and travels by its digest.

An outcome travels inline for as long as it fits a message: whoever has nothing but a NATS client reads it, too."""

_INLINE: Mapping[type[Message], int] = {
    Outcome: MAX_MESSAGE,
    # Of no use for long, and a blob is kept for as long as the log.
    Checkpoint: MAX_MESSAGE // 2,
    # Its caller waits until it is stored, then until a coordinator has it, which takes its lane from what is delivered: a plan
    # of a thousand subtasks is not stored, and fetched, beside the one message that names it.
    Submitted: MAX_MESSAGE // 4,
}

_FIRST_PAUSE, _LOOK_AGAIN = 0.001, 2.0
"""Seconds between looks at the log: for a fact that just passed by, and where nothing happens."""

_LAG = (0.05, 0.2, 0.75)
"""Seconds between looks for a blob that a replica may not have yet."""

_SHA_256 = re.compile("[0-9a-f]{64}")


class TaskLog:
    """The facts of every task on ``bus``. What is written carries the trace that is going on."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus, self._subjects = bus, subjects

    async def write(self, task: str, name: str, message: Message) -> bool:
        """Store the fact ``name``. False: there is one already, and it stays."""
        return await self.store(task, name, message) is not None

    async def store(self, task: str, name: str, message: Message) -> int | None:
        """:meth:`write`, and the sequence at which it stands. None: there was one already."""
        subject = self._subjects.fact(task, name)
        data, headers = encode(message), self._headers(type(message))
        if len(data) > _INLINE.get(type(message), INLINE):
            data, headers = await self._large(data, headers, self._subjects.parse_fact(subject)[1].writer)
        return await self._bus.write_once(subject, data, headers)

    async def enqueue(self, lane: Lane, *work: Work) -> list[QueueFull | None]:
        """Put each of ``work`` into the queue of its kind, and say of each if that is full. The same attempt twice is once."""
        data = [encode(one) for one in work]
        large = [i for i, payload in enumerate(data) if len(payload) > INLINE]
        headers = dict.fromkeys(range(len(work)), self._headers(Work))
        packed = await asyncio.gather(*(self._large(data[i], headers[i], work[i].brief.kind) for i in large))
        for i, (payload, named) in zip(large, packed, strict=True):
            data[i], headers[i] = payload, named
        return await self._bus.enqueue_each(
            [
                Parcel(
                    self._subjects.work(lane, one.brief.kind),
                    data[i],
                    self._subjects.message_id(one.task, one.id, one.attempt),
                    headers[i],
                )
                for i, one in enumerate(work)
            ]
        )

    async def read(self, task: str, after: int = 0, reach: int = 0) -> list[Fact]:
        """The facts after sequence ``after``, in order, at least as far as sequence ``reach``."""
        stored = await self._bus.read(self._subjects.tasks_stream, self._subjects.task(task), after, reach)
        return [await self.fact_in(s) for s in stored]

    async def read_one(self, task: str, name: str) -> Fact | None:
        """One fact, if it is there."""
        stored = await self._bus.newest(self._subjects.tasks_stream, self._subjects.fact(task, name))
        return await self.fact_in(stored) if stored else None

    async def read_known(self, task: str, name: str) -> Fact:
        """One fact of which the server said that it is there. Raises :class:`BusUnavailable` where those that are read lag."""
        for pause in (*_LAG, 0.0):
            if fact := await self.read_one(task, name):
                return fact
            await asyncio.sleep(pause)
        raise BusUnavailable(f"{name} of {task} is there, and the server that was read has not seen it yet: try again")

    async def fact_in(self, message: Stored) -> Fact:
        """The fact in a message of the log, as it stands there: what cannot be read is a fact, too."""
        _, name = self._subjects.parse_fact(message.subject)
        try:
            data = await self._payload(message, name.writer) if Header.BLOB in message.headers else message.data
        except InvalidMessage as e:
            return unreadable_fact(name, e, message.headers, message.sequence, message.time)
        return read_fact(name, data, message.headers, message.sequence, message.time)

    async def work_in(self, message: Stored) -> Work:
        """The work in a delivery. Raises :class:`InvalidMessage` and :class:`UnknownSchema`."""
        data = message.data
        if Header.BLOB in message.headers:
            data = await self._payload(message, self._subjects.queue_of(message.subject))
        return decode(Work, data, message.headers.get(Header.SCHEMA))

    async def write_checkpoint(self, subject: str, checkpoint: Checkpoint, life: int) -> bool:
        """Store ``checkpoint`` for ``life`` seconds. False: there is one on that subject already, and it stays."""
        data, headers = encode(checkpoint), self._headers(Checkpoint)
        if len(data) > _INLINE[Checkpoint]:
            data, headers = await self._large(data, headers, self._subjects.checkpoint_of(subject))
        return await self._bus.write_once(subject, data, {**headers, Header.TTL: str(life)}) is not None

    async def checkpoint_in(self, message: Stored) -> Checkpoint:
        """The checkpoint in a message. Raises :class:`InvalidMessage` and :class:`UnknownSchema`."""
        payload = await self._payload(message, self._subjects.checkpoint_of(message.subject))
        return decode(Checkpoint, payload, message.headers.get(Header.SCHEMA))

    @asynccontextmanager
    async def follow(self, task: str) -> AsyncIterator[AsyncIterator[Fact | Progress]]:
        """Everything about ``task`` from its first fact on, as it happens, and what its workers say they are doing.

        Subscribe first, then read, then wait: nothing falls between. A fact that passed by is read until the log has it; and
        the log is looked at now and then anyway, since what passes by while the connection is down does so unseen. A bus
        that is away is waited for: bound it where you must not wait for ever.
        """
        queue: asyncio.Queue[Progress | None] = asyncio.Queue()
        passed: set[str] = set()

        async def on_fact(message: Stored) -> None:
            # It passes by while the server stores it, or refuses it: what counts is what the log says of that name.
            passed.add(str(self._subjects.parse_fact(message.subject)[1]))
            queue.put_nowait(None)

        async def on_progress(message: Stored) -> None:
            try:
                queue.put_nowait(decode(Progress, message.data, message.headers.get(Header.SCHEMA)))
            except Invalid as e:
                log.debug("progress that cannot be read", subject=message.subject, error=str(e))

        subscriptions = [
            await self._bus.subscribe(self._subjects.task(task), on_fact),
            await self._bus.subscribe(self._subjects.progress(task), on_progress),
        ]
        try:
            yield self._events(task, queue, passed)
        finally:
            for subscription in subscriptions:
                await subscription.stop()

    async def _events(
        self, task: str, queue: asyncio.Queue[Progress | None], passed: set[str]
    ) -> AsyncIterator[Fact | Progress]:
        sequence, seen, pause = 0, set[str](), _FIRST_PAUSE
        while True:
            try:
                facts = await self.read(task, sequence)
            except BusUnavailable as e:
                log.warning("the log cannot be read, trying again", task=task, error=str(e))
                await asyncio.sleep(_LOOK_AGAIN)
                continue
            for fact in facts:
                sequence = fact.sequence
                seen.add(str(fact.name))
                yield fact
            passed -= seen
            if pause >= _LOOK_AGAIN:
                passed.clear()  # refused, or it would be there by now
            try:
                while (item := await asyncio.wait_for(queue.get(), pause if passed else _LOOK_AGAIN)) or passed <= seen:
                    if item:
                        yield item
                pause = _FIRST_PAUSE
            except TimeoutError:
                pause = min(pause * 2, _LOOK_AGAIN)

    def _headers(self, type_: type[Message]) -> dict[str, str]:
        return {Header.SCHEMA: schema_of(type_), **tracing.headers()}

    async def _large(self, data: bytes, headers: Mapping[str, str], owner: str) -> tuple[bytes, dict[str, str]]:
        """What travels in the place of ``data``, which is kept as a blob."""
        digest = await self._bus.put_blob(owner, data)
        return msgspec.json.encode({"blob": digest, "size": len(data)}), {**headers, Header.BLOB: digest}

    async def _payload(self, message: Stored, owner: str) -> bytes:
        """The bytes of ``message``, or ``owner``'s blob in their place. Raises :class:`InvalidMessage` where there is none."""
        digest = message.headers.get(Header.BLOB)
        if digest is None:
            return message.data
        if not _SHA_256.fullmatch(digest):
            raise InvalidMessage(f"{message.subject}: the header {Header.BLOB} holds no SHA-256")
        # A blob is stored before whatever names it: one that is not there is lost, unless the replica that was asked lags.
        for pause in _LAG:
            if (data := await self._bus.get_blob(owner, digest)) is not None:
                return data
            await asyncio.sleep(pause)
        raise InvalidMessage(f"{message.subject}: its payload, blob {digest[:12]}…, is not there (any more)")
