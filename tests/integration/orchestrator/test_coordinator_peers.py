"""Of several coordinators each task is one's: the others hand it what they get, and do it themselves if nobody answers."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs
from orchestra import Faulty, Orchestra, brought, subtask
from prometheus_client import REGISTRY

from concertino.bus import topology
from concertino.bus.jetstream import JetStream
from concertino.bus.memory import MemoryBus
from concertino.bus.port import Listener, Stored, Subscription
from concertino.contracts.codec import encode
from concertino.contracts.errors import BusUnavailable, Refused
from concertino.contracts.messages import Look, Looked, Message, OutcomeStatus, Present
from concertino.contracts.state import State
from concertino.contracts.subjects import Subjects
from concertino.orchestrator import coordinator as coordinating
from concertino.orchestrator import peers
from concertino.orchestrator.coordinator import RETRY_DELAY, Coordinator
from concertino.orchestrator.core.decide import decide
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


def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: nobody is taken for gone who merely had no turn."""
    monkeypatch.setattr(peers, "GONE", 300.0)
    monkeypatch.setattr(peers, "ANSWERED", 300.0)


def decisions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The task of each decision from now on."""
    decided: list[str] = []

    def counted(state: State, *args: Any) -> Any:
        decided.append(state.task)
        return decide(state, *args)

    monkeypatch.setattr(coordinating, "decide", counted)
    return decided


async def nobody(task: str, handed: peers.Handed) -> None:
    raise AssertionError("nothing is handed over here")


def alone(bus: Any, subjects: Subjects, clock: Clock = time.monotonic) -> Peers:
    """One to whom nothing is handed over."""
    return Peers(bus, subjects, nobody, lambda task: 0, lambda: None, clock)


def handed_over(answer: str) -> float:
    return REGISTRY.get_sample_value("concertino_handed_over_total", {"answer": answer}) or 0.0


async def say(orchestra: Orchestra, subject: str, message: Message) -> None:
    await orchestra.buses[0].publish(subject, encode(message))


async def test_the_log_of_a_task_is_read_by_one_of_them(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    patiently(monkeypatch)
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


async def test_what_is_handed_over_at_once_goes_in_one_message_and_so_do_the_answers(orchestra: Orchestra) -> None:
    said: list[str] = []

    def note(call: str, subject: str) -> None:
        if call == "publish":
            said.append(subject)

    a, b = await two(orchestra, lambda bus: Faulty(bus, note), lambda bus: Faulty(bus, note))
    told = await asyncio.gather(*(b._peers.hand(a._peers.name, f"t{n}", 0) for n in range(peers.MANY + 50)))

    assert {answer.retry for answer in told if answer} == {None}
    assert len({answer.number for answer in told if answer}) == peers.MANY + 50
    assert said.count(orchestra.subjects.coordinator("look", a._peers.name)) == 2
    assert said.count(orchestra.subjects.coordinator("looked", b._peers.name)) < 20


async def test_one_of_the_release_before_is_asked_and_answered_one_by_one(orchestra: Orchestra) -> None:
    bus, subjects = orchestra.buses[0] if orchestra.buses else await orchestra.connect(), orchestra.subjects
    coordinator = await orchestra.conduct()
    await until(lambda: coordinator._peers._subscriptions != [])
    asked: list[dict[str, Any]] = []
    answered: list[dict[str, Any]] = []

    async def on_look(message: Any) -> None:
        asked.append(found := msgspec.json.decode(message.data))
        await bus.publish(subjects.coordinator("looked", coordinator._peers.name), b'{"number":%d}' % found["number"])

    async def on_looked(message: Any) -> None:
        answered.append(msgspec.json.decode(message.data))

    await bus.subscribe(subjects.coordinator("look", "before"), on_look)
    await bus.subscribe(subjects.coordinator("looked", "before"), on_looked)
    await bus.publish(subjects.coordinator("here"), b'{"replica":"before"}')
    await until(lambda: coordinator._peers.others == ["before"])

    told = await asyncio.gather(*(coordinator._peers.hand("before", f"t{n}", 0) for n in range(5)))
    assert [(one.retry, one.seen) for one in told if one] == [(None, 0)] * 5
    assert [set(one) for one in asked] == [{"replica", "number", "task", "reach"}] * 5
    for number in range(5):
        question = b'{"replica":"before","number":%d,"task":"t%d","reach":0}' % (number, number)
        await bus.publish(subjects.coordinator("look", coordinator._peers.name), question)
    await until(lambda: len(answered) == 5)
    assert sorted(one["number"] for one in answered) == list(range(5))
    assert all("more" not in one for one in answered)


class Held:
    """A delivery that a test holds."""

    def __init__(self, message: Stored, attempt: int = 1) -> None:
        self.message, self.attempt, self.settled = message, attempt, ""

    async def ack(self, *, confirm: bool = False) -> None:
        self.settled = "done"

    async def nak(self, delay: float = 0) -> None:
        self.settled = "again"

    async def in_progress(self) -> None: ...


async def test_what_the_owner_has_seen_already_is_not_handed_to_it_and_what_comes_again_is_handled_where_it_comes(
    orchestra: Orchestra,
) -> None:
    asked: list[str] = []
    read: list[str] = []

    def note(call: str, subject: str) -> None:
        if call == "publish" and subject.startswith(orchestra.subjects.coordinator("look", "x")[:-1]):
            asked.append(subject)
        if call == "read":
            read.append(subject)

    a, b = await two(orchestra, lambda bus: bus, lambda bus: Faulty(bus, note))
    await orchestra.play()
    task = task_of(a._peers, b._peers.name)
    await orchestra.submit(task, brought(*WIDE, deadline=3600.0))
    await orchestra.outcome(task)
    await orchestra.quiet()
    submitted, *others = [stored for stored in await orchestra.facts(task) if ".result." in stored.subject]
    b._states._done.clear()
    asked.clear()

    before = handed_over("answered")
    first = Held(submitted)
    await b._intake.take(first)
    assert (first.settled, len(asked)) == ("done", 1)
    more = [Held(stored) for stored in others]
    for delivery in more:
        await b._intake.take(delivery)
    assert {delivery.settled for delivery in more} == {"done"}
    assert len(asked) == 1, "the first answer said how far all is done"
    assert not read

    again = Held(others[0], attempt=2)
    await b._intake.take(again)
    assert (again.settled, len(asked), len(read)) == ("done", 1, 1)
    assert handed_over("answered") == before + 1
    assert b._states.seen(task) is None, "it keeps nothing of what it read in another's place"


async def test_what_was_read_with_a_trigger_before_it_is_not_decided_again(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided = decisions(monkeypatch)
    one = await orchestra.conduct()
    await orchestra.play(lambda work: None)
    await orchestra.submit("t", brought(*WIDE, deadline=3600.0))
    await until(lambda: len(orchestra.delivered) == len(WIDE))
    await orchestra.quiet()
    [dispatched] = [stored for stored in await orchestra.facts("t") if stored.subject.endswith("dispatched.1")]
    before = len(decided)

    seen = Held(dispatched)
    seen.message = structs.replace(dispatched, sequence=1)
    await one._intake.take(seen)
    assert (seen.settled, len(decided)) == ("done", before)
    again = Held(seen.message, attempt=2)
    await one._intake.take(again)
    assert (again.settled, len(decided)) == ("done", before + 1)


@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_name_whose_log_is_no_longer_kept_is_a_task_as_any_other(orchestra: Orchestra, replicas: int) -> None:
    if replicas == 1:
        await orchestra.conduct()
    else:
        await two(orchestra)
    await orchestra.play()
    tasks = [f"t{n}" for n in range(12)]
    for _ in range(2):
        for task in tasks:
            await orchestra.submit(task, brought(*WIDE, deadline=3600.0))
        for task in tasks:
            assert (await orchestra.outcome(task)).status == OutcomeStatus.ANSWERED
        await orchestra.quiet()
        await orchestra.advance(9 * topology.DAY)
        assert [await orchestra.facts(task) for task in tasks] == [[]] * len(tasks)


async def test_of_a_log_that_was_made_anew_nothing_is_known(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    decided = decisions(monkeypatch)
    one = await orchestra.conduct()
    for n in range(10):  # the log is as long as what is delivered here says
        await orchestra.submit(f"other{n}", brought(*WIDE))
    await orchestra.quiet()
    one._states.did("t", 500)
    for sequence, looked in ((498, 0), (499, 0), (5, 1), (4, 2)):
        delivery = Held(Stored(orchestra.subjects.fact("t", "result.web.s1"), b"", {}, sequence, 0.0))
        await one._intake.take(delivery)
        assert (delivery.settled, decided.count("t")) == ("done", looked)


async def test_who_is_joined_by_another_forgets_what_is_the_others_now(orchestra: Orchestra) -> None:
    a = await orchestra.conduct()
    await orchestra.play(lambda work: None)
    tasks = {f"t{n}" for n in range(40)}
    for task in tasks:
        await orchestra.submit(task, brought(*WIDE, deadline=3600.0))
    await orchestra.quiet()
    assert a._states._states.keys() == tasks
    b = await orchestra.conduct()
    await until(lambda: a._peers.others == [b._peers.name])

    kept = a._states._states.keys()
    assert kept == {task for task in tasks if a._peers.owner(task) is None}
    assert kept != tasks


async def test_who_cannot_ask_another_does_it_itself_and_may_ask_later(orchestra: Orchestra) -> None:
    away = True

    def fault(call: str, subject: str) -> None:
        if away and call == "publish" and ".look." in subject:
            raise BusUnavailable("away")

    a, b = await two(orchestra, lambda bus: bus, lambda bus: Faulty(bus, fault))
    assert await b._peers.hand(a._peers.name, "t", 0) is None
    assert b._peers.others == [a._peers.name]
    away = False
    assert await b._peers.hand(a._peers.name, "t", 0) is not None


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

    before = handed_over("unanswered")
    task = task_of(ghost, coordinator._peers.name)
    await orchestra.submit(task, brought(*WIDE, deadline=3600.0))

    assert (await orchestra.outcome(task)).status == OutcomeStatus.ANSWERED
    assert len(asked) == 1, "it is not asked again while it is silent"
    assert handed_over("unanswered") == before + 1
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


async def test_who_comes_while_another_leaves_does_not_take_it_for_one_that_stays(orchestra: Orchestra) -> None:
    a, b = await two(orchestra)
    await a._peers.leave()
    await until(lambda: b._peers.others == [], "it said that it leaves")

    c = await orchestra.conduct()
    await until(lambda: c._peers.name in a._peers.others and b._peers.name in c._peers.others, "it was heard, and answered")
    for hears, name in ((a, "first"), (c, "second")):  # whatever was said before that has been heard then
        await say(orchestra, orchestra.subjects.coordinator("here"), Present(replica=name))
        await until(lambda hears=hears, name=name: name in hears._peers.others, f"{name} is heard")
    assert set(c._peers.others) == {b._peers.name, "first", "second"}


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
