"""The subject grammar, spelt once. Every name on the bus comes from here.

The prefix (``ctn``) is configurable, so that several installations can share an account.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import Struct

from concertino.contracts.errors import InvalidId
from concertino.contracts.messages import Lane

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORK = re.compile(r"(?:plan|synthesis)\.\d{1,4}|result\.[a-z][a-z0-9_-]{0,31}\.[A-Za-z0-9_-]{1,64}")

LANES: tuple[Lane, ...] = ("interactive", "batch")

PLAN, SYNTHESIZE = "plan", "synthesize"
"""The kinds that every installation has: planner and synthesizer are workers too."""

INBOX = "_INBOX"
"""How every subject begins that answers come to."""

FINISH = "finish"
"""The fact that a caller wants what there is, and the signal of it."""

CLIENT, ORCHESTRATOR, PROVISION, MONITOR = "client", "orchestrator", "provision", "monitor"
"""The users of an installation that are no workers. A worker's role is its kind."""

ROOM = "room"
"""The timer of a task whose work waits for room in its queue: there is one for as long as it does."""

HALTED = "halted"
"""The fact that a task is over while work of it is not."""

_ABOUT_WORK = ("returned", "begun", "spent")
_BY_CLIENTS = ("submitted", "again", "cancel", FINISH)


class Header:
    """Header names. The ``Nats-*`` ones belong to the server."""

    SCHEMA = "Ctn-Schema"
    BLOB = "Ctn-Blob"
    """The payload is the blob of this digest: it was too large to travel inline."""
    TRACEPARENT = "traceparent"
    """Of which trace it is a part, by the W3C's standard; ``tracestate`` beside it. See :mod:`concertino.contracts.trace`."""
    TRACESTATE = "tracestate"
    MESSAGE_ID = "Nats-Msg-Id"
    EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
    SCHEDULE = "Nats-Schedule"
    SCHEDULE_TARGET = "Nats-Schedule-Target"
    TTL = "Nats-TTL"
    SUBJECT = "Nats-Subject"
    SEQUENCE = "Nats-Sequence"
    TIME_STAMP = "Nats-Time-Stamp"


def check_id(value: str) -> str:
    """``value`` if it can stand as one token of a subject; else :class:`InvalidId`."""
    if not _TOKEN.fullmatch(value):
        raise InvalidId(f"{value[:80]!r} is no id: use 1 to 64 letters, digits, '_' or '-'")
    return value


def check_work_id(value: str) -> str:
    """``value`` if it says where a result belongs (``plan.0``, ``result.<kind>.<subtask>``); else :class:`InvalidId`."""
    if not _WORK.fullmatch(value):
        raise InvalidId(f"{value[:80]!r} is no work id: use plan.<round>, result.<kind>.<subtask> or synthesis.<round>")
    return value


def is_number(text: str) -> bool:
    """Whether ``text`` is a number as we write it: ``00`` and ``٠`` would be second names for the place of ``0``."""
    return text.isdecimal() and len(text) < 10 and text == str(int(text))


def nth(attempt: int, delivery: int) -> str:
    """How the facts about a delivery of a piece of work are told apart: ``2`` is the second delivery of what was sent first,
    ``2-1`` the first one of a hedge. Each is a message of its own, whose deliveries are counted from 1."""
    return str(delivery) if attempt == 1 else f"{attempt}-{delivery}"


def parse_nth(text: str) -> tuple[int, int]:
    """Attempt and delivery; a delivery that is no number is 0."""
    attempt, dash, delivery = text.rpartition("-")
    known = not dash or is_number(attempt)
    return int(attempt) if dash and known else 1, int(delivery) if known and is_number(delivery) else 0


def kind_of(work: str) -> str:
    """Which kind does the work of this id."""
    type_, _, about = work.partition(".")
    return {"plan": PLAN, "synthesis": SYNTHESIZE}.get(type_) or about.partition(".")[0]


class FactName(NamedTuple):
    """The part of a fact's subject after the task: its type and what it is about (``result``, ``web.s1``)."""

    type: str
    about: str

    @property
    def writer(self) -> str:
        """The role that writes it, and owns its payload where that is a blob."""
        if self.type in _BY_CLIENTS:
            return CLIENT
        if self.type in _ABOUT_WORK:
            return kind_of(self.about)
        return kind_of(str(self)) if self.type in ("plan", "result", "synthesis") else ORCHESTRATOR

    def __str__(self) -> str:
        return f"{self.type}.{self.about}" if self.about else self.type


class Subjects(Struct, frozen=True):
    """All names of one installation."""

    prefix: str = "ctn"

    # --- accounts, streams and buckets

    @property
    def account(self) -> str:
        """Owns the streams, where users are kept apart. See :mod:`concertino.bus.permissions`."""
        return self.prefix.upper()

    def account_of(self, role: str) -> str:
        """Where ``role`` lives who need not be in :attr:`account`."""
        return f"{self.account}_{role}"

    @property
    def tasks_stream(self) -> str:
        return f"{self.prefix.upper()}_TASKS"

    @property
    def timers_stream(self) -> str:
        return f"{self.prefix.upper()}_TIMERS"

    @property
    def work_stream(self) -> str:
        return f"{self.prefix.upper()}_WORK"

    @property
    def blobs_stream(self) -> str:
        return f"{self.prefix.upper()}_BLOBS"

    @property
    def checkpoints_stream(self) -> str:
        return f"{self.prefix.upper()}_CHECKPOINTS"

    @property
    def workers_bucket(self) -> str:
        return f"{self.prefix}_workers"

    @property
    def kinds_bucket(self) -> str:
        """Kinds that are served on demand: known also while no replica runs."""
        return f"{self.prefix}_kinds"

    @property
    def budget_bucket(self) -> str:
        """What tasks with a budget have spent: a ledger for each."""
        return f"{self.prefix}_budget"

    @property
    def rates_bucket(self) -> str:
        """What the providers of models let all workers together ask: a key for each model."""
        return f"{self.prefix}_rates"

    # --- the log

    def task(self, task: str) -> str:
        """All facts of one task."""
        return f"{self.prefix}.task.{task}.>"

    def fact(self, task: str, name: str) -> str:
        """One fact: ``name`` is ``submitted``, ``plan.0``, ``result.web.s1``, ``outcome`` ..."""
        return f"{self.prefix}.task.{task}.{name}"

    def timer(self, task: str, name: str) -> str:
        return self.fact(task, f"timer.{name}")

    def due(self, task: str, name: str) -> str:
        return self.fact(task, f"due.{name}")

    def overdue(self, task: str, name: str) -> str:
        return self.fact(task, f"overdue.{name}")

    def parse_fact(self, subject: str) -> tuple[str, FactName]:
        """Task and name of a fact. The task is returned as it stands: :func:`check_id` judges it."""
        rest = subject[len(self.prefix) + len(".task.") :]
        task, _, name = rest.partition(".")
        type_, _, about = name.partition(".")
        return task, FactName(type_, about)

    # --- work

    def work(self, lane: str, kind: str) -> str:
        return f"{self.prefix}.work.{lane}.{kind}"

    def lane_of(self, subject: str) -> str:
        """The lane in the subject of work."""
        return self._work_parts(subject)[0]

    def queue_of(self, subject: str) -> str:
        """The kind in the subject of work."""
        return self._work_parts(subject)[2]

    def _work_parts(self, subject: str) -> tuple[str, str, str]:
        return subject[len(self.prefix) + len(".work.") :].partition(".")

    def work_consumer(self, lane: str, kind: str) -> str:
        """The durable consumer of one kind and lane."""
        return f"{lane}-{kind}"

    def parse_work_consumer(self, name: str) -> tuple[str, str]:
        """Lane and kind of a consumer of work."""
        lane, _, kind = name.partition("-")
        return lane, kind

    @property
    def coordinator_consumer(self) -> str:
        return "coordinator"

    def work_of(self, kind: str) -> str:
        """The ids of the work of ``kind``, with wildcards."""
        return {PLAN: "plan.*", SYNTHESIZE: "synthesis.*"}.get(kind) or f"result.{kind}.*"

    def message_id(self, task: str, work: str, attempt: int) -> str:
        return f"{task}.{work}.{attempt}"

    def parse_message_id(self, message_id: str) -> tuple[str, str, int]:
        """Task, work id and attempt. Raises :class:`InvalidId` where it names no work."""
        task, _, rest = message_id.partition(".")
        work, _, attempt = rest.rpartition(".")
        return check_id(task), check_work_id(work), int(attempt) if is_number(attempt) else 1

    def returned(self, work: str, delivery: int | str) -> str:
        """The name of the fact that a delivery of ``work`` does not count. ``delivery`` is as :func:`nth` has it."""
        return f"returned.{work}.{delivery}"

    def begun(self, work: str, delivery: int | str) -> str:
        """The name of the fact that a delivery of ``work`` is being worked on."""
        return f"begun.{work}.{delivery}"

    def spent(self, work: str, delivery: int | str) -> str:
        """The name of the fact what a delivery of ``work`` cost that brought no result."""
        return f"spent.{work}.{delivery}"

    def checkpoint(self, task: str, work: str, attempt: int | str, number: int | str) -> str:
        """A piece of the conversation with a model about one piece of work. ``number`` counts from 1."""
        return f"{self.prefix}.checkpoint.{task}.{work}.{attempt}.{number}"

    def checkpoint_of(self, subject: str) -> str:
        """The kind in the subject of a checkpoint."""
        _, _, work = subject[len(self.prefix) + len(".checkpoint.") :].partition(".")
        return kind_of(work)

    # --- not stored

    def progress(self, task: str, work: str = "") -> str:
        """What one piece of work, or (without ``work``) every piece of work of a task, is doing now."""
        return f"{self.prefix}.progress.{task}.{work or '>'}"

    def signal(self, task: str, work: str = "") -> str:
        """Where it is said that a task, or (with ``work``) one piece of its work, is of no use any more."""
        return f"{self.prefix}.signal.{task}.{work}" if work else f"{self.prefix}.signal.{task}"

    def finish_signal(self, task: str) -> str:
        """Where it is said that what works on subtasks of a task is to write up what there is. A subject of its own: an older
        release takes whatever is said of a task for its end."""
        return self.signal(task, FINISH)

    def parse_signal(self, subject: str) -> tuple[str, str]:
        """Task and work id; the latter is empty where all of the task is meant."""
        task, _, work = subject[len(self.prefix) + len(".signal.") :].partition(".")
        return task, work

    def coordinator(self, what: str, replica: str = "") -> str:
        """Between coordinators: ``here`` to all of them, ``look`` and ``looked`` to one."""
        return f"{self.prefix}.coordinator.{what}.{replica}" if replica else f"{self.prefix}.coordinator.{what}"

    # --- answers

    def inbox(self, role: str) -> str:
        """The prefix of the subjects that answers to ``role`` come to: its own, so that nobody else can listen to them."""
        return f"{INBOX}_{self.prefix}.{role}"

    # --- blobs

    def blob(self, owner: str, digest: str) -> str:
        """``owner`` is the role that it is kept for: who wrote it or, of work, the kind that is to do it."""
        return f"{self.prefix}.blob.{owner}.{digest}"

    def unowned_blob(self, digest: str) -> str:
        """Where earlier releases kept it, whosever it was."""
        return f"{self.prefix}.blob.{digest}"
