"""A stream as JetStream keeps it, without time or tasks of its own: who calls says what time it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from concertino.bus.port import Headers, Queued, Stored
from concertino.bus.topology import Stream
from concertino.bus.wildcards import matches
from concertino.contracts.errors import MessageTooLarge, QueueFull, Refused
from concertino.contracts.subjects import Header


class Schedule(Struct, frozen=True):
    """A message on ``subject`` that becomes one on ``target`` at Unix time ``at``."""

    at: float
    subject: str
    target: str


class MemoryStream:
    """Messages of one stream in order, and what the server derives from their headers."""

    def __init__(self, config: Stream, made: float = 0.0) -> None:
        self.config, self.made = config, made
        self.last_sequence = 0
        self.schedules: dict[str, Schedule] = {}
        self._messages: dict[int, Stored] = {}
        self._by_subject: dict[str, dict[int, None]] = {}
        self._message_ids: dict[str, tuple[int, float]] = {}
        self._ends: dict[int, float] = {}
        """Of messages that say how long they are to be kept."""

    def takes(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.config.subjects)

    def append(self, subject: str, data: bytes, headers: Headers, now: float) -> int | None:
        """The sequence under which the message stands, an earlier one for a known message id. None: somebody was first."""
        limit = self.config.options.get("max_msg_size", -1)
        if 0 <= limit < len(data) + sum(len(k) + len(v) + 4 for k, v in headers.items()):
            raise MessageTooLarge(f"{subject}: larger than the {limit} bytes that stream {self.config.name} takes")
        schedule = self._schedule(subject, headers)
        if message_id := headers.get(Header.MESSAGE_ID):
            sequence, stored_at = self._message_ids.get(message_id, (0, 0.0))
            if sequence and now - stored_at < self.config.duplicate_window:
                return sequence
        expected = headers.get(Header.EXPECTED_LAST_SUBJECT_SEQUENCE)
        if expected is not None and int(expected) != self._newest(subject):
            return None
        if 0 < self.config.max_each <= len(self._by_subject.get(subject, ())):
            raise QueueFull(f"{subject}: the queue is full: try again later", after=2.0)
        if schedule or "Nats-Rollup" in headers or self.config.options.get("max_msgs_per_subject") == 1:
            self.purge(subject)
        if message_id:
            self._message_ids[message_id] = self.last_sequence + 1, now
        if schedule:
            self.schedules[subject] = schedule
        return self.copy(subject, data, headers, now)

    def copy(self, subject: str, data: bytes, headers: Headers, now: float) -> int:
        """Hold a message of a stream that this one has as a source: what its headers ask for was done there."""
        self.last_sequence += 1
        self._messages[self.last_sequence] = Stored(subject, bytes(data), dict(headers), self.last_sequence, now)
        self._by_subject.setdefault(subject, {})[self.last_sequence] = None
        if Header.TTL in headers and self.config.options.get("allow_msg_ttl"):
            self._ends[self.last_sequence] = now + int(headers[Header.TTL])
        return self.last_sequence

    def _newest(self, subject: str) -> int:
        """The sequence of the last message on ``subject``; 0 where there is none."""
        return next(reversed(self._by_subject.get(subject, {})), 0)

    def get(self, sequence: int) -> Stored | None:
        return self._messages.get(sequence)

    def select(self, accepts: Callable[[str], bool], after: int = 0) -> Iterator[Stored]:
        """Messages above sequence ``after`` whose subject is accepted, in order."""
        # From where it starts on, so that reading on costs what is new and not what is there.
        numbers: Iterable[int] = self._messages if after == 0 else range(after + 1, self.last_sequence + 1)
        return (m for n in list(numbers) if (m := self._messages.get(n)) is not None and accepts(m.subject))

    def last(self, pattern: str) -> list[Stored]:
        """The newest message of each subject that ``pattern`` means, in order."""
        if pattern in self._by_subject:
            return [self._messages[next(reversed(self._by_subject[pattern]))]]
        newest = (next(reversed(numbers)) for subject, numbers in self._by_subject.items() if matches(pattern, subject))
        return [self._messages[n] for n in sorted(newest)]

    def queued(self, pattern: str) -> Queued:
        """How full the subjects are that ``pattern`` means."""
        found = {subject: len(numbers) for subject, numbers in self._by_subject.items() if matches(pattern, subject)}
        return Queued(self.config.max_each or None, found, self.config.max_age or None, self.made)

    def remove(self, sequence: int) -> None:
        message = self._messages.pop(sequence, None)
        if message is None:
            return
        self._ends.pop(sequence, None)
        numbers = self._by_subject[message.subject]
        del numbers[sequence]
        if not numbers:
            del self._by_subject[message.subject]
            self.schedules.pop(message.subject, None)

    def purge(self, subject: str) -> None:
        for sequence in list(self._by_subject.get(subject, ())):
            self.remove(sequence)

    def expire(self, now: float) -> None:
        """Forget what is older than the stream keeps it, or than it was to be kept itself."""
        for sequence in [sequence for sequence, end in self._ends.items() if end <= now]:
            self.remove(sequence)
        for sequence, message in list(self._messages.items()):
            if not self.config.max_age or message.time + self.config.max_age > now:
                break
            self.remove(sequence)

    def _schedule(self, subject: str, headers: Mapping[str, str]) -> Schedule | None:
        if Header.SCHEDULE not in headers:
            return None
        target = headers.get(Header.SCHEDULE_TARGET, "")
        if not self.config.options.get("allow_msg_schedules") or not self.takes(target):
            raise Refused(f"{subject}: stream {self.config.name} takes no schedule for {target!r}")
        at = datetime.fromisoformat(headers[Header.SCHEDULE].removeprefix("@at ")).timestamp()
        return Schedule(at, subject, target)
