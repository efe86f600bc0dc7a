"""Who waits for a task pays for what it wants to know: how it ended is one message, however wide it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.memory.flow import MemorySubscription
from concertino.bus.port import Listener, Stored
from concertino.bus.tasklog import TaskLog
from concertino.client import Client, Plan, Subtask, ending
from concertino.client import client as client_module
from concertino.contracts.errors import BusUnavailable, DeadlineExceeded, InvalidId, TaskNotFound
from concertino.contracts.messages import Announcement, Dispatched, Finding, Outcome, OutcomeStatus, Result, Submitted
from concertino.contracts.subjects import Subjects
from kit.waiting import PATIENCE, until

SUBJECTS = Subjects()
PLAN = Plan(subtasks=tuple(Subtask(id=f"s{i}", kind="web", objective="look") for i in range(3)), synthesize=False)
ANSWERED = Outcome(status=OutcomeStatus.ANSWERED, reason="3 subtasks done")


class Counted(MemoryBus):
    """Counts what it reads, may lag or be away for some reads, and may be deaf."""

    wide: list[int]
    """From where on each whole log was read."""
    single = 0
    listening = 0
    lags = 0
    away = 0
    deaf = False

    def __init__(self, subjects: Subjects, server: MemoryServer | None = None) -> None:
        super().__init__(subjects, server=server)
        self.wide = []

    async def read(
        self, stream: str, subjects: str, after: int = 0, reach: int = 0, since: float | None = None
    ) -> list[Stored]:
        if stream == SUBJECTS.tasks_stream:
            self.wide.append(after)
        return await super().read(stream, subjects, after, reach, since)

    async def newest(self, stream: str, subject: str) -> Stored | None:
        self.single += 1
        if self.away:
            self.away -= 1
            raise BusUnavailable("away")
        found = await super().newest(stream, subject)
        if found and self.lags:
            self.lags -= 1
            return None
        return found

    async def subscribe(self, subject: str, listener: Listener, *, confirm: bool = True) -> MemorySubscription:
        async def nothing(_: Stored) -> None: ...

        found = await super().subscribe(subject, nothing if self.deaf else listener, confirm=confirm)
        self.listening += 1
        return found


@pytest.fixture
async def bus() -> AsyncIterator[Counted]:
    bus = Counted(SUBJECTS)
    await bus.provision(topology.installation(SUBJECTS))
    await announce(bus, SUBJECTS, Announcement(kind="web", description="Looks.", replica="r1"))
    yield bus
    await bus.close()


@pytest.fixture
async def log(bus: Counted) -> AsyncIterator[TaskLog]:
    """Of others: what they read and write is not counted."""
    other = MemoryBus(SUBJECTS, server=bus.server)
    yield TaskLog(other, SUBJECTS)
    await other.close()


async def work(log: TaskLog, task: str) -> None:
    """What an orchestrator and its workers write."""
    await log.write(task, "dispatched.1", Dispatched(work=tuple((s.work_id, 1) for s in PLAN.subtasks)))
    for subtask in PLAN.subtasks:
        await log.write(task, subtask.work_id, Result(findings=(Finding(claim=f"found {subtask.id}"),), worker="w"))
    await log.write(task, "outcome", ANSWERED)


async def submitted(log: TaskLog, task: str) -> None:
    async def there() -> bool:
        return await log.read_one(task, "submitted") is not None

    await until(there)


async def test_an_outcome_is_read_alone(bus: Counted, log: TaskLog) -> None:
    async with Client(bus=bus) as client:
        task = await client.submit("where?", plan=PLAN)
        waiting = asyncio.create_task(client.outcome(task))
        await until(lambda: bus.single > 0, "it looks whether the task has ended already")
        await work(log, task)

        assert await waiting == ANSWERED
    assert not bus.wide
    assert bus.single == 2, "one look before it ended, and one after"


@pytest.fixture
def in_one_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes between what a client does and what it does next."""
    monkeypatch.setattr(client_module, "_A_MOMENT", float("inf"))


@pytest.mark.usefixtures("in_one_breath")
async def test_who_waits_for_what_it_has_just_submitted_does_not_look_before_it_hears(
    bus: Counted, log: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SOON", 10 * PATIENCE)
    async with Client(bus=bus) as client:
        waiting = asyncio.create_task(client.outcome(await client.submit("where?", plan=PLAN)))
        await until(lambda: bus.listening > 0)
        await work(log, (await client.tasks())[0].task)

        async with asyncio.timeout(PATIENCE):
            assert await waiting == ANSWERED
    assert bus.single == 1


@pytest.mark.usefixtures("in_one_breath", "never_again")
async def test_what_ended_before_anybody_could_listen_is_found_soon(bus: Counted, log: TaskLog) -> None:
    async with Client(bus=bus) as client:
        task = await client.submit("where?", plan=PLAN)
        await work(log, task)
        async with asyncio.timeout(PATIENCE):
            assert await client.outcome(task) == ANSWERED


async def test_what_was_submitted_earlier_is_looked_for_at_once(
    bus: Counted, log: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SOON", 10 * PATIENCE)
    async with Client(bus=bus) as client:
        for moment, others in ((0.0, 0), (float("inf"), 1)):
            monkeypatch.setattr(client_module, "_A_MOMENT", moment)
            task = await client.submit("where?", plan=PLAN)
            await work(log, task)
            for _ in range(others):
                await client.submit("where else?", plan=PLAN)
            async with asyncio.timeout(PATIENCE):
                assert await client.outcome(task) == ANSWERED


async def test_of_a_task_that_has_ended_it_is_there_at_once(bus: Counted, log: TaskLog) -> None:
    async with Client(bus=bus) as client:
        await log.write("t", "submitted", Submitted(request="where?", plan=PLAN))
        await work(log, "t")

        assert await client.outcome("t") == ANSWERED
        assert (await client.wait("t")).subtasks[2].findings == (Finding(claim="found s2"),)


async def test_who_asks_does_not_read_back_what_it_said(bus: Counted, log: TaskLog) -> None:
    async with Client(bus=bus) as client:
        asking = asyncio.create_task(client.ask("where?", plan=PLAN, task="t"))
        await submitted(log, "t")
        await work(log, "t")
        seen = await asking
        there = await log.read_one("t", "submitted")

        assert there is not None
        assert bus.wide == [there.sequence], "once, when it has ended, from what was submitted on"
        assert seen == await client.show("t")
        assert [subtask.findings[0].claim for subtask in seen.subtasks] == ["found s0", "found s1", "found s2"]


@pytest.fixture
def never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hears nothing does not look again while the test is patient."""
    monkeypatch.setattr(ending, "LOOK_AGAIN", 10 * PATIENCE)


@pytest.mark.usefixtures("never_again")
async def test_who_asks_again_gets_what_is_there(bus: Counted, log: TaskLog) -> None:
    async with Client(bus=bus) as client:
        await client.submit("where?", plan=PLAN, task="t")
        await work(log, "t")
        async with asyncio.timeout(PATIENCE):
            assert (await client.ask("where?", plan=PLAN, task="t")) == await client.show("t")


@pytest.mark.usefixtures("never_again")
async def test_what_was_heard_is_looked_for_until_the_log_has_it(bus: Counted, log: TaskLog) -> None:
    bus.lags = 3
    async with Client(bus=bus) as client:
        waiting = asyncio.create_task(client.outcome("t"))
        await until(lambda: bus.single > 0)
        await log.write("t", "outcome", ANSWERED)
        async with asyncio.timeout(PATIENCE):
            assert await waiting == ANSWERED
    assert bus.lags == 0


async def test_what_counts_is_what_stands_in_the_log(bus: Counted, log: TaskLog) -> None:
    other = MemoryBus(SUBJECTS, server=bus.server)
    async with Client(bus=bus) as client:
        waiting = asyncio.create_task(client.outcome("t"))
        await until(lambda: bus.single > 0)
        await other.publish(SUBJECTS.fact("u", "outcome"), b"{}")
        await log.write("t", "outcome", ANSWERED)
        assert not await log.write("t", "outcome", Outcome(status=OutcomeStatus.FAILED, reason="too late"))

        assert await waiting == ANSWERED
    await other.close()


async def test_an_outcome_that_nobody_heard_of_is_found(bus: Counted, log: TaskLog) -> None:
    bus.deaf = True
    async with Client(bus=bus) as client:
        waiting = asyncio.create_task(client.outcome("t"))
        await until(lambda: bus.single > 0)
        await log.write("t", "outcome", ANSWERED)

        async with asyncio.timeout(PATIENCE):
            assert await waiting == ANSWERED


async def test_a_bus_that_is_away_is_waited_for(bus: Counted, log: TaskLog) -> None:
    bus.away = 1
    await log.write("t", "outcome", ANSWERED)
    async with Client(bus=bus) as client, asyncio.timeout(PATIENCE):
        assert await client.outcome("t") == ANSWERED


async def test_an_outcome_that_cannot_be_read_is_one(bus: Counted, log: TaskLog) -> None:
    await bus.write_once(SUBJECTS.fact("t", "outcome"), b"[1]")
    async with Client(bus=bus) as client:
        found = await client.outcome("t")
    assert found.status == OutcomeStatus.FAILED
    assert "cannot be read" in found.reason


async def test_who_does_not_want_to_wait_longer_is_told(bus: Counted, log: TaskLog) -> None:
    async with Client(bus=bus) as client:
        for wait in (client.outcome, client.wait):
            with pytest.raises(TaskNotFound, match="no task 't' in this log"):
                await wait("t", 0.01)
            bus.away = 100
            with pytest.raises(DeadlineExceeded):
                await wait("t", 0.01)
            bus.away = 0
        await log.write("t", "submitted", Submitted(request="Why?"))
        with pytest.raises(DeadlineExceeded, match=r"task t has no outcome after 0\.01 s; it goes on"):
            await client.outcome("t", 0.01)
        with pytest.raises(DeadlineExceeded, match="it goes on"):
            await client.wait("t", 0.01)
        with pytest.raises(InvalidId):
            await client.outcome("a.*")
        with pytest.raises(InvalidId):
            await client.wait("a.*")


@pytest.mark.parametrize("timeout", [0.0, -1.0])
async def test_who_does_not_want_to_wait_at_all_has_what_is_there(bus: Counted, log: TaskLog, timeout: float) -> None:
    await log.write("t", "submitted", Submitted(request="Why?"))
    await log.write("t", "outcome", ANSWERED)
    async with Client(bus=bus) as client:
        assert await client.outcome("t", timeout) == ANSWERED
        assert (await client.wait("t", timeout)).status == ANSWERED.status
