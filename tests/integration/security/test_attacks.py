"""What a service could do that somebody has taken over: no more than its own work."""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import pytest
from break_in import CODE, KINDS, SUBJECTS, WEB, taken_over
from nats.aio.msg import Msg

from concertino.bus import calls, topology
from concertino.bus.jetstream import JetStream
from concertino.bus.permissions import roles
from concertino.bus.port import Delivery
from concertino.bus.wildcards import matches
from concertino.contracts.errors import Refused
from concertino.contracts.subjects import CLIENT, MONITOR, ORCHESTRATOR, PROVISION, SYNTHESIZE, Header
from kit.secured import INSPECTOR, Secured
from kit.waiting import until

pytestmark = pytest.mark.nats

ROLES = roles(SUBJECTS, KINDS)
_numbers = itertools.count()


def a_task() -> str:
    return f"t{next(_numbers)}"


def forbidden(task: str) -> list[str]:
    """What no worker of the kind ``web`` may write, by name."""
    facts = ("submitted", "cancel", "plan.0", "dispatched.1", "synthesis.0", "outcome", "timer.join", "due.join")
    of_others = ("result.code.s1", "returned.result.code.s1.1", "spent.result.code.s1.1", "begun.result.code.s1.1")
    return [
        *(SUBJECTS.fact(task, name) for name in (*facts, *of_others)),
        SUBJECTS.progress(task, "result.code.s1"),
        SUBJECTS.progress(task, "synthesis.0"),
        SUBJECTS.signal(task),
        SUBJECTS.signal(task, "result.code.s1"),
        SUBJECTS.checkpoint(task, "result.code.s1", 1, 1),
        SUBJECTS.checkpoint(task, "plan.0", 1, 1),
        SUBJECTS.work("interactive", CODE),
        SUBJECTS.work("interactive", WEB),
        calls.key(SUBJECTS.workers_bucket, "code.me"),
        calls.key(SUBJECTS.kinds_bucket, "web"),
        calls.pull(topology.work(SUBJECTS, CODE, "interactive")),
        f"$JS.ACK.{SUBJECTS.work_stream}.interactive-code.1.1.1.1.0",
        f"$JS.ACK.{SUBJECTS.tasks_stream}.coordinator.1.1.1.1.0",
        calls.create_stream("MINE"),
        calls.update_stream(SUBJECTS.tasks_stream),
        f"$JS.API.STREAM.DELETE.{SUBJECTS.tasks_stream}",
        calls.purge(SUBJECTS.tasks_stream),
        calls.purge(SUBJECTS.timers_stream),
        f"$JS.API.STREAM.MSG.DELETE.{SUBJECTS.tasks_stream}",
        f"$JS.API.STREAM.MSG.GET.{SUBJECTS.work_stream}",
        calls.direct(SUBJECTS.work_stream),
        calls.direct(SUBJECTS.checkpoints_stream),
        calls.newest(SUBJECTS.checkpoints_stream, SUBJECTS.checkpoint(task, "result.code.s1", 1, 1)),
        calls.create_consumer(topology.work(SUBJECTS, WEB, "interactive")),
        f"$JS.API.CONSUMER.CREATE.{SUBJECTS.tasks_stream}",
        f"$JS.API.CONSUMER.DELETE.{SUBJECTS.work_stream}.interactive-web",
        f"$JS.API.CONSUMER.PAUSE.{SUBJECTS.work_stream}.interactive-web",
        f"{SUBJECTS.inbox(CODE)}.x",
        f"{SUBJECTS.inbox(CLIENT)}.x",
        "$SRV.PING",
        "anything.else",
    ]


async def test_a_worker_may_write_its_own_results_and_nothing_of_others(server: Secured, inspector: JetStream) -> None:
    task = a_task()
    async with taken_over(server, WEB) as web:
        allowed = [subject for subject in forbidden(task) if not await web.is_denied(subject)]
        assert allowed == []
        assert not await web.is_denied(SUBJECTS.fact(task, "result.web.s1"))
    log = await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.task(task))
    assert [fact.subject for fact in log] == [SUBJECTS.fact(task, "result.web.s1")]


async def test_a_client_submits_and_cancels_and_writes_no_results(server: Secured, inspector: JetStream) -> None:
    task = a_task()
    async with taken_over(server, CLIENT) as client:
        for name in ("plan.0", "dispatched.1", "result.web.s1", "synthesis.0", "outcome", "timer.join", "due.join"):
            assert await client.is_denied(SUBJECTS.fact(task, name)), name
        for subject in (SUBJECTS.work("interactive", WEB), SUBJECTS.signal(task), SUBJECTS.progress(task, "result.web.s1")):
            assert await client.is_denied(subject), subject
        assert not await client.is_denied(SUBJECTS.fact(task, "submitted"))
        assert not await client.is_denied(SUBJECTS.fact(task, "cancel"))
    log = await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.task(task))
    assert [fact.subject for fact in log] == [SUBJECTS.fact(task, "submitted"), SUBJECTS.fact(task, "cancel")]


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_may_do_what_only_others_may(server: Secured, role: str) -> None:
    """All of what any role may do, tried by each."""
    own = ROLES[role].publish
    instances = {subject.replace("*", "x").replace(">", "1.1.1.1.0") for other in ROLES.values() for subject in other.publish}
    others = sorted(subject for subject in instances if not any(matches(pattern, subject) for pattern in own))
    assert len(others) > 10
    async with taken_over(server, role) as attacker:
        assert [subject for subject in others if not await attacker.is_denied(subject)] == []


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_listens_to_the_answers_of_others(server: Secured, role: str) -> None:
    others = [f"{SUBJECTS.inbox(other)}.>" for other in ROLES if other != role]
    facts = [] if role == CLIENT else [SUBJECTS.task("*"), SUBJECTS.progress("*")]
    async with taken_over(server, role) as attacker:
        for subject in (">", "_INBOX.>", "_INBOX_sec.>", "$JS.>", "$JS.EVENT.>", SUBJECTS.work("*", "*"), *others, *facts):
            await attacker.nc.subscribe(subject)
            await attacker.settled()
            assert subject.lower() in attacker.denied


@pytest.mark.parametrize("role", [WEB, SYNTHESIZE, CLIENT])
async def test_no_answer_can_be_sent_to_where_it_would_be_a_fact(server: Secured, inspector: JetStream, role: str) -> None:
    """The server does not ask who may write to the subject that its answer is to go to."""
    task = a_task()
    blob = SUBJECTS.blob(role, "f" * 64)
    own = {WEB: "result.web.s1", SYNTHESIZE: "synthesis.0", CLIENT: "submitted"}[role]
    heard: list[str] = []

    async def on_message(message: Msg) -> None:
        heard.append(message.subject)

    async with taken_over(server, role) as thief, taken_over(server, CODE) as other, taken_over(server, CLIENT) as client:
        await other.nc.subscribe(SUBJECTS.signal("*"), cb=on_message)
        if role != CLIENT:
            await client.nc.subscribe(SUBJECTS.progress(task), cb=on_message)
        await asyncio.gather(other.settled(), client.settled())
        forged = {Header.SCHEMA: "outcome/1", Header.MESSAGE_ID: f"{task}.result.code.s1.1"}
        await thief.nc.publish(blob, b'{"status": "answered", "reason": "forged"}', headers=forged)
        targets = [subject for subject in forbidden(task) if not subject.startswith(("$JS", "$SRV"))]
        for target in targets:
            await thief.nc.publish(calls.newest(SUBJECTS.blobs_stream, blob), b"", reply=target)
            await thief.nc.publish(calls.direct(SUBJECTS.tasks_stream), b'{"seq": 1}', reply=target)  # of clients alone
            await thief.nc.publish(calls.INFO, b"", reply=target)
            await thief.nc.publish(SUBJECTS.fact(task, own), b"{}", reply=target)
        await thief.settled()
        # Behind everything that was asked: what would be stored is stored by now.
        await thief.nc.request(calls.INFO, timeout=5)
        await inspector.write_once(SUBJECTS.fact(task, "due.after"), b"")
        await asyncio.gather(other.settled(), client.settled())

    log = await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.task(task))
    assert {fact.subject for fact in log} <= {SUBJECTS.fact(task, own), SUBJECTS.fact(task, "due.after")}
    assert await inspector.depths(SUBJECTS.work_stream) == dict.fromkeys(await inspector.depths(SUBJECTS.work_stream), (0, 0))
    assert "code.me" not in await inspector.keys(SUBJECTS.workers_bucket)
    assert await inspector.keys(SUBJECTS.kinds_bucket) == {}
    assert heard == []


async def test_within_one_account_it_could(server: Secured, inspector: JetStream) -> None:
    """Why there are several. Once this fails, a newer server asks, and one account with permissions is enough."""
    task, blob = a_task(), SUBJECTS.blob(WEB, "b" * 64)
    async with taken_over(server, INSPECTOR) as insider:
        await insider.nc.request(blob, b"{}", timeout=5)
        await insider.nc.publish(calls.newest(SUBJECTS.blobs_stream, blob), b"", reply=SUBJECTS.fact(task, "outcome"))

        async def stored() -> bool:
            return bool(await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.fact(task, "outcome")))

        await until(stored, "an answer becomes a fact")


@pytest.mark.parametrize("role", [WEB, CLIENT])
async def test_no_message_can_become_another_s_later_or_delete_what_is_there(
    server: Secured, inspector: JetStream, role: str
) -> None:
    task, own = a_task(), {WEB: "result.web.s1", CLIENT: "submitted"}[role]
    await inspector.write_once(SUBJECTS.fact("other", f"plan.{next(_numbers)}"), b"{}")
    before = await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.task("other"))
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    attempts = {
        10188: {Header.SCHEDULE: f"@at {stamp}", Header.SCHEDULE_TARGET: SUBJECTS.fact(task, "outcome")},
        10111: {"Nats-Rollup": "all"},
    }
    async with taken_over(server, role) as thief:
        for code, headers in attempts.items():
            answer = await thief.nc.request(SUBJECTS.fact(task, own), b"{}", headers=headers, timeout=5)
            assert json.loads(answer.data)["error"]["err_code"] == code
        answer = await thief.nc.request(SUBJECTS.blob(role, "a" * 64), b"x", headers={"Nats-Rollup": "all"}, timeout=5)
        assert json.loads(answer.data)["error"]["err_code"] == 10111

    assert await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.task("other")) == before
    assert await inspector.read(SUBJECTS.tasks_stream, SUBJECTS.task(task)) == []


async def test_work_of_another_kind_is_not_delivered(server: Secured, inspector: JetStream) -> None:
    """Neither by asking for it nor by having it sent to oneself."""
    await inspector.enqueue(SUBJECTS.work("batch", CODE), b"for code", f"work.{next(_numbers)}")
    got: list[Msg] = []

    async def on_message(message: Msg) -> None:
        got.append(message)

    async with taken_over(server, WEB) as web:
        inbox = web.nc.new_inbox()
        await web.nc.subscribe(inbox, cb=on_message)
        for consumer in (topology.work(SUBJECTS, CODE, "batch"), topology.coordinator(SUBJECTS)):
            await web.nc.publish(calls.pull(consumer), b'{"batch": 1, "no_wait": true}', reply=inbox)
        await web.nc.publish(calls.pull(topology.work(SUBJECTS, WEB, "batch")), b'{"batch": 1, "no_wait": true}', reply=inbox)
        await until(lambda: len(got) == 1, "the answer that there is no work of its own")
    assert [m.data for m in got] == [b""]
    assert await inspector.depth(topology.work(SUBJECTS, CODE, "batch")) == (1, 0)
    taken = asyncio.Event()

    async def take(delivery: Delivery) -> None:
        taken.set()
        await delivery.ack()

    code = await JetStream.connect(server.url, CODE, SUBJECTS, access=server.access(CODE))
    consumption = code.consume(topology.work(SUBJECTS, CODE, "batch"), take, 1)
    await asyncio.wait_for(taken.wait(), 30)
    await consumption.stop()
    await code.close()


async def test_who_may_not_is_told_so_at_once(server: Secured) -> None:
    """And does not wait for an answer that will never come."""
    bus = await JetStream.connect(server.url, WEB, SUBJECTS, access=server.access(WEB))
    began = time.monotonic()
    with pytest.raises(Refused, match=r"no permission for 'sec\.task\.t\.outcome'"):
        await bus.write_once(SUBJECTS.fact("t", "outcome"), b"{}")
    with pytest.raises(Refused, match=r"no permission for '\$JS\.API\.STREAM\.CREATE\.SEC_TIMERS'"):
        await bus.provision(topology.installation(SUBJECTS))
    with pytest.raises(Refused, match="no permission to listen"):
        await bus.subscribe(SUBJECTS.progress("*"), lambda message: asyncio.sleep(0))
    assert time.monotonic() - began < 5
    await bus.close()


async def test_without_the_right_to_make_queues_a_missing_one_says_what_to_run(server: Secured) -> None:
    bus = await JetStream.connect(server.url, INSPECTOR, SUBJECTS, access=server.access(INSPECTOR), provisions=False)
    await bus.provision(topology.queues(SUBJECTS, KINDS))
    with pytest.raises(Refused, match=r"no consumer interactive-legal.*python -m concertino\.runtime\.provision"):
        await bus.provision(topology.queues(SUBJECTS, ["legal"]))
    await bus.close()


def test_only_one_role_may_make_or_alter_streams_and_consumers() -> None:
    changing = ("CREATE", "UPDATE", "DELETE", "PAUSE", "RESTORE", "SNAPSHOT", "LEADER", "PEER", "UNPIN", "RESET")
    for name, role in ROLES.items():
        may = [s for s in role.publish if s.startswith("$JS.API") and any(word in s.split(".") for word in changing)]
        assert bool(may) == (name == PROVISION), name
        assert "*" not in {s.split(".")[0] for s in (*role.publish, *role.subscribe)}
        assert not any(s in (">", "*") or s.startswith(("$JS.API.>", "$JS.>", "$KV.>")) for s in role.publish)
    assert {name for name, role in ROLES.items() if role.account == SUBJECTS.account} == {ORCHESTRATOR, PROVISION, MONITOR}
