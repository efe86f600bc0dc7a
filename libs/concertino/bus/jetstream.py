"""The bus on NATS JetStream, by nats-py and raw API requests (nats-py has no helpers for most of what is used here)."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import nats.errors
import nats.micro
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from concertino.bus import blobs, calls
from concertino.bus.access import Access
from concertino.bus.api import (
    CONSUMER_NOT_FOUND,
    MESSAGE_NOT_FOUND,
    NAME_IN_USE,
    STREAM_NOT_FOUND,
    Api,
    Reply,
    TooManyResults,
    expect_no_error,
)
from concertino.bus.connection import ANYBODY, dial, hang_up, reason
from concertino.bus.delivery import JetStreamDelivery, passed_by, read_back
from concertino.bus.fastclient import FastClient
from concertino.bus.frames import Frame
from concertino.bus.port import Consumption, Entry, Handler, Headers, Listener, Parcel, Queued, Stored, Subscription
from concertino.bus.puller import Puller
from concertino.bus.requests import Outgoing
from concertino.bus.streams import Streams
from concertino.bus.topology import Consumer, Stream, Topology
from concertino.contracts.errors import BusUnavailable, InvalidMessage, QueueFull, Refused
from concertino.contracts.subjects import Header, Subjects

log = structlog.get_logger(__name__)

PATIENCE = 20.0
"""Seconds for which a call keeps trying while the server restarts or elects a leader."""
HEARTBEAT = 5.0
"""Seconds between the server's words on a pull request for which it has no message."""

_BATCH = {"batch": 10_000, "max_bytes": 8 * 1024 * 1024}
"""Of one read: bounds what the server queues for a slow reader."""

_DELETED = {"KV-Operation": "DEL"}


class JetStream:
    """The :class:`~concertino.bus.port.Bus` of one connection. Made by :meth:`connect`."""

    def __init__(self, nc: FastClient, subjects: Subjects, patience: float, heartbeat: float, provisions: bool) -> None:
        self._nc, self._subjects, self._heartbeat, self._provisions = nc, subjects, heartbeat, provisions
        self._denied: set[str] = set()
        self._api = Api(nc, patience, self._unanswered)
        self._streams = Streams(self._api)
        self._pullers: set[Puller] = set()
        self._on_reconnect: list[Callable[[], None]] = []
        self._closing = False

    @classmethod
    async def connect(
        cls,
        url: str,
        name: str,
        subjects: Subjects,
        *,
        patience: float = PATIENCE,
        heartbeat: float = HEARTBEAT,
        closed: Callable[[], None] = lambda: None,
        access: Access = ANYBODY,
        provisions: bool = True,
    ) -> JetStream:
        """A connection that reconnects for ever. ``closed`` is called when the server has ended it for good.

        Without the right to make streams and consumers (not ``provisions``) those that are asked for are only looked up.

        Every call of the bus is repeated for ``patience`` seconds before it fails, on a cluster for :data:`PATIENCE` at least:
        where one of its servers goes, nobody answers until the others have chosen who leads, which takes up to ten.
        Raises :class:`BusUnavailable` where nothing answers for as long, :class:`Refused` for wrong credentials,
        :class:`BadSetting` for a URL that is none.
        """
        bus: JetStream | None = None

        def lost() -> None:
            if bus:
                bus._api.requests.lost()

        def back() -> None:
            if bus:
                bus._reconnected()

        def ended() -> None:
            if bus is None or not bus._closing:
                closed()

        def denied(subject: str) -> None:
            if bus:
                bus._denied.add(subject)
                bus._api.requests.denied(subject)

        nc = await dial(url, name, patience=patience, lost=lost, back=back, closed=ended, denied=denied, access=access)
        if nc.clustered:
            patience = max(patience, PATIENCE)
        bus = cls(nc, subjects, patience, heartbeat, provisions)
        await bus._api.requests.start()
        return bus

    @property
    def connected(self) -> bool:
        return self._nc.is_connected

    async def answer_discovery(self, name: str, version: str) -> None:
        """Answer the NATS micro protocol (``$SRV.PING`` and its kin) as ``name``, so that ``nats micro ls`` shows the fleet."""
        await nats.micro.add_service(self._nc, name=name, version=version)

    # --- provisioning

    async def keep_provisioned(self) -> None:
        """Make streams that :meth:`provision` made anew as soon as one is deleted. (Else that is found out by whoever needs
        it and listens to it, and what is only read by others stays away.)"""

        async def deleted(_: Stored) -> None:
            self._streams.look()

        await self.subscribe(calls.STREAM_DELETED, deleted)

    async def provision(self, topology: Topology, *, shrinks: bool = True) -> None:
        """Not ``shrinks``: what is there is not kept for a shorter time, nor in fewer copies."""
        if not self._provisions:
            for consumer in topology.consumers:
                await self._expect_consumer(consumer)
            return
        for stream in topology.streams:
            self._streams.remember(await self._provision_stream(stream, shrinks=shrinks))
        for consumer in topology.consumers:
            await self._provision_consumer(consumer)

    async def _provision_stream(self, stream: Stream, *, shrinks: bool) -> Stream:
        reply = await self._api.call(calls.create_stream(stream.name), msgspec.json.encode(stream.config()))
        if reply.error and reply.error.err_code in NAME_IN_USE:
            if not shrinks:
                stream = await self._kept(stream)
            config = msgspec.json.encode(stream.config())
            if stream.max_each:
                there = await self.queued(stream.name, ">")
                fitting = stream.fitting(there.limit, there.messages.values())
                if fitting != stream:
                    log.warning("a queue holds too much for the new limit, so it keeps its old one: provision again later")
                elif there.limit != stream.max_each:
                    log.warning(
                        "CTN_MAX_QUEUED of this service takes the place of the limit that queues had: whoever provisions last "
                        "sets it for all, so it is to be the same everywhere",
                        before=there.limit,
                        now=stream.max_each,
                    )
                config = msgspec.json.encode(fitting.config())
            reply = await self._api.call(calls.update_stream(stream.name), config)
        expect_no_error(reply, f"stream {stream.name} cannot be provisioned")
        return stream

    async def keeps(self, stream: str) -> tuple[float, float] | None:
        """For how many seconds ``stream`` keeps messages (0: for ever), and the Unix time at which its oldest one was stored,
        infinite where it is empty. None where there is no such stream."""
        reply = await self._api.call(calls.stream_info(stream))
        if reply.error and reply.error.err_code == STREAM_NOT_FOUND:
            return None
        expect_no_error(reply, f"stream {stream} cannot be looked at")
        oldest = reply.state.first_ts.timestamp() if reply.state.messages and reply.state.first_ts else math.inf
        return reply.config.max_age / 1e9, oldest

    async def _kept(self, stream: Stream) -> Stream:
        reply = await self._api.call(calls.stream_info(stream.name))
        if reply.error:
            return stream  # whoever writes it next says what is wrong
        kept = stream.at_least(reply.config.max_age / 1e9, reply.config.num_replicas)
        if kept != stream:
            log.warning(
                "a stream is kept for longer, or in more copies, than CTN_KEEP and CTN_REPLICAS of this service say, and stays "
                "so: `python -m concertino.runtime.provision` makes it what they say",
                stream=stream.name,
            )
        return kept

    async def _provision_consumer(self, consumer: Consumer) -> None:
        request = msgspec.json.encode({"stream_name": consumer.stream, "config": consumer.config()})
        reply = await self._api.call(calls.create_consumer(consumer), request)
        expect_no_error(reply, f"consumer {consumer.name} cannot be provisioned")

    async def _expect_consumer(self, consumer: Consumer) -> None:
        reply = await self._api.call(calls.consumer_info(consumer))
        if reply.error and reply.error.err_code in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
            raise Refused(
                f"there is no consumer {consumer.name} of the stream {consumer.stream}, and this service is not to make it "
                "(CTN_PROVISION=false): run `python -m concertino.runtime.provision`, with its kind in the configuration file"
            )
        expect_no_error(reply, f"consumer {consumer.name} cannot be looked up")

    # --- streams

    async def _store(self, subject: str, data: bytes, headers: Headers) -> tuple[Reply, bool]:
        blobs.check_size(subject, data, headers)
        return await self._api.store(subject, data, headers)

    async def write_once(self, subject: str, data: bytes, headers: Headers | None = None) -> int | None:
        return await self._store_after(0, subject, data, headers or {})

    async def _store_after(self, sequence: int, subject: str, data: bytes, headers: Headers) -> int | None:
        """Store ``data`` where the last message on ``subject`` is that of ``sequence``. None: it is not."""
        expecting = {**headers, Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(sequence)}
        reply, repeated = await self._store(subject, data, expecting)
        if reply.error is None:
            return reply.seq
        if repeated:
            # The answer to an earlier attempt may have been lost: then what is there is what we wrote.
            stored = await self.newest(reply.stream, subject)
            if stored and stored.data == data and expecting.items() <= stored.headers.items():
                return stored.sequence
        return None

    async def enqueue(self, subject: str, data: bytes, message_id: str, headers: Headers | None = None) -> None:
        await self._store(subject, data, {**(headers or {}), Header.MESSAGE_ID: message_id})

    async def enqueue_each(self, parcels: Sequence[Parcel]) -> list[QueueFull | None]:
        for parcel in parcels:
            blobs.check_size(parcel.subject, parcel.data, parcel.headers)
        return await self._api.store_each(
            [Outgoing(p.subject, p.data, {**p.headers, Header.MESSAGE_ID: p.message_id}) for p in parcels]
        )

    async def overwrite(self, subject: str, data: bytes, headers: Headers) -> None:
        """Store ``data`` whatever is there: for what is the same bytes anyway."""
        await self._store(subject, data, headers)

    async def schedule(self, subject: str, at: float, target: str) -> None:
        await self._store(subject, b"", {Header.SCHEDULE: f"@at {_rfc3339(at)}", Header.SCHEDULE_TARGET: target})

    async def unschedule(self, subject: str) -> None:
        request = msgspec.json.encode({"filter": subject})
        expect_no_error(await self._api.call(calls.purge(self._subjects.timers_stream), request), "a timer cannot be removed")

    async def read(
        self, stream: str, subjects: str, after: int = 0, reach: int = 0, since: float | None = None
    ) -> list[Stored]:
        found: list[Stored] = []

        async def attempt() -> list[Stored]:
            pending = True
            while pending:
                start: dict[str, Any] = {"seq": found[-1].sequence + 1 if found else after + 1}
                if since is not None and not found:
                    start = {"start_time": _rfc3339(since)}
                messages, pending = await self._api.direct(stream, {**start, "next_by_subj": subjects, **_BATCH})
                found.extend(read_back(message) for message in messages)
            if reach > after and (not found or found[-1].sequence < reach) and not await self._gone(stream, reach):
                raise BusUnavailable(f"reading {subjects}: the replica that answered has not seen message {reach} yet")
            # By time the server starts where that time begins; the sequence is ours to respect.
            return [s for s in found if s.sequence > after] if since is not None and after else found

        return await self._api.patiently(attempt)

    async def newest(self, stream: str, subject: str) -> Stored | None:
        found = await self._api.patiently(lambda: self._api.newest(stream, subject))
        return read_back(found) if found else None

    async def pages(self, stream: str, subjects: str, since: float) -> AsyncIterator[Sequence[Stored]]:
        start: dict[str, Any] = {"start_time": _rfc3339(since)}
        pending = True
        while pending:
            messages, pending = await self._api.patiently(
                functools.partial(self._api.direct, stream, {**start, "next_by_subj": subjects, **_BATCH})
            )
            if messages:
                page = [read_back(message) for message in messages]
                start = {"seq": page[-1].sequence + 1}
                yield page

    async def count(self, stream: str, subjects: str) -> int:
        return await self._api.patiently(lambda: self._api.count(stream, subjects))

    async def _newest_of_each(self, stream: str, subjects: str) -> list[Stored]:
        async def attempt() -> list[Stored] | None:
            try:
                messages, _ = await self._api.direct(stream, {"multi_last": [subjects], "batch": 1024})
            except TooManyResults:
                return None
            return [read_back(message) for message in messages]

        stored = await self._api.patiently(attempt)
        if stored is None:
            # More subjects than the server answers for in one request.
            newest = {s.subject: s for s in await self.read(stream, subjects)}
            stored = sorted(newest.values(), key=lambda s: s.sequence)
        return stored

    async def _gone(self, stream: str, sequence: int) -> bool:
        """Whether message ``sequence`` was there once and is no more, in the words of the stream's leader."""
        info = await self._api.call(calls.stream_info(stream))
        if info.error or info.state.last_seq < sequence:
            return False
        reply = await self._api.call(calls.message(stream), msgspec.json.encode({"seq": sequence}))
        return reply.error is not None and reply.error.err_code == MESSAGE_NOT_FOUND

    async def depth(self, consumer: Consumer) -> tuple[int, int]:
        reply = await self._api.call(calls.consumer_info(consumer))
        if reply.error and reply.error.err_code in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
            return 0, 0
        expect_no_error(reply, f"consumer {consumer.name} cannot be read")
        return reply.num_pending, reply.num_ack_pending

    async def depths(self, stream: str) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        listed = 0
        while True:  # the server answers in pages
            reply = await self._api.call(calls.consumers(stream), msgspec.json.encode({"offset": listed}))
            if reply.error and reply.error.err_code == STREAM_NOT_FOUND:
                return {}
            expect_no_error(reply, f"the consumers of {stream} cannot be listed")
            assert isinstance(reply.consumers, tuple)
            found.update((c.name, (c.num_pending, c.num_ack_pending)) for c in reply.consumers)
            listed += len(reply.consumers)
            if not reply.consumers or listed >= reply.total:
                return found

    async def queued(self, stream: str, subjects: str) -> Queued:
        reply = await self._api.call(calls.stream_info(stream), msgspec.json.encode({"subjects_filter": subjects}))
        expect_no_error(reply, f"how full {stream} is cannot be read")
        limit = reply.config.max_msgs_per_subject if reply.config.discard_new_per_subject else 0
        made = reply.created.timestamp() if reply.created else 0.0
        return Queued(limit if limit > 0 else None, reply.state.subjects, reply.config.max_age / 1e9 or None, made)

    def consume(self, consumer: Consumer, handler: Handler, slots: int, after: Consumption | None = None) -> Consumption:
        assert after is None or isinstance(after, Puller)

        def handle(message: Frame) -> Coroutine[Any, Any, None] | None:
            return handler(JetStreamDelivery(self, message))

        async def hand_back(message: Frame, delay: float) -> None:
            await JetStreamDelivery(self, message).nak(delay)

        async def restore() -> None:
            await self._streams.restore()
            await self.provision(Topology(consumers=(consumer,)))

        puller = Puller(self._nc, calls.pull(consumer), handle, hand_back, restore, slots, self._heartbeat, after)
        self._pullers.add(puller)
        return puller

    async def settle(self, reply: str, word: bytes, *, confirm: bool = False) -> None:
        """The last word about a delivery, on the subject that came with it."""
        if confirm:
            await self._api.settle(reply, word)
        else:
            await self._send(reply, word)

    # --- blobs

    async def put_blob(self, owner: str, data: bytes) -> str:
        return await blobs.put(self, self._subjects, owner, data)

    async def get_blob(self, owner: str, digest: str) -> bytes | None:
        return await blobs.get(self, self._subjects, owner, digest)

    # --- buckets

    async def put_key(self, bucket: str, key: str, value: bytes) -> None:
        await self._store(calls.key(bucket, key), value, {})

    async def delete_key(self, bucket: str, key: str) -> None:
        await self._store(calls.key(bucket, key), b"", _DELETED)

    async def keys(self, bucket: str) -> dict[str, bytes]:
        prefix = calls.key(bucket, "")
        stored = await self._newest_of_each(calls.bucket_stream(bucket), prefix + ">")
        return {s.subject.removeprefix(prefix): s.data for s in stored if "KV-Operation" not in s.headers}

    async def get_key(self, bucket: str, key: str) -> Entry:
        stored = await self.newest(calls.bucket_stream(bucket), calls.key(bucket, key))
        if not stored:
            return Entry(None, 0)
        return Entry(None if "KV-Operation" in stored.headers else stored.data, stored.sequence)

    async def swap_key(self, bucket: str, key: str, value: bytes, revision: int) -> int | None:
        return await self._store_after(revision, calls.key(bucket, key), value, {})

    # --- not stored

    async def publish(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        blobs.check_size(subject, data, headers)
        await self._send(subject, data, headers)

    async def _send(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        try:
            await self._nc.publish(subject, data, headers=headers)
        except (nats.errors.BadSubjectError, nats.errors.BadHeaderError) as e:
            raise InvalidMessage(f"{subject!r} with headers {sorted(headers or ())} cannot be sent: {reason(e)}") from e
        except (nats.errors.Error, OSError) as e:
            raise BusUnavailable(f"{subject}: {reason(e)}") from e

    async def subscribe(self, subject: str, listener: Listener, *, confirm: bool = True) -> Subscription:
        async def on_message(message: Msg) -> None:
            try:
                await listener(passed_by(message))
            except Exception:
                log.exception("a listener failed", subject=subject)

        try:
            subscription = await self._nc.subscribe(subject, cb=on_message, pending_msgs_limit=-1, pending_bytes_limit=-1)
        except (nats.errors.Error, OSError) as e:
            raise BusUnavailable(f"{subject}: {reason(e)}") from e
        if confirm:
            # Subscribed is when the server knows: one round trip behind the SUB line makes sure of that.
            await self._api.call(calls.INFO)
            if subject.lower() in self._denied:
                raise Refused(f"the NATS user has no permission to listen to {subject!r}: see docs/security.md")
        return _Subscription(self._nc, subscription)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._on_reconnect.append(callback)

    async def close(self) -> None:
        self._closing = True
        await self._streams.stop()
        for puller in list(self._pullers):
            await puller.stop()
        await self._api.requests.stop()
        await hang_up(self._nc)

    # --- inside

    def _unanswered(self) -> None:
        self._streams.look()

    def _reconnected(self) -> None:
        for puller in self._pullers:
            puller.reconnected()
        for callback in self._on_reconnect:
            callback()


class _Subscription:
    def __init__(self, nc: FastClient, raw: NatsSubscription) -> None:
        self._nc, self._raw = nc, raw

    async def stop(self) -> None:
        # A closed connection has ended it, and a second stop is none.
        with contextlib.suppress(nats.errors.ConnectionClosedError, nats.errors.BadSubscriptionError):
            await self._raw.unsubscribe()


def _rfc3339(seconds: float) -> str:
    # Of ages before there was any message, the calendar knows only some.
    return datetime.fromtimestamp(max(0.0, seconds), UTC).isoformat().replace("+00:00", "Z")
