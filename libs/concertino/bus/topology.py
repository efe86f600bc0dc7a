"""What has to exist on the server, as data: streams, consumers and buckets of one installation.

Services provision what they need when they start; in a cluster a job does it for them and they need no right to
(``CTN_PROVISION=false``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from concertino.contracts.codec import MAX_MESSAGE
from concertino.contracts.messages import Lane
from concertino.contracts.subjects import FINISH, HALTED, LANES, Subjects

DAY = 86_400.0
LEASE = 15.0
"""Seconds after which work of a worker that fell silent is given to another. Kept by a heartbeat at a third of it."""

# A coordinator settles a delivery in milliseconds: what it has not settled by then it will never settle.
COORDINATOR_LEASE = 5.0

ANNOUNCEMENT_LIFE = 30.0
"""Seconds for which a worker's announcement stands unless renewed."""

_ROOM = 0.9
"""Of a new limit, what may be in use already: more may come while it is being set."""

MAX_HEADERS = 64 * 1024
"""Bytes in the headers of one message, on top of :data:`~concertino.contracts.codec.MAX_MESSAGE`."""

BLOB_REFRESH = 3600.0
"""Seconds after which a blob that is put again is stored anew. Blobs are kept this much longer than the log of a task, so
that what a task puts is there for as long as the task's log, whoever stored the same bytes before."""

MAX_QUEUED = 100_000
"""Pieces of work, waiting or under way, that one queue holds at the most."""

FACTS = (
    *("submitted", "plan.*", "dispatched.*", "result.*.*", "synthesis.*"),
    # Of a plan or a report, and of a result.
    *("returned.*.*.*", "returned.*.*.*.*", "spent.*.*.*", "spent.*.*.*.*", "begun.*.*.*", "begun.*.*.*.*"),
    *("again.*", "cancel", FINISH, "overdue.*", "outcome", HALTED),
)
TIMERS = ("timer.*", "due.*")
"""Facts, too, in a stream of their own, from which the log takes them. A stream with schedules lets whoever may write to any of
its subjects write to all of them (by a schedule with that target), and delete everything (by a roll-up)."""
TRIGGERS = ("submitted", "plan.*", "begun.*.*.*.*", "result.*.*", "synthesis.*", "cancel", FINISH, "due.*", "overdue.*")
"""Facts after which there may be something to do. (A subtask's work that goes on for long may be worth a second attempt.)"""


class Stream(Struct, frozen=True):
    """A stream; ``options`` are further fields of the server's own stream configuration."""

    name: str
    subjects: tuple[str, ...]
    max_age: float
    """Seconds that a message stays; 0: until it is deleted."""
    retention: str = "limits"
    replicas: int = 1
    duplicate_window: float = 120.0
    sources: tuple[str, ...] = ()
    """Streams whose messages it holds, too, under their own subjects."""
    max_each: int = 0
    """Messages on each subject at the most: the server refuses more, and keeps what is there. 0: any number."""
    options: dict[str, Any] = {}

    def config(self) -> dict[str, Any]:
        """The server's JSON. Durations in nanoseconds."""
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": self.retention,
            "storage": "file",
            "discard": "new" if self.retention == "workqueue" else "old",
            "max_age": _ns(self.max_age),
            "duplicate_window": _ns(min(self.duplicate_window, self.max_age or self.duplicate_window)),
            "num_replicas": self.replicas,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_consumers": -1,
            **({"max_msgs_per_subject": self.max_each, "discard_new_per_subject": True} if self.max_each else {}),
            **({"sources": [{"name": name} for name in self.sources]} if self.sources else {}),
            **self.options,
        }

    def fitting(self, limit: int | None, messages: Iterable[int]) -> Stream:
        """This, for a stream that has ``limit`` now and so many ``messages`` on its subjects: with the limit that it has, where
        one of them holds about as much as the new one allows. The server would delete the rest, which it had accepted."""
        if max(messages, default=0) <= self.max_each * _ROOM:
            return self
        return structs.replace(self, max_each=max(limit, self.max_each) if limit else 0)

    def at_least(self, max_age: float, replicas: int) -> Stream:
        """This, with nothing taken from a stream that keeps messages for ``max_age`` (0: for ever), in so many copies."""
        longest = max(max_age, self.max_age) if max_age and self.max_age else 0
        return structs.replace(self, max_age=longest, replicas=max(replicas, self.replicas))


class Consumer(Struct, frozen=True):
    """A durable pull consumer. ``ack_wait`` is the lease, in seconds."""

    stream: str
    name: str
    filters: tuple[str, ...]
    ack_wait: float
    max_ack_pending: int = 20_000

    def config(self) -> dict[str, Any]:
        """The server's JSON. No ``max_deliver``: the runtime ends poison itself, where it leaves a trace in the log."""
        return {
            "durable_name": self.name,
            "name": self.name,
            "ack_policy": "explicit",
            "deliver_policy": "all",
            "ack_wait": _ns(self.ack_wait),
            "max_deliver": -1,
            "max_ack_pending": self.max_ack_pending,
            "max_waiting": 512,
            **({"filter_subject": self.filters[0]} if len(self.filters) == 1 else {"filter_subjects": list(self.filters)}),
        }


class Topology(Struct, frozen=True):
    streams: tuple[Stream, ...] = ()
    consumers: tuple[Consumer, ...] = ()


def coordinator(subjects: Subjects) -> Consumer:
    """Every fact that may call for something to be done, shared by all coordinators."""
    return Consumer(
        stream=subjects.tasks_stream,
        name=subjects.coordinator_consumer,
        filters=tuple(subjects.fact("*", name) for name in TRIGGERS),
        ack_wait=COORDINATOR_LEASE,
    )


def work(subjects: Subjects, kind: str, lane: Lane, lease: float = LEASE) -> Consumer:
    """The queue of one kind and lane, shared by all its workers."""
    return Consumer(
        stream=subjects.work_stream,
        name=subjects.work_consumer(lane, kind),
        filters=(subjects.work(lane, kind),),
        ack_wait=lease,
    )


def installation(subjects: Subjects, *, replicas: int = 1, keep: float = 8 * DAY, max_queued: int = MAX_QUEUED) -> Topology:
    """Streams, the coordinators' consumer and the buckets of kinds. ``keep`` is how long a task's log stays, ``max_queued``
    how many pieces of work each queue holds."""
    return Topology(
        streams=(
            Stream(
                name=subjects.timers_stream,
                subjects=tuple(subjects.fact("*", name) for name in TIMERS),
                max_age=keep,
                replicas=replicas,
                options={
                    "allow_direct": True,
                    "allow_msg_schedules": True,
                    "allow_rollup_hdrs": True,
                    "max_msg_size": MAX_HEADERS,
                },
            ),
            Stream(
                name=subjects.tasks_stream,
                subjects=tuple(subjects.fact("*", name) for name in FACTS),
                max_age=keep,
                replicas=replicas,
                sources=(subjects.timers_stream,),
                options={"allow_direct": True, "max_msg_size": MAX_MESSAGE + MAX_HEADERS},
            ),
            Stream(
                name=subjects.work_stream,
                subjects=(subjects.work("*", "*"),),
                retention="workqueue",
                max_age=keep,
                replicas=replicas,
                max_each=max_queued,
                options={"allow_direct": True, "max_msg_size": MAX_MESSAGE + MAX_HEADERS},
            ),
            Stream(
                name=subjects.blobs_stream,
                # Of a blob and of its parts; the first is what an earlier release kept, whose parts look like others' blobs.
                subjects=(subjects.unowned_blob("*"), subjects.blob("*", "*"), subjects.blob("*", "*") + ".*"),
                max_age=keep + BLOB_REFRESH,
                replicas=replicas,
                options={"allow_direct": True, "max_msgs_per_subject": 1},
            ),
            Stream(
                name=subjects.checkpoints_stream,
                subjects=tuple(subjects.checkpoint("*", work, "*", "*") for work in ("*.*", "*.*.*")),
                max_age=keep,
                replicas=replicas,
                options={"allow_direct": True, "allow_msg_ttl": True, "max_msg_size": MAX_MESSAGE + MAX_HEADERS},
            ),
            _bucket(subjects.workers_bucket, ANNOUNCEMENT_LIFE, replicas),
            _bucket(subjects.budget_bucket, keep, replicas, changes=True),
            _bucket(subjects.rates_bucket, DAY, replicas, changes=True),
            _bucket(subjects.kinds_bucket, 0, replicas),
        ),
        consumers=(coordinator(subjects),),
    )


def queues(subjects: Subjects, kinds: Iterable[str], lease: float = LEASE) -> Topology:
    """The consumers of ``kinds``, in every lane."""
    return Topology(consumers=tuple(work(subjects, kind, lane, lease) for kind in kinds for lane in LANES))


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _bucket(name: str, max_age: float, replicas: int, *, changes: bool = False) -> Stream:
    """A bucket of keys and values, as NATS keeps one. What ``changes`` by compare-and-set is a document, and may be as large as
    any message."""
    options = {"max_msgs_per_subject": 1, "allow_direct": True, "deny_delete": True}
    return Stream(
        name=f"KV_{name}",
        subjects=(f"$KV.{name}.>",),
        max_age=max_age,
        replicas=replicas,
        options={**options, **({"max_msg_size": MAX_MESSAGE + MAX_HEADERS} if changes else {})},
    )
