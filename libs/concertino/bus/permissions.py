"""Who may do what on the server, as data, from the same definitions that the code uses: users, and the accounts they live in.

The account that is called like the installation owns the streams; orchestrators live in it, and the job that provisions.
Every other role has an account of its own, without JetStream, which imports, subject by subject, what that role needs.

Accounts are what keeps roles apart, permissions alone do not: the server looks at the subject of what is published, and not
at the one that the answer is to go to. In one account, whoever may store a blob of his own can have the server's answer to a
read of it, which is that blob, stored as the outcome of a task or as work for another kind, or sent to others as a signal.
What crosses the border of accounts is answered in the account of who asked, where nothing is stored and nobody else listens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from concertino.bus import calls, topology
from concertino.bus.puller import EXPIRES
from concertino.bus.topology import Consumer
from concertino.bus.wildcards import matches
from concertino.contracts.errors import BadSetting
from concertino.contracts.subjects import (
    CLIENT,
    FINISH,
    HALTED,
    INBOX,
    LANES,
    MONITOR,
    ORCHESTRATOR,
    PLAN,
    PROVISION,
    SYNTHESIZE,
    Subjects,
)

ANSWERED_WITHIN = EXPIRES + 10.0
"""Seconds for which the way back of a request that has many answers is kept at the border."""


class Role(Struct, frozen=True):
    """What one user may do, and nothing else. ``publish`` holds the calls of the server's API, too."""

    user: str
    account: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    responses: bool = False
    """May answer what it is asked, wherever the answer is to go: only where nobody can ask who should not."""

    def permissions(self) -> dict[str, Any]:
        """The server's own form."""
        return {
            "publish": {"allow": list(self.publish)},
            "subscribe": {"allow": list(self.subscribe)},
            **({"allow_responses": True} if self.responses else {}),
        }


def worker(subjects: Subjects, kind: str) -> Role:
    """Takes the work of ``kind`` and writes what comes of it: in the log under its kind, so nobody else's results. It reads no
    more than that, but for who writes reports: that one checks everybody's evidence, and knows whom another round may ask."""
    own = tuple(calls.newest(subjects.blobs_stream, blob) for blob in _blobs(subjects, kind))
    reading = (*_evidence(subjects), *_announcements(subjects)) if kind == SYNTHESIZE else own
    return Role(
        user=f"{subjects.prefix}-{'synthesizer' if kind == SYNTHESIZE else f'worker-{kind}'}",
        account=subjects.account_of(kind),
        publish=(*_working(subjects, kind), *reading),
        subscribe=(_inbox(subjects, kind), *_signals(subjects, kind), *calls.DISCOVERY),
        responses=True,
    )


def client(subjects: Subjects) -> Role:
    """Submits, follows, finishes, cancels; reads logs and results, and who is there."""
    return Role(
        user=f"{subjects.prefix}-{CLIENT}",
        account=subjects.account_of(CLIENT),
        publish=(
            subjects.fact("*", "submitted"),
            *(subjects.fact("*", name) for name in ("cancel", FINISH, "again.*")),
            *_blobs(subjects, CLIENT),
            *_logs(subjects),
            *_evidence(subjects),
            *_announcements(subjects),
            calls.INFO,
            calls.consumer_info(_any(subjects.work_stream)),
            calls.consumer_info(topology.coordinator(subjects)),
            calls.stream_info(subjects.work_stream),
            calls.direct(subjects.timers_stream),
        ),
        subscribe=(_inbox(subjects, CLIENT), subjects.task("*"), subjects.progress("*")),
    )


def orchestrator(subjects: Subjects) -> Role:
    """Coordinates and plans."""
    triggers, tasks = topology.coordinator(subjects), subjects.tasks_stream
    return Role(
        user=f"{subjects.prefix}-{ORCHESTRATOR}",
        account=subjects.account,
        publish=(
            *(subjects.fact("*", name) for name in ("dispatched.*", subjects.work_of("*"), "outcome", HALTED)),
            subjects.timer("*", "*"),
            subjects.overdue("*", "*"),
            calls.direct(subjects.timers_stream),
            subjects.signal("*"),
            subjects.signal("*", subjects.work_of("*")),
            subjects.finish_signal("*"),
            *_coordinators(subjects),
            subjects.work("*", "*"),
            *_taking(triggers),
            *_working(subjects, PLAN),
            *_blobs(subjects, "*"),  # its own, and what is too large of the work of every kind
            *_logs(subjects),
            *_evidence(subjects),
            *_announcements(subjects),
            calls.stream_info(tasks),
            calls.stream_info(subjects.work_stream),
            calls.message(tasks),
            calls.purge(subjects.timers_stream),
            calls.consumers(subjects.work_stream),
        ),
        subscribe=(
            _inbox(subjects, ORCHESTRATOR),
            *_signals(subjects, PLAN),
            *_coordinators(subjects),
            *calls.DISCOVERY,
        ),
        responses=True,
    )


def provisioner(subjects: Subjects) -> Role:
    """Makes streams, consumers and buckets: nobody else may."""
    made = topology.installation(subjects)
    return Role(
        user=f"{subjects.prefix}-{PROVISION}",
        account=subjects.account,
        publish=(
            calls.INFO,
            *(calls.create_stream(stream.name) for stream in made.streams),
            *(calls.update_stream(stream.name) for stream in made.streams),
            *(calls.stream_info(stream.name) for stream in made.streams if stream.max_each),
            *(calls.create_consumer(consumer) for consumer in made.consumers),
            # A lane and a kind are one token of a consumer's name.
            calls.create_consumer(_any(subjects.work_stream, subjects.work("*", "*"))),
            calls.key(subjects.kinds_bucket, "*"),
            calls.direct(calls.bucket_stream(subjects.kinds_bucket)),
        ),
        subscribe=(_inbox(subjects, PROVISION),),
    )


def monitor(subjects: Subjects) -> Role:
    """Looks at queues and at who is there, and changes nothing."""
    streams = [stream.name for stream in topology.installation(subjects).streams]
    return Role(
        user=f"{subjects.prefix}-{MONITOR}",
        account=subjects.account,
        publish=(
            calls.INFO,
            *calls.DISCOVERY,
            *(calls.stream_info(stream) for stream in streams),
            *(calls.consumers(stream) for stream in (subjects.tasks_stream, subjects.work_stream)),
            *(calls.consumer_info(_any(stream)) for stream in (subjects.tasks_stream, subjects.work_stream)),
        ),
        subscribe=(_inbox(subjects, MONITOR),),
    )


def roles(subjects: Subjects, kinds: Iterable[str]) -> dict[str, Role]:
    """Everybody, by role. Raises :class:`BadSetting` for a kind that would take another's place."""
    found = {
        CLIENT: client(subjects),
        ORCHESTRATOR: orchestrator(subjects),
        PROVISION: provisioner(subjects),
        MONITOR: monitor(subjects),
        SYNTHESIZE: worker(subjects, SYNTHESIZE),
    }
    for kind in dict.fromkeys(kinds):
        if kind in found or kind == PLAN:
            raise BadSetting(f"a kind cannot be called {kind!r}: that is another role's name")
        found[kind] = worker(subjects, kind)
    return found


def accounts(subjects: Subjects, everybody: Iterable[Role]) -> dict[str, dict[str, Any]]:
    """The server's configuration of all accounts, without their users."""
    bus = subjects.account
    outside = [role for role in everybody if role.account != bus]
    calls_of = {role.account: [s for s in dict.fromkeys(role.publish) if not _passes_by(subjects, s)] for role in outside}
    found: dict[str, dict[str, Any]] = {
        bus: {
            "jetstream": "enabled",
            "exports": [
                *(_service(subject) for subject in dict.fromkeys(itertools.chain(*calls_of.values()))),
                *({"stream": subject} for subject in dict.fromkeys(s for role in outside for s in _heard(role))),
            ],
            "imports": [
                {"service": {"account": role.account, "subject": subject}} for role in outside for subject in _discovered(role)
            ],
        }
    }
    for role in outside:
        found[role.account] = {
            "exports": [
                *(_many({"service": subject}) for subject in _discovered(role)),
                *({"stream": subject} for subject in _told(role, outside)),
            ],
            "imports": [
                *({"service": {"account": bus, "subject": subject}} for subject in calls_of[role.account]),
                *({"stream": {"account": bus, "subject": subject}} for subject in _heard(role)),
                # A call that comes into the streams' account is not heard beyond it: listeners have it from where it is said.
                *(
                    {"stream": {"account": other.account, "subject": subject}}
                    for other in outside
                    if other is not role
                    for subject in _told(other, [role])
                ),
            ],
        }
    return found


def _passes_by(subjects: Subjects, subject: str) -> bool:
    """Whether it is not stored, and only those listen who import it, or who live where it is said."""
    return matches(subjects.progress("*"), subject) or matches(subjects.signal("*", ">"), subject)


def _told(role: Role, others: Iterable[Role]) -> list[str]:
    """What ``role`` says that one of ``others`` listens to."""
    heard = [subject for other in others if other is not role for subject in _heard(other)]
    return [subject for subject in dict.fromkeys(role.publish) if any(matches(pattern, subject) for pattern in heard)]


def _heard(role: Role) -> list[str]:
    """Where it listens, but for its inbox, which is of its own account."""
    return [subject for subject in role.subscribe if subject not in calls.DISCOVERY and not subject.startswith(INBOX)]


def _discovered(role: Role) -> list[str]:
    return [subject for subject in role.subscribe if subject in calls.DISCOVERY]


def _service(subject: str) -> dict[str, Any]:
    export: dict[str, Any] = {"service": subject}
    return _many(export) if calls.answered_by_many(subject) else export


def _many(export: dict[str, Any]) -> dict[str, Any]:
    """An answer may be many messages."""
    return {**export, "response_type": "stream", "response_threshold": f"{ANSWERED_WITHIN:g}s"}


def _working(subjects: Subjects, kind: str) -> tuple[str, ...]:
    """For whoever takes work of ``kind``: what it writes, and the same read by name."""
    work = subjects.work_of(kind)
    checkpoints = subjects.checkpoint("*", work, "*", "*")
    beside = (subjects.returned(work, "*"), subjects.begun(work, "*"), subjects.spent(work, "*"))
    told = [HALTED] if kind in (PLAN, SYNTHESIZE) else [HALTED, FINISH]
    facts = [subjects.fact("*", name) for name in (work, *beside)]
    return (
        *facts,
        *(calls.newest(subjects.tasks_stream, fact) for fact in (*facts, *(subjects.fact("*", name) for name in told))),
        calls.INFO,
        subjects.progress("*", work),
        subjects.signal("*", work),  # that a lost lease was taken over
        checkpoints,
        calls.newest(subjects.checkpoints_stream, checkpoints),
        calls.key(subjects.workers_bucket, f"{kind}.*"),
        *_ledgers(subjects),
        *_blobs(subjects, kind),
        *(subject for lane in LANES for subject in _taking(topology.work(subjects, kind, lane))),
    )


def _coordinators(subjects: Subjects) -> tuple[str, ...]:
    return subjects.coordinator("here"), subjects.coordinator("look", "*"), subjects.coordinator("looked", "*")


def _signals(subjects: Subjects, kind: str) -> tuple[str, ...]:
    """What whoever takes work of ``kind`` listens to. There is no plan and no report to finish."""
    finish = () if kind in (PLAN, SYNTHESIZE) else (subjects.finish_signal("*"),)
    return subjects.signal("*"), subjects.signal("*", subjects.work_of(kind)), *finish


def _taking(consumer: Consumer) -> tuple[str, ...]:
    return calls.pull(consumer), calls.settle(consumer), calls.consumer_info(consumer)


def _logs(subjects: Subjects) -> tuple[str, ...]:
    return calls.direct(subjects.tasks_stream), calls.newest(subjects.tasks_stream, subjects.task("*"))


def _evidence(subjects: Subjects) -> tuple[str, ...]:
    """All that is kept, whosever it is."""
    return (calls.newest(subjects.blobs_stream, subjects.unowned_blob(">")),)


def _announcements(subjects: Subjects) -> tuple[str, ...]:
    """Who is there."""
    return tuple(calls.direct(calls.bucket_stream(bucket)) for bucket in (subjects.workers_bucket, subjects.kinds_bucket))


def _ledgers(subjects: Subjects) -> tuple[str, ...]:
    """What tasks have spent and what providers allow, for whoever calls a model."""
    found: list[str] = []
    for bucket in (subjects.budget_bucket, subjects.rates_bucket):
        key = calls.key(bucket, "*")
        found += [key, calls.newest(calls.bucket_stream(bucket), key)]
    return tuple(found)


def _blobs(subjects: Subjects, owner: str) -> tuple[str, ...]:
    """Of an owner's blobs and of their parts."""
    return subjects.blob(owner, "*"), subjects.blob(owner, "*.*")


def _inbox(subjects: Subjects, role: str) -> str:
    return f"{subjects.inbox(role)}.>"


def _any(stream: str, *filters: str) -> Consumer:
    return Consumer(stream=stream, name="*", filters=filters, ack_wait=0)
