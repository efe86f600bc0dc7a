"""The bus port: everything that services ask of NATS JetStream, in bytes. Two adapters, one contract suite.

:class:`~concertino.bus.jetstream.JetStream` is the real one, :class:`~concertino.bus.memory.MemoryBus` its twin in one process.
Both raise :class:`~concertino.contracts.errors.BusUnavailable` where the server does not answer in time; a call may then have
taken effect or not, and every call here may be repeated. What is too large for one message is refused with
:class:`~concertino.contracts.errors.MessageTooLarge` before it is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from concertino.bus.topology import Consumer, Topology
from concertino.contracts.errors import QueueFull

Headers: TypeAlias = Mapping[str, str]


class Stored(Struct, frozen=True):
    """A message as it stands in a stream, or as it passed by (then ``sequence`` is 0)."""

    subject: str
    data: bytes
    headers: Headers
    sequence: int
    time: float
    """Unix seconds at which the server stored it."""


class Entry(Struct, frozen=True):
    """A key of a bucket as it was read. ``value`` is None where there is none."""

    value: bytes | None
    revision: int
    """What :meth:`Bus.swap_key` is told, so that it replaces what was read and nothing newer."""


class Queued(Struct, frozen=True):
    """How full the subjects of a stream are, and how long what is there stays."""

    limit: int | None
    """Messages that one of them holds at the most; None: any number."""
    messages: Mapping[str, int]
    """By subject, those that wait or are being handled."""
    keep: float | None = None
    """Seconds after which a message is deleted; None: never."""
    made: float = 0.0
    """Unix time at which the stream was made. What was stored there before went with one that was deleted."""


class Parcel(Struct, frozen=True):
    """One of many messages that are enqueued at once. See :meth:`Bus.enqueue`."""

    subject: str
    data: bytes
    message_id: str
    headers: Headers


class Delivery(Protocol):
    """A message that a consumer handed to us. It comes back unless settled before its lease ends."""

    @property
    def message(self) -> Stored: ...

    @property
    def attempt(self) -> int:
        """How often it was delivered, this time included."""

    async def ack(self, *, confirm: bool = False) -> None:
        """Done. ``confirm`` waits until the server knows: for work whose repetition is dear."""

    async def nak(self, delay: float = 0) -> None:
        """Not done: deliver again, after ``delay`` seconds."""

    async def in_progress(self) -> None:
        """Keep the lease for another ``ack_wait``."""


Handler: TypeAlias = Callable[[Delivery], Coroutine[Any, Any, None] | None]
"""What there is to do about a delivery, which then goes on as a task of its own; None where there is nothing to wait for."""
Listener: TypeAlias = Callable[[Stored], Awaitable[None]]


class Consumption(Protocol):
    """Messages of one consumer, flowing to a handler."""

    @property
    def alive(self) -> bool:
        """False where nothing, not even an idle heartbeat, came from the server for too long."""

    @property
    def running(self) -> int:
        """Handlers at work."""

    async def stop(self) -> None:
        """Ask for nothing more; handlers that run go on. What was on its way and not handled yet goes back, at once."""


class Subscription(Protocol):
    async def stop(self) -> None: ...


class Bus(Protocol):
    @property
    def connected(self) -> bool: ...

    async def provision(self, topology: Topology) -> None:
        """Make streams, consumers and buckets what ``topology`` says. Harmless when repeated."""

    # --- streams

    async def write_once(self, subject: str, data: bytes, headers: Headers | None = None) -> int | None:
        """Store the first message on ``subject``. Its sequence, or None where there is one already: then nothing changes.

        Where the server's answer was lost, a message equal in bytes and headers counts as the one that this call wrote.
        """

    async def enqueue(self, subject: str, data: bytes, message_id: str, headers: Headers | None = None) -> None:
        """Store ``data``; a repetition with the same ``message_id`` within the duplicate window is dropped.

        Raises :class:`~concertino.contracts.errors.QueueFull`, at once, where ``subject`` holds as much as it may.
        """

    async def enqueue_each(self, parcels: Sequence[Parcel]) -> list[QueueFull | None]:
        """:meth:`enqueue` all of them at once, and say of each whether its subject is full: the others are stored.

        What else is wrong with one of them is raised, when it has been tried to store all.
        """

    async def schedule(self, subject: str, at: float, target: str) -> None:
        """Have the server store an empty message on ``target`` (of the same stream) at Unix time ``at``, once.

        It comes up to a third of a second late, and at once where the time is past. Until then the schedule itself is a message
        on ``subject``; a second one there replaces the first.
        """

    async def unschedule(self, subject: str) -> None:
        """Forget the schedule on ``subject``, if there is one."""

    async def read(
        self, stream: str, subjects: str, after: int = 0, reach: int = 0, since: float | None = None
    ) -> list[Stored]:
        """All messages on ``subjects`` (wildcards allowed) with a sequence above ``after``, in order.

        ``reach`` is the sequence of a message on ``subjects`` that the read must have seen: a replica that lags is asked again.
        Where that message was removed meanwhile, what is left is returned. ``since`` leaves out what was stored before that
        Unix time.
        """

    async def newest(self, stream: str, subject: str) -> Stored | None:
        """The newest message on ``subject``, one without wildcards: what a user may read who may not read the whole stream."""

    def pages(self, stream: str, subjects: str, since: float) -> AsyncIterator[Sequence[Stored]]:
        """What was stored on ``subjects`` from Unix time ``since`` on, in order, a part at a time: for what is too much to be
        held at once."""

    async def count(self, stream: str, subjects: str) -> int:
        """How many messages there are on ``subjects``, in the words of whichever replica answers."""

    async def depth(self, consumer: Consumer) -> tuple[int, int]:
        """Messages waiting, and messages delivered and not settled. (0, 0) where there is no such consumer.

        What was stored a moment ago may not be counted yet: the server tells its consumers of it after it has confirmed it.
        """

    async def depths(self, stream: str) -> dict[str, tuple[int, int]]:
        """The same of every consumer of ``stream``, by name. Empty where there is no such stream."""

    async def queued(self, stream: str, subjects: str) -> Queued:
        """How full those ``subjects`` of ``stream`` are that hold anything, in the words of its leader."""

    def consume(self, consumer: Consumer, handler: Handler, slots: int, after: Consumption | None = None) -> Consumption:
        """Hand messages to ``handler``, at most ``slots`` at once, for as long as the process lives and whatever happens to
        the connection, the server or the consumer in between. A handler settles its delivery itself.

        ``after`` is a consumption of the same bus that shares these slots and goes first: only what it leaves free is asked for
        here. What had been asked for before it filled them may still come, for a few seconds."""

    # --- blobs

    async def put_blob(self, owner: str, data: bytes) -> str:
        """Keep ``data`` for ``owner`` under its SHA-256, which is returned. Storing it twice is storing it once."""

    async def get_blob(self, owner: str, digest: str) -> bytes | None:
        """The bytes, checked against ``digest``; None where ``owner`` has no such blob (any more), or not all of it."""

    # --- buckets

    async def put_key(self, bucket: str, key: str, value: bytes) -> None: ...

    async def delete_key(self, bucket: str, key: str) -> None: ...

    async def keys(self, bucket: str) -> dict[str, bytes]:
        """All live keys with their values."""

    async def get_key(self, bucket: str, key: str) -> Entry:
        """The newest value that the replica which answers has seen."""

    async def swap_key(self, bucket: str, key: str, value: bytes, revision: int) -> int | None:
        """Store ``value`` where the key still stands at ``revision`` (0: there is none). The new revision, or None where
        somebody else was first: then nothing changes.

        Where the server's answer was lost, a value equal in bytes counts as the one that this call wrote: no two should be.
        """

    # --- not stored

    async def publish(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        """To whoever listens now. Not stored, not confirmed."""

    async def subscribe(self, subject: str, listener: Listener, *, confirm: bool = True) -> Subscription:
        """Call ``listener`` with every message on ``subject``, facts included. Active when this returns.

        Without ``confirm`` that costs no round trip: it is active before whatever is asked of the server after this returned,
        and nothing is said where the user has no permission.

        One message at a time, in order; what ``listener`` raises is logged. What the server stores because of a schedule does
        not pass by.
        """

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever messages may have been missed by subscriptions."""

    async def close(self) -> None: ...
