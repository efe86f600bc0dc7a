"""Of several coordinators each task is one's: the others hand it what they get, and do it themselves if nobody answers."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from orchestra import Faulty, Orchestra, brought, subtask

from concertino.bus.jetstream import JetStream
from concertino.bus.memory import MemoryBus
from concertino.bus.port import Listener, Subscription
from concertino.contracts.codec import encode
from concertino.contracts.errors import BusUnavailable, Refused
from concertino.contracts.messages import Look, Looked, Message, OutcomeStatus, Present
from concertino.contracts.subjects import Subjects
from concertino.orchestrator import peers
from concertino.orchestrator.coordinator import RETRY_DELAY, Coordinator
from concertino.orchestrator.peers import Peers
from concertino.runtime.clock import Clock
from concertino.runtime.nats_server import NatsServer
from kit.waiting import until

WIDE = [subtask(f"s{n}") for n in range(20)]


async def two(orchestra: Orchestra, *wraps: Callable[[MemoryBus], Any]) -> tuple[Coordinator, Coordinator]:
    """Coordinators who know each other."""
    a, b = [await orchestra.conduct(wrap) for wrap in (wraps or (lambda bus: bus, lambda bus: bus))]
    await until(lambda: a._peers.others == [b._peers.name] and b._peers.others == [a._peers.name], "they hear each other")
    return a, b


def task_of(owner: Peers, *others: str) -> str:
    """A name for a task that is ``owner``'s beside ``others``."""
    beside = alone(MemoryBus(), owner._subjects)
    beside.name = owner.name
    beside._heard = dict.fromkeys(others, beside._clock())
    return next(task for n in range(1000) if beside.owner(task := f"t{n}") is None)


async def nobody(task: str, handed: peers.Handed) -> None:
    raise AssertionError("nothing is handed over here")


def alone(bus: Any, subjects: Subjects, clock: Clock = time.monotonic) -> Peers:
    """One to whom nothing is handed over."""
    return Peers(bus, subjects, nobody, lambda task: 0, lambda: None, clock)


async def say(orchestra: Orchestra, subject: str, message: Message) -> None:
    await orchestra.buses[0].publish(subject, encode(message))


async def test_the_log_of_a_task_is_read_by_one_of_them(orchestra: Orchestra) -> None:
    readers: dict[str, set[str]] = defaultdict(set)

    def counted(name: str) -> Callable[[MemoryBus], Faulty]:
        def note(call: str, subject: str) -> None:
            if call == "read":
                readers[subject].add(name)

        return lambda bus: Faulty(bus, note)

    await two(orchestra, counted("a"), counted("b"))
    await orchestra.play()
    tasks = [f"t{n}" for n in range(24)]
    for task in tasks:
        await orchestra.submit(task, brought(*WIDE, deadline=3600.0))
    for task in tasks:
        assert (await orchestra.outcome(task)).status == OutcomeStatus.ANSWERED
    await orchestra.quiet()

    assert {task: len(readers[orchestra.subjects.task(task)]) for task in tasks} == dict.fromkeys(tasks, 1)
    assert set.union(*readers.values()) == {"a", "b"}, "both have some"


async def test_a_task_of_a_peer_that_does_not_answer_is_done_here(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ANSWERED", 0.05)
    asked: list[bytes] = []

    async def silent(message: Any) -> None:
        asked.append(message.data)

    await orchestra.buses[0].subscribe(orchestra.subjects.coordinator("look", "frozen"), silent)
    coordinator = await orchestra.conduct()
    await orchestra.play()
    ghost = alone(orchestra.buses[0], orchestra.subjects)
    ghost.name = "frozen"
    await until(lambda: coordinator._peers._subscriptions != [])
    await say(orchestra, orchestra.subjects.coordinator("here"), Present(replica="frozen"))
    await until(lambda: coordinator._peers.others == ["frozen"])

    task = task_of(ghost, coordinator._peers.name)
    await orchestra.submit(task, brought(*WIDE, deadline=3600.0))

    assert (await orchestra.outcome(task)).status == OutcomeStatus.ANSWERED
    assert len(asked) == 1, "it is not asked again while it is silent"
    assert coordinator._peers.others == []


async def test_what_a_peer_could_not_do_comes_again(orchestra: Orchestra) -> None:
    broken = True

    def fault(call: str, subject: str) -> None:
        if broken and call == "read":
            raise BusUnavailable("away")

    a, b = await two(orchestra, lambda bus: Faulty(bus, fault), lambda bus: bus)
    task = task_of(a._peers, b._peers.name)
    assert b._peers.owner(task) == a._peers.name
    await orchestra.submit(task, brought(*WIDE, deadline=3600.0))
    looked = await b._peers.hand(a._peers.name, task, 1)
    assert looked is not None
    assert looked.retry == RETRY_DELAY

    broken = False
    await orchestra.play()
    assert (await orchestra.outcome(task, within=10.0)).status == OutcomeStatus.ANSWERED
    await orchestra.quiet()


async def test_who_leaves_is_asked_no_more_and_what_it_was_asked_is_done_by_others(orchestra: Orchestra) -> None:
    stuck, go_on = asyncio.Event(), asyncio.Event()

    class Stuck(Faulty):
        def __getattr__(self, name: str) -> Any:
            found = getattr(self._bus, name)
            if name != "read":
                return found

            async def read(*args: Any, **kwargs: Any) -> Any:
                stuck.set()
                await go_on.wait()
                return await found(*args, **kwargs)

            return read

    a, b = await two(orchestra, lambda bus: Stuck(bus, lambda *_: None), lambda bus: bus)
    await orchestra.play()
    task = task_of(a._peers, b._peers.name)
    asking = asyncio.create_task(b._peers.hand(a._peers.name, task, 0))
    await orchestra.submit(task, brought(*WIDE, deadline=3600.0))
    await stuck.wait()
    leaving = asyncio.create_task(a.stop())

    assert await asking is None, "at once, not when it would have answered"
    assert b._peers.others == []
    go_on.set()
    await leaving
    assert (await orchestra.outcome(task, within=10.0)).status == OutcomeStatus.ANSWERED


async def test_two_who_each_think_it_is_the_others_do_not_send_it_round(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await two(orchestra)
    monkeypatch.setattr(a._peers, "owner", lambda task: b._peers.name)
    monkeypatch.setattr(b._peers, "owner", lambda task: a._peers.name)
    await orchestra.play()
    await orchestra.submit("t", brought(*WIDE, deadline=3600.0))

    assert (await orchestra.outcome("t")).status == OutcomeStatus.ANSWERED
    await orchestra.quiet()


async def test_who_may_not_hear_others_does_all_it_gets(orchestra: Orchestra) -> None:
    class Deaf(Faulty):
        async def subscribe(self, subject: str, listener: Listener, *, confirm: bool = True) -> Subscription:
            raise Refused(f"no permission for {subject}: its users were made by an earlier release")

    deaf = await orchestra.conduct(lambda bus: Deaf(bus, lambda *_: None))
    other = await orchestra.conduct()
    await orchestra.play()
    for n in range(6):
        await orchestra.submit(f"t{n}", brought(*WIDE, deadline=3600.0))
    for n in range(6):
        assert (await orchestra.outcome(f"t{n}")).status == OutcomeStatus.ANSWERED
    assert (deaf._peers.others, other._peers.others) == ([], [])
    await deaf.stop()


async def test_what_cannot_be_understood_harms_nobody(orchestra: Orchestra) -> None:
    a, b = await two(orchestra)
    await orchestra.play()
    subjects, bus = orchestra.subjects, orchestra.buses[0]
    for subject in (
        subjects.coordinator("here"),
        *(subjects.coordinator(what, one._peers.name) for what in ("look", "looked") for one in (a, b)),
    ):
        for data in (b"", b"garbage", b"[]", b'{"number": "x"}', b'{"replica": "' + b"x" * 100 + b'"}'):
            await bus.publish(subject, data)
    await say(orchestra, subjects.coordinator("looked", a._peers.name), Looked(number=12345))
    await say(orchestra, subjects.coordinator("look", a._peers.name), Look(replica="x.>", number=1, task="*", reach=9))
    await say(orchestra, subjects.coordinator("look", b._peers.name), Look(replica="", number=1, task="", reach=0))
    for n in range(6):
        await orchestra.submit(f"t{n}", brought(*WIDE, deadline=3600.0))
    for n in range(6):
        assert (await orchestra.outcome(f"t{n}")).status == OutcomeStatus.ANSWERED


@pytest.mark.nats
async def test_who_has_a_name_that_cannot_be_addressed_is_not_asked(subjects: Subjects, nats_server: NatsServer) -> None:
    bus = await JetStream.connect(nats_server.url, "test", subjects, patience=2.0)
    one = alone(bus, subjects)
    one._heard["no name"] = one._clock()
    assert await one.hand("no name", "t", 1) is None
    assert one.others == []
    await bus.close()


async def test_tasks_are_shared_out_evenly_and_stay_where_they_are() -> None:
    subjects = Subjects()
    all_of_them = {name: alone(MemoryBus(), subjects) for name in ("a", "b", "c")}
    for name, one in all_of_them.items():
        one.name = name
        one._heard = dict.fromkeys(all_of_them.keys() - {name}, one._clock())
    tasks = [f"task-{n}" for n in range(3000)]
    owners = {task: {one.owner(task) or one.name for one in all_of_them.values()} for task in tasks}

    assert all(len(found) == 1 for found in owners.values()), "all say the same"
    shares = [sum(found == {name} for found in owners.values()) for name in all_of_them]
    assert min(shares) > 850
    del all_of_them["a"]._heard["c"]
    moved = {task for task in tasks if {all_of_them["a"].owner(task) or "a"} != owners[task]}
    assert moved == {task for task in tasks if owners[task] == {"c"}}, "only those of who has gone"


async def test_who_falls_silent_is_gone() -> None:
    now = 100.0
    one = alone(MemoryBus(), Subjects(), lambda: now)
    one._heard["b"] = now

    now += peers.GONE
    assert one.others == ["b"]
    now += 0.1
    assert one.others == []
    assert one.owner("t") is None
