"""What clients of the twin share: streams, consumers, who listens, and the time."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable

from concertino.bus import blobs
from concertino.bus.memory.consumer import MemoryConsumer
from concertino.bus.memory.flow import MemoryConsumption, MemorySubscription
from concertino.bus.memory.stream import MemoryStream
from concertino.bus.port import Consumption, Handler, Headers, Listener, Stored
from concertino.bus.topology import Consumer, Stream
from concertino.bus.wildcards import matches
from concertino.contracts.errors import BusUnavailable, Refused

_QUIET = 10  # turns of the event loop without a word to the server, after which nothing more is coming by itself
_TICK = 0.01
_FIRED = {"Nats-Schedule-Next": "purge"}


class MemoryServer:
    """Streams and consumers of one process. ``clock`` gives Unix seconds; :meth:`advance` puts it forward.

    With the default clock leases end and schedules fire as time goes by. With one that stands still (``lambda: 1e9``) they do
    so when a test says so, and only then.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._offset = clock, 0.0
        self._streams: dict[str, MemoryStream] = {}
        self._consumers: dict[tuple[str, str], MemoryConsumer] = {}
        self._consumptions: list[MemoryConsumption] = []
        self._subscriptions: list[MemorySubscription] = []
        self._moments: list[float] = []
        self._timer: asyncio.TimerHandle | None = None
        self._words = 0

    # --- time

    def now(self) -> float:
        return self._clock() + self._offset

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, after what can happen without: what falls due happens in its order, each at its moment."""
        await self._settle()
        end = self.now() + seconds
        while self._moments and self._moments[0] <= end:
            self._put_forward(self._moments[0])
            await self._settle()
        self._put_forward(end)
        await self._settle()

    def _put_forward(self, moment: float) -> None:
        self._offset += max(0.0, moment - self.now())
        # Sums of floats may fall short of the moment they were made for.
        while self.now() < moment:
            self._offset += 1e-6
        self._tick()

    async def _settle(self) -> None:
        words, quiet = self._words, 0
        while quiet < _QUIET:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._words == words else 0
            words = self._words

    def at(self, moment: float) -> None:
        """Something may fall due at ``moment``."""
        heapq.heappush(self._moments, moment)
        if self._moments[0] == moment:
            self._arm()

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if self._moments:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(_TICK, self._moments[0] - self.now()), self._tick)

    def _tick(self) -> None:
        now = self.now()
        while self._moments and self._moments[0] <= now:
            heapq.heappop(self._moments)
        for stream in self._streams.values():
            due = sorted((s for s in stream.schedules.values() if s.at <= now), key=lambda s: s.at)
            for schedule in due:
                # Its message makes way for the one on its target.
                stream.purge(schedule.subject)
                self._append(stream, schedule.target, b"", {"Nats-Scheduler": schedule.subject, **_FIRED}, now)
        self.deliver()
        self._arm()

    # --- what there is

    def provision_stream(self, config: Stream) -> None:
        stream = self._streams.get(config.name)
        if stream is None:
            self._streams[config.name] = MemoryStream(config, self.now())
        elif stream.config.retention != config.retention:
            raise Refused(f"stream {config.name} cannot be provisioned: its retention cannot change")
        elif config.max_each:
            there = stream.queued(">")
            stream.config = config.fitting(there.limit, there.messages.values())
        else:
            stream.config = config
        for consumption in self._consumptions:
            if consumption.consumer.stream == config.name:
                self.provision_consumer(consumption.consumer)

    def provision_consumer(self, config: Consumer) -> None:
        consumer = self._consumers.get((config.stream, config.name))
        if consumer is None:
            self._consumers[config.stream, config.name] = MemoryConsumer(config, self.stream(config.stream))
        else:
            consumer.config = config
        self.deliver()

    def stream(self, name: str) -> MemoryStream:
        """The stream as it stands now. Raises :class:`BusUnavailable` where there is none of that name."""
        if name not in self._streams:
            raise BusUnavailable(f"there is no stream {name}: provision it first")
        self._streams[name].expire(self.now())
        return self._streams[name]

    def consumers(self, stream: str) -> list[MemoryConsumer]:
        return [consumer for (name, _), consumer in self._consumers.items() if name == stream]

    def consumer(self, config: Consumer) -> MemoryConsumer | None:
        return self._consumers.get((config.stream, config.name))

    # --- messages

    def publish(self, subject: str, data: bytes, headers: Headers, *, stored: bool) -> int | None:
        """Hand a message to whoever listens, and to the stream that takes its subject; its sequence there, None if refused.

        With ``stored`` there has to be one. Listeners hear of it before anybody knows whether it is stored, as on NATS.
        """
        self._words += 1
        blobs.check_size(subject, data, headers)
        for subscription in self._subscriptions:
            if matches(subscription.subject, subject):
                subscription.queue.put_nowait(Stored(subject, bytes(data), dict(headers), 0, 0.0))
        stream = next((s for s in self._streams.values() if s.takes(subject)), None)
        if stream is None:
            if stored:
                raise BusUnavailable(f"{subject}: no stream takes it: provision the streams first")
            return None
        now = self.now()
        stream.expire(now)
        sequence = self._append(stream, subject, data, headers, now)
        if subject in stream.schedules:
            self.at(stream.schedules[subject].at)
        self.deliver()
        return sequence

    def _append(self, stream: MemoryStream, subject: str, data: bytes, headers: Headers, now: float) -> int | None:
        """In ``stream``, and in those that have it as a source."""
        sequence = stream.append(subject, data, headers, now)
        if sequence is not None:
            for other in self._streams.values():
                if stream.config.name in other.config.sources:
                    other.copy(subject, data, headers, now)
        return sequence

    def subscribe(self, subject: str, listener: Listener) -> MemorySubscription:
        subscription = MemorySubscription(subject, listener, self._subscriptions.remove)
        self._subscriptions.append(subscription)
        return subscription

    def consume(self, consumer: Consumer, handler: Handler, slots: int, after: Consumption | None = None) -> MemoryConsumption:
        consumption = MemoryConsumption(self, consumer, handler, slots, after)
        self._consumptions.append(consumption)
        if consumer.stream in self._streams:
            self.provision_consumer(consumer)
        return consumption

    def stop_consuming(self, consumption: MemoryConsumption) -> None:
        if consumption in self._consumptions:
            self._consumptions.remove(consumption)

    def deliver(self) -> None:
        """Start handlers for what is there, as long as there are free slots; those who share a consumer take turns."""
        self._words += 1
        now = self.now()
        busy = True
        while busy:
            busy = False
            for consumption in self._consumptions:
                consumer = self.consumer(consumption.consumer)
                if consumer is None or consumption.free <= 0 or (found := consumer.next(now)) is None:
                    continue
                busy = True
                self.at(now + consumer.config.ack_wait)
                consumption.start(*found)
