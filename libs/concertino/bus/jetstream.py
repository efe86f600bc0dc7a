"""The bus on NATS JetStream, by nats-py and raw API requests (nats-py has no helpers for most of what is used here)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import nats
import structlog
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from concertino.bus import blobs
from concertino.bus.port import Consumption, Handler, Headers, Listener, Stored, Subscription
from concertino.bus.puller import Puller
from concertino.bus.requests import Requests
from concertino.bus.topology import Consumer, Stream, Topology
from concertino.contracts.errors import BusUnavailable, MessageTooLarge, Refused
from concertino.contracts.subjects import Header, Subjects

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Error codes of the server (its errors.json).
WRONG_LAST_SEQUENCE = {10071, 10164}
NAME_IN_USE = {10058, 10148, 10013}
MESSAGE_TOO_LARGE = 10054
CONSUMER_NOT_FOUND, STREAM_NOT_FOUND = 10014, 10059
LIMIT_REACHED = 10077

PATIENCE = 20.0
"""Seconds for which a call keeps trying while the server restarts or elects a leader."""


class _ApiError(Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Reply(Struct):
    """What of the API's JSON replies is read here; the rest is ignored."""

    error: _ApiError | None = None
    seq: int = 0
    duplicate: bool = False
    num_pending: int = 0
    num_ack_pending: int = 0


_decode_reply = msgspec.json.Decoder(_Reply).decode
_PURGE_KEY = {"KV-Operation": "PURGE", "Nats-Rollup": "sub"}


class JetStream:
    """The :class:`~concertino.bus.port.Bus` of one connection. Made by :meth:`connect`."""

    def __init__(self, nc: Client, subjects: Subjects) -> None:
        self._nc, self._subjects = nc, subjects
        self._requests = Requests(nc)
        self._pullers: set[Puller] = set()
        self._on_reconnect: list[Callable[[], None]] = []

    @classmethod
    async def connect(
        cls,
        url: str,
        name: str,
        subjects: Subjects,
        *,
        patience: float = PATIENCE,
        closed: Callable[[], None] = lambda: None,
        tls: ssl.SSLContext | None = None,
        credentials: str | None = None,
    ) -> JetStream:
        """A connection that reconnects for ever. ``closed`` is called when the server has ended it for good.

        Raises :class:`BusUnavailable` where nothing answers within ``patience`` seconds.
        """
        bus: JetStream | None = None

        async def on_error(error: Exception) -> None:
            # Raising in here would kill nats-py's read loop without a word.
            log.warning("connection to the NATS server", error=str(error) or type(error).__name__)

        async def on_reconnected() -> None:
            if bus:
                bus._reconnected()

        async def on_closed() -> None:
            closed()

        options: dict[str, Any] = {
            "servers": url.split(","),
            "name": name,
            "allow_reconnect": False,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 0.25,
            "connect_timeout": 5,
            "ping_interval": 10,
            "max_outstanding_pings": 2,
            "pending_size": 8 * 1024 * 1024,
            "error_cb": on_error,
            "reconnected_cb": on_reconnected,
            "closed_cb": on_closed,
        }
        if tls:
            options["tls"] = tls
        if credentials:
            options["user_credentials"] = credentials
        clock = asyncio.get_running_loop().time
        give_up = clock() + patience
        while True:
            nc = Client()
            try:
                await nc.connect(**options)
                break
            except (OSError, TimeoutError, nats.errors.Error) as e:
                if clock() > give_up:
                    raise BusUnavailable(
                        f"no NATS server answers at {_without_password(url)} ({_reason(e)}): "
                        "start one with JetStream on (`nats-server -js`), or correct --nats or CTN_NATS_URL"
                    ) from e
                await asyncio.sleep(0.2)
        # The first connection fails fast; once it stood, it is worth coming back to for ever.
        nc.options["allow_reconnect"] = True
        bus = cls(nc, subjects)
        await bus._requests.start()
        return bus

    @property
    def connected(self) -> bool:
        return self._nc.is_connected

    # --- provisioning

    async def provision(self, topology: Topology) -> None:
        for stream in topology.streams:
            await self._provision_stream(stream)
        for consumer in topology.consumers:
            await self._provision_consumer(consumer)

    async def _provision_stream(self, stream: Stream) -> None:
        config = msgspec.json.encode(stream.config())
        reply = await self._api(f"STREAM.CREATE.{stream.name}", config)
        if reply.error and reply.error.err_code in NAME_IN_USE:
            reply = await self._api(f"STREAM.UPDATE.{stream.name}", config)
        _expect_no_error(reply, f"stream {stream.name} cannot be provisioned")

    async def _provision_consumer(self, consumer: Consumer) -> None:
        request = msgspec.json.encode({"stream_name": consumer.stream, "config": consumer.config()})
        path = f"CONSUMER.CREATE.{consumer.stream}.{consumer.name}"
        if len(consumer.filters) == 1:
            path += f".{consumer.filters[0]}"
        _expect_no_error(await self._api(path, request), f"consumer {consumer.name} cannot be provisioned")

    # --- streams

    async def write_once(self, subject: str, data: bytes, headers: Headers | None = None) -> int | None:
        once = {**(headers or {}), Header.EXPECTED_LAST_SUBJECT_SEQUENCE: "0"}
        reply = await self._store(subject, data, once)
        return None if reply.error else reply.seq

    async def enqueue(self, subject: str, data: bytes, message_id: str, headers: Headers | None = None) -> None:
        await self._store(subject, data, {**(headers or {}), Header.MESSAGE_ID: message_id})

    async def schedule(self, subject: str, at: float, target: str) -> None:
        when = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
        await self._store(subject, b"", {Header.SCHEDULE: f"@at {when}", Header.SCHEDULE_TARGET: target})

    async def unschedule(self, subject: str) -> None:
        request = msgspec.json.encode({"filter": subject})
        _expect_no_error(await self._api(f"STREAM.PURGE.{self._subjects.tasks_stream}", request), "a timer cannot be removed")

    async def _store(self, subject: str, data: bytes, headers: Mapping[str, str]) -> _Reply:
        """A stored message, or the reply that says that its subject is taken."""
        blobs.check_size(subject, data)

        async def attempt() -> _Reply:
            [message] = await self._requests.ask(subject, data, headers)
            reply = _decode_reply(message.data)
            if reply.error is None or reply.error.err_code in WRONG_LAST_SEQUENCE:
                return reply
            if reply.error.err_code == MESSAGE_TOO_LARGE:
                raise MessageTooLarge(f"{subject}: {reply.error.description}")
            if reply.error.err_code == LIMIT_REACHED:
                raise BusUnavailable(f"{subject}: the queue is full ({reply.error.description}): try again later")
            if 400 <= reply.error.code < 500 and reply.error.code not in (408, 429):
                raise Refused(f"{subject}: {reply.error.description} (code {reply.error.err_code})")
            raise BusUnavailable(f"{subject}: {reply.error.description} (code {reply.error.err_code})")

        return await self._patiently(attempt)

    async def read(self, stream: str, subjects: str, after: int = 0, reach: int = 0) -> list[Stored]:
        found: list[Stored] = []

        async def attempt() -> list[Stored]:
            while True:
                start = found[-1].sequence + 1 if found else after + 1
                request = {"seq": start, "batch": 10_000, "next_by_subj": subjects}
                *messages, end = await self._requests.ask(
                    f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(request), many=True
                )
                found.extend(_stored(message) for message in messages)
                status = (end.headers or {}).get("Status", "")
                if status not in ("204", "404"):
                    raise BusUnavailable(f"reading {subjects}: {status} {(end.headers or {}).get('Description', '')}")
                if status == "404" or (end.headers or {}).get("Nats-Num-Pending", "0") == "0":
                    break
            if reach > after and (not found or found[-1].sequence < reach):
                raise BusUnavailable(f"reading {subjects}: the replica that answered has not seen {reach} yet")
            return found

        return await self._patiently(attempt)

    async def last(self, stream: str, subjects: str) -> list[Stored]:
        request = msgspec.json.encode({"multi_last": [subjects], "batch": 1024})

        async def attempt() -> list[Stored]:
            *messages, end = await self._requests.ask(f"$JS.API.DIRECT.GET.{stream}", request, many=True)
            status = (end.headers or {}).get("Status", "")
            if status not in ("204", "404"):
                raise BusUnavailable(f"reading {subjects}: {status} {(end.headers or {}).get('Description', '')}")
            return [_stored(message) for message in messages]

        return await self._patiently(attempt)

    async def depth(self, consumer: Consumer) -> tuple[int, int]:
        reply = await self._api(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}", b"")
        if reply.error and reply.error.err_code in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
            return 0, 0
        _expect_no_error(reply, f"consumer {consumer.name} cannot be read")
        return reply.num_pending, reply.num_ack_pending

    def consume(self, consumer: Consumer, handler: Handler, slots: int) -> Consumption:
        async def handle(message: Msg) -> None:
            await handler(_Delivery(self, message))

        async def hand_back(message: Msg) -> None:
            await _Delivery(self, message).nak(1.0)

        async def restore() -> None:
            await self.provision(Topology(consumers=(consumer,)))

        subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"
        puller = Puller(self._nc, subject, handle, hand_back, restore, slots)
        self._pullers.add(puller)
        return puller

    # --- blobs

    async def put_blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        for subject, part, headers in blobs.parts(self._subjects.blob(digest), data):
            await self.write_once(subject, part, headers)
        return digest

    async def get_blob(self, digest: str) -> bytes | None:
        subject = self._subjects.blob(digest)
        stored = await self.last(self._subjects.blobs_stream, subject)
        if stored and (count := blobs.chunks_of(stored[0])):
            stored = await self.read(self._subjects.blobs_stream, f"{subject}.*")
            return blobs.join(stored, count, digest)
        return stored[0].data if stored and hashlib.sha256(stored[0].data).hexdigest() == digest else None

    # --- buckets

    async def put_key(self, bucket: str, key: str, value: bytes) -> None:
        await self._store(f"$KV.{bucket}.{key}", value, {})

    async def delete_key(self, bucket: str, key: str) -> None:
        await self._store(f"$KV.{bucket}.{key}", b"", _PURGE_KEY)

    async def keys(self, bucket: str) -> dict[str, bytes]:
        prefix = f"$KV.{bucket}."
        stored = await self.last(f"KV_{bucket}", prefix + ">")
        return {s.subject.removeprefix(prefix): s.data for s in stored if "KV-Operation" not in s.headers}

    # --- not stored

    async def publish(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        blobs.check_size(subject, data)
        try:
            await self._nc.publish(subject, data, headers=dict(headers) if headers else None)
        except (nats.errors.Error, OSError) as e:
            raise BusUnavailable(f"{subject}: {_reason(e)}") from e

    async def subscribe(self, subject: str, listener: Listener) -> Subscription:
        async def on_message(message: Msg) -> None:
            try:
                await listener(Stored(message.subject, message.data, message.headers or {}, 0, 0.0))
            except Exception:
                log.exception("a listener failed", subject=subject)

        subscription = await self._nc.subscribe(subject, cb=on_message, pending_msgs_limit=-1, pending_bytes_limit=-1)
        # Subscribed is when the server knows: one round trip behind the SUB line makes sure of that.
        await self._api("INFO", b"")
        return _Subscription(self._nc, subscription.unsubscribe)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._on_reconnect.append(callback)

    async def close(self) -> None:
        for puller in list(self._pullers):
            await puller.stop()
        await self._requests.stop()
        with contextlib.suppress(nats.errors.Error):
            await self._nc.close()

    # --- inside

    def _reconnected(self) -> None:
        for puller in self._pullers:
            puller.reconnected()
        for callback in self._on_reconnect:
            callback()

    async def _api(self, path: str, data: bytes) -> _Reply:
        async def attempt() -> _Reply:
            [message] = await self._requests.ask(f"$JS.API.{path}", data)
            reply = _decode_reply(message.data)
            if reply.error and reply.error.err_code in (10008, 10009):
                raise BusUnavailable(f"{path}: {reply.error.description}")
            return reply

        return await self._patiently(attempt)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try again while the server is away. Safe, as everything here may be repeated."""
        clock = asyncio.get_running_loop().time
        give_up, pause = clock() + PATIENCE, 0.05
        while True:
            try:
                return await attempt()
            except BusUnavailable:
                if self._nc.is_closed or clock() + pause > give_up:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    async def settle(self, message: Msg, word: bytes, *, confirm: bool = False) -> None:
        if confirm:
            await self._requests.ask(message.reply, word)
        else:
            await self._nc.publish(message.reply, word)


class _Delivery:
    def __init__(self, bus: JetStream, message: Msg) -> None:
        self._bus, self._raw = bus, message
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>[.<random>]
        tokens = message.reply.split(".")
        delivered, sequence, _, time = tokens[4:8] if len(tokens) == 9 else tokens[6:10]
        self.attempt = int(delivered)
        self.message = Stored(message.subject, message.data, message.headers or {}, int(sequence), int(time) / 1e9)

    async def ack(self, *, confirm: bool = False) -> None:
        await self._bus.settle(self._raw, b"+ACK", confirm=confirm)

    async def nak(self, delay: float = 0) -> None:
        word = b'-NAK {"delay": %d}' % int(delay * 1e9) if delay else b"-NAK"
        await self._bus.settle(self._raw, word)

    async def in_progress(self) -> None:
        await self._bus.settle(self._raw, b"+WPI")


class _Subscription:
    def __init__(self, nc: Client, unsubscribe: Callable[[], Awaitable[None]]) -> None:
        self._nc, self._unsubscribe = nc, unsubscribe

    async def stop(self) -> None:
        if self._nc.is_connected:
            await self._unsubscribe()


def _stored(message: Msg) -> Stored:
    headers = message.headers or {}
    return Stored(
        subject=headers[Header.SUBJECT],
        data=message.data,
        headers=headers,
        sequence=int(headers[Header.SEQUENCE]),
        time=datetime.fromisoformat(headers[Header.TIME_STAMP]).timestamp(),
    )


def _expect_no_error(reply: _Reply, what: str) -> None:
    if reply.error:
        raise BusUnavailable(f"{what}: {reply.error.description} (code {reply.error.err_code})")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _without_password(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
