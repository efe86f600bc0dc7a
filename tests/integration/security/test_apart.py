"""What each role sees of what is there, writes of what can be written, and hears: exactly its own, whatever way it tries.

What it should be is said here a second time, by hand. Whoever may do everything tries the same ways and succeeds, so none of
them fails for another reason than that it is forbidden.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json

import pytest
from break_in import CODE, KINDS, SUBJECTS, WEB, Attacker, taken_over
from msgspec import Struct, structs
from nats.aio.msg import Msg

from concertino.bus import calls, topology
from concertino.bus.jetstream import JetStream
from concertino.bus.permissions import accounts, roles
from concertino.bus.wildcards import matches
from concertino.contracts.subjects import CLIENT, MONITOR, ORCHESTRATOR, PLAN, PROVISION, SYNTHESIZE
from kit.secured import INSPECTOR, Secured
from kit.waiting import until

pytestmark = pytest.mark.nats

ROLES = (CLIENT, ORCHESTRATOR, PROVISION, MONITOR, SYNTHESIZE, WEB, CODE)
DIGEST = "a" * 64

OF_WORK = {PLAN: "plan.0", SYNTHESIZE: "synthesis.0", WEB: "result.web.s1", CODE: "result.code.s1"}
_ABOUT = {kind: {work, *(f"{what}.{work}.1" for what in ("returned", "begun", "spent"))} for kind, work in OF_WORK.items()}
_BY_CLIENTS = {"submitted", "again.t9", "finish", "cancel"}
_BY_ORCHESTRATORS = {"dispatched.1", "overdue.join", "outcome", "halted"}
FACTS = sorted({*_BY_CLIENTS, *_BY_ORCHESTRATORS, *itertools.chain(*_ABOUT.values())})
OWNERS = (CLIENT, ORCHESTRATOR, *OF_WORK)
BLOBS = sorted({*(f"{owner}.{DIGEST}" for owner in OWNERS), *(f"{owner}.{DIGEST}.0" for owner in OWNERS)})
OLD_BLOBS = [DIGEST]
"""Of an earlier release: nobody writes them any more, and they say not whose they are."""
LEDGER, ME = "t0", "r1"
_numbers = itertools.count()

_TALKS = {kind: f"conversation {kind}" for kind in OF_WORK}
_WHO = {"kind", *(f"announcement {kind}" for kind in OF_WORK)}
_AMONG = ("among here", "among look", "among looked")
"""What orchestrators say to each other."""
READS: dict[str, set[str]] = {
    CLIENT: {*FACTS, *BLOBS, *OLD_BLOBS, *_WHO, "timer"},
    ORCHESTRATOR: {*FACTS, *BLOBS, *OLD_BLOBS, *_WHO, "ledger", _TALKS[PLAN], "timer"},
    PROVISION: {"kind"},
    MONITOR: set(),
    SYNTHESIZE: {*_ABOUT[SYNTHESIZE], "halted", *BLOBS, *OLD_BLOBS, *_WHO, "ledger", _TALKS[SYNTHESIZE]},
    WEB: {*_ABOUT[WEB], "halted", "finish", *(b for b in BLOBS if b.startswith("web.")), "ledger", _TALKS[WEB]},
    CODE: {*_ABOUT[CODE], "halted", "finish", *(b for b in BLOBS if b.startswith("code.")), "ledger", _TALKS[CODE]},
}
WRITES: dict[str, set[str]] = {
    CLIENT: {*_BY_CLIENTS, *(b for b in BLOBS if b.startswith("client."))},
    ORCHESTRATOR: {
        *(*_BY_ORCHESTRATORS, *_ABOUT[PLAN], *BLOBS, "ledger", "timer"),
        *(OF_WORK[kind] for kind in KINDS),  # that failed by a limit which it holds
        *(f"work {kind}" for kind in OF_WORK),
        *(f"announcement {PLAN}", f"progress {PLAN}", _TALKS[PLAN]),
        *("signal", "signal finish", *(f"signal {kind}" for kind in (PLAN, *KINDS)), *_AMONG),
    },
    PROVISION: {"kind"},
    MONITOR: set(),
    **{
        kind: {
            *(*_ABOUT[kind], "ledger", f"announcement {kind}", f"progress {kind}", f"signal {kind}", _TALKS[kind]),
            *(b for b in BLOBS if b.startswith(f"{kind}.")),
        }
        for kind in (SYNTHESIZE, WEB, CODE)
    },
}
HEARS: dict[str, set[str]] = {
    CLIENT: {*FACTS, "timer", "due", *(f"progress {kind}" for kind in OF_WORK)},
    ORCHESTRATOR: {"signal", "signal plan", *_AMONG},
    PROVISION: set(),
    MONITOR: set(),
    SYNTHESIZE: {"signal", "signal synthesize"},
    WEB: {"signal", "signal finish", "signal web"},
    CODE: {"signal", "signal finish", "signal code"},
}


class Thing(Struct, frozen=True):
    """Something in a stream, or that passes by."""

    name: str
    subject: str
    stream: str = ""

    @property
    def secret(self) -> bytes:
        return f"the secret of {self.subject}".encode()


def stored(task: str) -> list[Thing]:
    """All that can be read."""
    who, kinds, ledgers = SUBJECTS.workers_bucket, SUBJECTS.kinds_bucket, SUBJECTS.budget_bucket
    keys = [("ledger", ledgers, LEDGER), ("kind", kinds, "odd"), *((f"announcement {k}", who, f"{k}.{ME}") for k in OF_WORK)]
    return [
        *(Thing(name, SUBJECTS.fact(task, name), SUBJECTS.tasks_stream) for name in FACTS),
        *(Thing(name, SUBJECTS.unowned_blob(name), SUBJECTS.blobs_stream) for name in (*BLOBS, *OLD_BLOBS)),
        *(Thing(name, calls.key(bucket, key), calls.bucket_stream(bucket)) for name, bucket, key in keys),
        *(Thing(_TALKS[k], SUBJECTS.checkpoint(task, w, 1, 1), SUBJECTS.checkpoints_stream) for k, w in OF_WORK.items()),
        Thing("timer", SUBJECTS.timer(task, "join"), SUBJECTS.timers_stream),
    ]


def said(task: str) -> list[Thing]:
    """All that can be written or said."""
    return [
        *(thing for thing in stored(task) if thing.name not in OLD_BLOBS),
        Thing("due", SUBJECTS.due(task, "join")),
        *(Thing(f"work {kind}", SUBJECTS.work("batch", kind)) for kind in OF_WORK),
        *(Thing(f"progress {kind}", SUBJECTS.progress(task, work)) for kind, work in OF_WORK.items()),
        Thing("signal", SUBJECTS.signal(task)),
        Thing("signal finish", SUBJECTS.finish_signal(task)),
        Thing("among here", SUBJECTS.coordinator("here")),
        *(Thing(f"among {what}", SUBJECTS.coordinator(what, ME)) for what in ("look", "looked")),
        *(Thing(f"signal {kind}", SUBJECTS.signal(task, work)) for kind, work in OF_WORK.items()),
    ]


class Way(Struct, frozen=True):
    """How one may try to read a thing: a call, and what is sent with it. ``{inbox}`` is where its messages are to go.

    ``sure``: whoever may do everything gets it like this. Else the server does not give it, or it gives another that matches.
    """

    call: str
    request: dict[str, object] = {}
    sure: bool = True

    @property
    def delivers(self) -> bool:
        return "config" in self.request

    @property
    def ends(self) -> bool:
        """Whether its answer is many messages, up to one that is empty."""
        return "batch" in self.request


def ways(thing: Thing, sequence: int) -> list[Way]:
    stream, subject = thing.stream, thing.subject
    tokens = subject.split(".")
    spies = (f"spy{next(_numbers)}" for _ in itertools.count())
    config = {"deliver_subject": "{inbox}.delivered", "ack_policy": "none", "filter_subject": subject}

    def spy(*path: str, **more: str) -> Way:
        return Way(".".join((stream, *path)), {"stream_name": stream, "config": {**config, **more}})

    named = [next(spies) for _ in range(3)]
    spying = [spy(), spy(named[0], name=named[0]), spy(named[1], subject, name=named[1])]
    wild = [
        [*tokens[:2], "*", *tokens[3:]],
        [*tokens[:2], ">", *tokens[3:]],
        [*tokens[:-1], "*"],
        [*tokens[:-1], ">"],
        [*tokens[:2], ">"],
        ["*"] * len(tokens),
        [">"],
    ]
    direct, of_leader = calls.direct(stream), calls.message(stream)
    return [
        Way(calls.newest(stream, subject)),
        *(Way(calls.newest(stream, ".".join(pattern)), sure=False) for pattern in wild),
        *(Way(calls.newest(stream, subject), more, sure=False) for more in ({"seq": sequence}, {"last_by_subj": subject})),
        Way(direct, {"seq": sequence}),
        Way(direct, {"last_by_subj": subject}),
        Way(direct, {"next_by_subj": subject, "seq": 1, "batch": 9}),
        Way(direct, {"multi_last": [subject], "batch": 9}),
        Way(direct, {"multi_last": [">"], "batch": 1000}),
        Way(direct, {"seq": 1, "batch": 1000}),
        Way(direct, {"start_time": "2020-01-01T00:00:00Z", "batch": 1000}),
        Way(of_leader, {"seq": sequence}),
        Way(of_leader, {"last_by_subj": subject}),
        *(structs.replace(way, call=f"$JS.API.CONSUMER.CREATE.{way.call}") for way in spying),
        structs.replace(spy(named[2], durable_name=named[2]), call=f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{named[2]}"),
    ]


async def reads(attacker: Attacker, way: Way, secret: bytes) -> bool:
    """Whether ``way`` brings ``secret``. What is not denied is answered."""
    if way.call.lower() in attacker.denied:
        return False
    inbox, got = attacker.nc.new_inbox(), asyncio.Queue[Msg]()
    subscriptions = [await attacker.nc.subscribe(f"{inbox}.{end}", cb=got.put) for end in ("answer", "delivered")]
    request = json.dumps(way.request).replace("{inbox}", inbox).encode() if way.request else b""
    await attacker.nc.publish(way.call, request, reply=f"{inbox}.answer")
    await attacker.settled()
    try:
        async with asyncio.timeout(30):
            while way.call.lower() not in attacker.denied:
                message = await got.get()
                # A leader's answer is JSON.
                if secret in message.data or base64.b64encode(secret) in message.data:
                    return True
                more = b'"error"' not in message.data if way.delivers else way.ends and message.data
                if not more:
                    break
        return False
    finally:
        for subscription in subscriptions:
            await subscription.unsubscribe()


@pytest.mark.parametrize("role", [*ROLES, INSPECTOR])
async def test_each_role_reads_what_is_its_own_and_nothing_else_in_no_way(
    server: Secured, inspector: JetStream, role: str
) -> None:
    js = inspector._nc.jetstream()
    async with taken_over(server, role) as attacker:
        for thing in stored(a_task()):
            sequence = (await js.publish(thing.subject, thing.secret)).seq
            tried = [(way, await reads(attacker, way, thing.secret)) for way in ways(thing, sequence)]
            if role == INSPECTOR:
                assert [way for way, worked in tried if way.sure and not worked] == [], thing
            else:
                worked = [way for way, worked in tried if worked]
                assert bool(worked) == (thing.name in READS[role]), (thing, worked)


@pytest.mark.parametrize("role", [*ROLES, INSPECTOR])
async def test_each_role_writes_what_is_its_own_and_nothing_else(server: Secured, inspector: JetStream, role: str) -> None:
    task = a_task()
    async with taken_over(server, role) as attacker:
        written = {thing.name for thing in said(task) if not await attacker.is_denied(thing.subject, thing.secret)}
    allowed = {thing.name for thing in said(task)} if role == INSPECTOR else WRITES[role]
    assert written == allowed
    log = await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.task(task))
    assert {str(SUBJECTS.parse_fact(fact.subject)[1]) for fact in log} >= allowed & set(FACTS)
    await _forget_work(inspector)


@pytest.mark.parametrize("role", [*ROLES, INSPECTOR])
async def test_each_role_hears_what_it_has_to_and_nothing_else(server: Secured, inspector: JetStream, role: str) -> None:
    things, heard, denied = said(a_task()), set[bytes](), set[str]()

    async def on_message(message: Msg) -> None:
        # Who may hear everything hears the server, too, on what tests before this one have left.
        if role != INSPECTOR or not message.subject.startswith("$JS.EVENT."):
            heard.add(message.data)

    async with taken_over(server, role) as attacker:
        subjects = [thing.subject for thing in things]
        patterns = {".".join([*s.split(".")[:n], ">"]) for s in subjects for n in range(s.count(".") + 1)}
        for subject in (*subjects, *sorted(patterns)):
            await attacker.nc.subscribe(subject, cb=on_message)
        await attacker.settled()
        denied = {thing.name for thing in things if thing.subject.lower() in attacker.denied}
        expected = {thing.name for thing in things} if role == INSPECTOR else HEARS[role]
        assert denied == {thing.name for thing in things} - expected
        for thing in things:
            await inspector._nc.publish(thing.subject, thing.secret)
        await inspector._nc.flush()
        await attacker.settled()
        secrets = {thing.secret for thing in things if thing.name in expected}
        await until(lambda: heard >= secrets, "what it has to hear")
        # An orchestrator lives where signals pass: the server lets it listen to `signal.>` because it may listen to `signal.*`.
        own = {thing.secret for thing in things if role == ORCHESTRATOR and thing.name.startswith("signal ")}
        assert heard - own <= secrets
    await _forget_work(inspector)


@pytest.mark.parametrize("role", [*ROLES, INSPECTOR])
async def test_only_who_provisions_touches_streams_and_consumers(server: Secured, role: str) -> None:
    """What is sent is no request, so nothing comes of what is not denied."""
    made = topology.installation(SUBJECTS)
    streams = [stream.name for stream in made.streams]
    verbs = ("CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG.DELETE", "LEADER.STEPDOWN", "PEER.REMOVE")
    of_consumers = ("CREATE", "DURABLE.CREATE", "DELETE", "PAUSE", "RESET", "UNPIN", "LEADER.STEPDOWN")
    tried = [
        *(f"$JS.API.STREAM.{verb}.{stream}" for verb in verbs for stream in (*streams, "MINE")),
        *(f"$JS.API.CONSUMER.{verb}.{stream}.mine" for verb in of_consumers for stream in streams),
        *(f"$JS.API.{call}" for call in ("STREAM.LIST", "STREAM.NAMES", "META.LEADER.STEPDOWN", "SERVER.REMOVE")),
        *(f"$JS.API.ACCOUNT.PURGE.{account}" for account in (SUBJECTS.account, SUBJECTS.account_of(role))),
        *(f"$SYS.REQ.ACCOUNT.{SUBJECTS.account}.CONNZ", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO"),
    ]
    may = {
        PROVISION: {f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE") for stream in streams},
        ORCHESTRATOR: {calls.purge(SUBJECTS.timers_stream)},
        INSPECTOR: set(tried),
    }.get(role, set())
    async with taken_over(server, role) as attacker:
        assert {call for call in tried if not await attacker.is_denied(call)} == may


async def test_work_that_is_taken_cannot_be_had_delivered_where_it_would_be_a_fact(
    server: Secured, inspector: JetStream
) -> None:
    """Its own work is all that a worker can have sent to anywhere, and it gets no further than its own account."""
    task, queue = a_task(), topology.work(SUBJECTS, WEB, "batch")
    targets = [thing.subject for thing in said(task) if thing.name not in WRITES[WEB]]
    ask = b'{"batch": 1, "no_wait": true}'
    for role, reached in ((WEB, False), (INSPECTOR, True)):
        async with taken_over(server, role) as thief:
            for i, target in enumerate(targets):
                await inspector.enqueue(SUBJECTS.work("batch", WEB), b"forged", f"{task}.{role}.{i}")
                await thief.nc.publish(calls.pull(queue), ask, reply=target)
            await thief.settled()
            await thief.nc.request(calls.INFO, timeout=30)
        await inspector.write_once(SUBJECTS.fact(task, f"plan.{i}"), b"")  # behind whatever was sent there

        async def forged() -> bool:
            return any(stored.data == b"forged" for stored in await inspector.read(SUBJECTS.tasks_stream, ">"))

        if reached:
            await until(forged, "within one account it gets into the log")
        assert await forged() == reached
        await _forget_work(inspector)


def test_what_one_account_imports_from_another_does_not_overlap() -> None:
    """A call that two imports match would be made twice."""
    everybody = roles(SUBJECTS, KINDS)
    for account in accounts(SUBJECTS, everybody.values()).values():
        services = [entry["service"]["subject"] for entry in account["imports"] if "service" in entry]
        for one, other in itertools.permutations(set(services) - set(calls.DISCOVERY), 2):
            assert not matches(one, other), (one, other)


async def _forget_work(inspector: JetStream) -> None:
    await inspector._nc.jetstream().purge_stream(SUBJECTS.work_stream)


def a_task() -> str:
    return f"t{next(_numbers)}"
