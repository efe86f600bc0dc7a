"""Crashes, a bus that does not answer, and bugs: each task ends once, and none is stuck."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import pytest
from orchestra import Faulty, Orchestra, brought, good_work, subtask
from structlog.testing import capture_logs

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import COORDINATOR_LEASE
from concertino.contracts.errors import BusUnavailable, Refused
from concertino.contracts.messages import Cancel, Submitted
from concertino.contracts.state import State
from concertino.orchestrator import coordinator as module
from concertino.orchestrator.core.decide import decide
from concertino.orchestrator.core.policies.hedge import Hedging
from kit.inbox import Heard
from kit.waiting import until


class Crash:
    """A fault after which the coordinator is never heard of again: not even its deliveries are settled."""

    def __init__(self, orchestra: Orchestra, call: str, suffix: str) -> None:
        self._orchestra, self._call, self._suffix = orchestra, call, suffix
        self.happened = False

    def __call__(self, call: str, subject: str) -> None:
        if self.happened or (call == self._call and subject.endswith(self._suffix)):
            self.happened = True
            raise asyncio.CancelledError

    async def conduct(self) -> None:
        await self._orchestra.conduct(lambda bus: Faulty(bus, self))

    async def bury(self) -> None:
        """Wait for the crash, and take the connection from the dead."""
        await until(lambda: self.happened, "the crash")
        await self._orchestra.buses[-1].close()


@pytest.mark.parametrize(
    ("call", "suffix"),
    [
        ("schedule", ".timer.join"),
        ("enqueue", ".work.interactive.plan"),
        ("write_once", ".dispatched.1"),  # work is in the queue, and nobody has said so
        ("write_once", ".outcome"),
        ("write_once", ".dispatched.2"),
        ("write_once", ".dispatched.3"),
        ("unschedule", ".timer.join"),
    ],
)
async def test_another_coordinator_takes_over_wherever_one_dies(orchestra: Orchestra, call: str, suffix: str) -> None:
    await orchestra.play()
    crash = Crash(orchestra, call, suffix)
    await crash.conduct()
    await orchestra.submit("t", Submitted(request="What is it?"))
    await crash.bury()

    await orchestra.conduct()
    await orchestra.advance(COORDINATOR_LEASE + 1)

    assert (await orchestra.outcome("t")).reason == "3 subtasks done"
    await orchestra.quiet()
    assert len(orchestra.delivered) == len(set(orchestra.delivered)) == 5
    names = await orchestra.names("t")
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("call", "suffix", "times"),
    [
        ("unschedule", ".timer.join", 1),  # the task has ended, and nobody was told
        ("publish", ".signal.t", 1),
        ("write_once", ".halted", 2),  # whoever works was told, and whoever looks later would not be
    ],
)
async def test_workers_hear_of_the_end_wherever_a_coordinator_dies(
    orchestra: Orchestra, call: str, suffix: str, times: int
) -> None:
    told = Heard()
    await orchestra.play(lambda work: None)
    await (await orchestra.connect()).subscribe(orchestra.subjects.signal("t"), told)
    crash = Crash(orchestra, call, suffix)
    await crash.conduct()
    await orchestra.submit("t", brought(subtask("a")))
    await until(lambda: len(orchestra.delivered) == 1)
    await orchestra.write("t", "cancel", Cancel())
    await crash.bury()
    assert "halted" not in await orchestra.names("t")

    await orchestra.conduct()
    await orchestra.advance(COORDINATOR_LEASE + 1)

    async def known() -> bool:
        return "halted" in await orchestra.names("t")

    await until(known, "workers that look at the log see that the task is over")
    await orchestra.quiet()
    assert len(told.data) == times


async def test_a_bus_that_refuses_reads_for_a_while_costs_time_and_nothing_else(orchestra: Orchestra) -> None:
    refused = 0

    def fault(call: str, subject: str) -> None:
        nonlocal refused
        if call == "read" and refused < 20:  # more often than a bug would be forgiven
            refused += 1
            raise BusUnavailable("no answer in time")

    await orchestra.play()
    await orchestra.conduct(lambda bus: Faulty(bus, fault))
    await orchestra.submit("t", Submitted(request="What is it?"))

    assert (await orchestra.outcome("t", within=30)).reason == "3 subtasks done"
    assert refused == 20
    assert len(orchestra.delivered) == len(set(orchestra.delivered)) == 5


@pytest.mark.parametrize("call", ["write_once", "enqueue", "schedule", "keys", "publish", "unschedule"])
async def test_any_word_to_the_bus_may_fail_and_is_said_again(orchestra: Orchestra, call: str) -> None:
    failed: set[str] = set()

    def fault(called: str, subject: str) -> None:
        if called == call and subject not in failed:
            failed.add(subject)
            raise BusUnavailable("no answer in time")

    await orchestra.play()
    await orchestra.conduct(lambda bus: Faulty(bus, fault))
    await orchestra.submit("t", Submitted(request="What is it?"))

    assert (await orchestra.outcome("t", within=30)).reason == "3 subtasks done"
    await orchestra.advance(1)
    await orchestra.quiet()
    assert len(orchestra.delivered) == len(set(orchestra.delivered)) == 5


class Lagging(Faulty):
    """Reads show the log up to sequence ``shown`` (``behind`` the newest, where that is unset), or as far as they must."""

    def __init__(self, bus: MemoryBus, fault: Callable[[str, str], None], shown: int = 0, behind: int = 0) -> None:
        super().__init__(bus, fault)
        self.shown, self.behind = shown, behind

    async def read(self, stream: str, subjects: str, after: int = 0, reach: int = 0) -> Any:
        found = await self._bus.read(stream, subjects, after, reach)
        newest = self._bus.server.stream(stream).last_sequence
        return [s for s in found if s.sequence <= max(reach, self.shown or newest - self.behind)]


async def test_a_replica_that_lags_is_waited_for_and_not_asked_in_a_circle(orchestra: Orchestra) -> None:
    """A fact of ours is refused, and the read does not show yet what stands there."""
    enqueued = 0
    made: list[Lagging] = []

    def count(call: str, subject: str) -> None:
        nonlocal enqueued
        enqueued += call == "enqueue"

    def lagging(bus: MemoryBus) -> Lagging:
        made.append(Lagging(bus, count, shown=1))
        return made[0]

    await orchestra.play()
    await orchestra.submit("t", brought(subtask("a")))
    await orchestra.write_raw("t", "dispatched.1", b"{}")
    await orchestra.conduct(lagging)
    async with asyncio.timeout(5):
        await orchestra.advance(0.6)
    assert enqueued == 2  # at once, and after half a second

    made[0].shown = 1_000

    assert (await orchestra.outcome("t", within=5)).reason == "1 subtask done"


async def test_reads_may_lag_as_long_as_they_show_what_there_was_to_react_to(orchestra: Orchestra) -> None:
    await orchestra.play()
    await orchestra.conduct(lambda bus: Lagging(bus, lambda *_: None, behind=4))
    await orchestra.submit("t", Submitted(request="What is it?"))

    assert (await orchestra.outcome("t")).reason == "3 subtasks done"


async def test_a_log_that_makes_us_fail_ends_and_costs_other_tasks_nothing(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    told = Heard()

    def poisoned(state: State, now: float, kinds: Collection[str], hedging: Hedging) -> Any:
        nonlocal asked
        if state.task == "poison":
            asked += 1
            raise ValueError("nobody foresaw this")
        return decide(state, now, kinds, hedging)

    monkeypatch.setattr(module, "decide", poisoned)
    await orchestra.play()
    await orchestra.conduct()
    await (await orchestra.connect()).subscribe(orchestra.subjects.signal("poison"), told)
    await orchestra.submit("poison", Submitted(request="What is it?"))
    await orchestra.submit("t", Submitted(request="What is it?"))
    assert (await orchestra.outcome("t")).status == "answered"

    outcome = await orchestra.outcome("poison", within=30)

    assert outcome.status == "failed"
    assert outcome.reason == (
        "the orchestrator cannot handle this task (ValueError: nobody foresaw this): please report it with its log"
    )
    assert asked == module.BUG_ATTEMPTS
    await until(lambda: len(told.data) == 1, "whoever works on it is told")
    await orchestra.quiet()


async def test_an_error_that_will_not_go_away_ends_the_task_in_its_own_words(orchestra: Orchestra) -> None:
    def fault(call: str, subject: str) -> None:
        if call == "schedule":
            raise Refused("the server takes no schedules: upgrade it to 2.12")

    await orchestra.conduct(lambda bus: Faulty(bus, fault))
    await orchestra.submit("t", Submitted(request="What is it?"))

    outcome = await orchestra.outcome("t", within=30)

    assert (outcome.status, outcome.reason) == ("failed", "the server takes no schedules: upgrade it to 2.12")
    await orchestra.quiet()


async def test_a_bug_that_goes_away_ends_no_task(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def shaky(state: State, now: float, kinds: Collection[str], hedging: Hedging) -> Any:
        nonlocal asked
        asked += 1
        if asked < module.BUG_ATTEMPTS:
            raise ValueError("once in a while")
        return decide(state, now, kinds, hedging)

    monkeypatch.setattr(module, "decide", shaky)
    await orchestra.play()
    await orchestra.conduct()
    await orchestra.submit("t", Submitted(request="What is it?"))

    assert (await orchestra.outcome("t", within=30)).status == "answered"


async def test_facts_that_were_delivered_often_are_no_fault(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each orchestrator that is restarted in the middle leaves its facts to the next; and then something fails once."""
    failed = False

    def shaky(state: State, now: float, kinds: Collection[str], hedging: Hedging) -> Any:
        nonlocal failed
        if not failed:
            failed = True
            raise ValueError("once in a while")
        return decide(state, now, kinds, hedging)

    await orchestra.submit("t", Submitted(request="What is it?"))
    for _ in range(module.BUG_ATTEMPTS + 1):
        crash = Crash(orchestra, "schedule", ".timer.join")
        await crash.conduct()
        await orchestra.advance(COORDINATOR_LEASE + 1)
        await crash.bury()
    monkeypatch.setattr(module, "decide", shaky)
    await orchestra.play()
    await orchestra.conduct()

    assert (await orchestra.outcome("t", within=30)).status == "answered"
    assert failed


async def test_faults_count_in_a_row(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    """One now and then is forgiven, for as long as the task gets on in between."""
    faults: Counter[int] = Counter()

    def shaky(state: State, now: float, kinds: Collection[str], hedging: Hedging) -> Any:
        faults[len(state.results)] += 1
        if faults[len(state.results)] < module.BUG_ATTEMPTS - 1:
            raise ValueError("once in a while")
        return decide(state, now, kinds, hedging)

    monkeypatch.setattr(module, "decide", shaky)
    await orchestra.play()
    await orchestra.conduct()
    await orchestra.submit("t", brought(subtask("a"), subtask("b", "a"), subtask("c", "b"), deadline=600))

    assert (await orchestra.outcome("t", within=200)).status == "answered"
    assert len(faults) == 4


async def test_triggers_that_cannot_be_settled_come_back_and_are_settled_then(orchestra: Orchestra) -> None:
    """Everything is done, and the word that says so is lost: for a whole group of triggers."""
    lost = 0

    class Deaf(Faulty):
        def consume(self, consumer: Any, handler: Any, slots: int) -> Any:
            async def handle(delivery: Any) -> None:
                ack = delivery.ack

                async def once() -> None:
                    nonlocal lost
                    lost += 1
                    if lost <= 3:
                        raise BusUnavailable("the connection is gone")
                    await ack()

                delivery.ack = once
                if (handling := handler(delivery)) is not None:
                    await handling

            return self._bus.consume(consumer, handle, slots)

    await orchestra.play(good_work)
    await orchestra.conduct(lambda bus: Deaf(bus, lambda *_: None))
    await orchestra.submit("t", brought(*(subtask(f"s{i}") for i in range(10))))

    with capture_logs() as logs:
        assert (await orchestra.outcome("t", within=30)).reason == "10 subtasks done"
        await orchestra.advance(COORDINATOR_LEASE + 1)
        await orchestra.quiet()
    assert {entry["event"] for entry in logs} == {"triggers could not be settled; they come back when their lease ends"}
    assert len(orchestra.delivered) == len(set(orchestra.delivered)) == 11
