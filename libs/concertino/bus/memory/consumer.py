"""A durable pull consumer as JetStream keeps it: who has what on lease, and until when."""

from __future__ import annotations

from msgspec import Struct

from concertino.bus.memory.stream import MemoryStream
from concertino.bus.port import Stored
from concertino.bus.topology import Consumer
from concertino.bus.wildcards import matches


class _Lease(Struct):
    until: float
    delivered: int


class MemoryConsumer:
    """Position and leases of one consumer on ``stream``."""

    def __init__(self, config: Consumer, stream: MemoryStream) -> None:
        self.config, self._stream = config, stream
        self._position = 0
        self._leases: dict[int, _Lease] = {}

    def next(self, now: float) -> tuple[Stored, int] | None:
        """The message to deliver now and how often that makes it; its lease runs from now. None: there is nothing."""
        for sequence, lease in list(self._leases.items()):
            message = self._stream.get(sequence)
            if message is None:
                del self._leases[sequence]
            elif lease.until <= now:
                lease.until, lease.delivered = now + self.config.ack_wait, lease.delivered + 1
                return message, lease.delivered
        if len(self._leases) >= self.config.max_ack_pending:
            return None
        message = next(self._stream.select(self._accepts, self._position), None)
        if message is None:
            self._position = self._stream.last_sequence
            return None
        self._position = message.sequence
        self._leases[message.sequence] = _Lease(now + self.config.ack_wait, 1)
        return message, 1

    def acknowledge(self, sequence: int) -> None:
        if self._leases.pop(sequence, None) and self._stream.config.retention == "workqueue":
            self._stream.remove(sequence)

    def extend(self, sequence: int, until: float) -> None:
        """The lease of a message ends at ``until``: later for one in progress, sooner for one handed back."""
        if lease := self._leases.get(sequence):
            lease.until = until

    def depth(self) -> tuple[int, int]:
        """Messages never delivered, and messages delivered and not settled."""
        waiting = sum(1 for _ in self._stream.select(self._accepts, self._position))
        return waiting, sum(1 for sequence in self._leases if self._stream.get(sequence))

    def _accepts(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.config.filters)
