"""What failed on a bus with many tasks is found, and run again by the real services."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from concertino.bus import topology
from concertino.bus.memory import MemoryBus, MemoryServer
from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.client import Client, FailedWork, Limits, Plan, Subtask
from concertino.client.redriving import refreshed
from concertino.contracts.codec import encode
from concertino.contracts.errors import (
    CannotRedrive,
    InvalidMessage,
    InvalidPlan,
    SourceError,
    TaskExists,
    TaskNotFound,
)
from concertino.contracts.messages import (
    Again,
    Cancel,
    Evidence,
    Failure,
    Finding,
    Locator,
    Message,
    Outcome,
    OutcomeStatus,
    Result,
    ResultStatus,
    Submitted,
)
from concertino.contracts.redrive import redrive, redrive_id
from concertino.contracts.subjects import CLIENT
from concertino.runtime.settings import Settings
from concertino.worker import Context, Worker
from kit.team import Team, in_memory

SETTINGS = Settings(model="extractive", attempts=1)
TEXT = "The relay waits thirty seconds before each retry."
BROKEN = Result(status=ResultStatus.FAILED, error=Failure(code="source", message="it is not there"), attempts=2)
PARTIAL = Outcome(status=OutcomeStatus.PARTIAL, reason="b failed")


def evidence(text: str) -> Evidence:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Evidence(digest=digest, span=(0, len(text)), source="relay.md", locator=Locator(lines=(1, 1)), quote=text)


def subtask(id_: str, *depends_on: str, kind: str = "shaky") -> Subtask:
    return Subtask(id=id_, kind=kind, objective=f"How long does the relay wait, says {id_}?", depends_on=depends_on)


class Shaky:
    """A worker whose briefs fail for as long as they are ``broken``."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.done: list[str] = []
        self.worker = Worker("shaky", "Does what it is told, or fails.")

        @self.worker.handle
        async def work(brief: Subtask, context: Context) -> list[Finding]:
            self.done.append(brief.id)
            if brief.id in self.broken:
                raise SourceError(f"{brief.id} cannot be read")
            text = f"{brief.id}: {TEXT}"
            await self.keep(context, text)
            return [Finding(claim=text, evidence=(evidence(text),))]

    async def keep(self, context: Context, text: str) -> None:
        await context.evidence._bus.put_blob(context.work.brief.kind, text.encode())


@pytest.fixture
def shaky() -> Shaky:
    return Shaky()


@pytest.fixture
async def client(shaky: Shaky) -> AsyncIterator[Client]:
    async with Team(in_memory(SETTINGS), SETTINGS, [shaky.worker]) as client:
        yield client


PLAN = Plan(subtasks=(subtask("a"), subtask("b"), subtask("c", "b"), subtask("d")))
LIMITS = Limits(deadline=60, max_rounds=1)


async def failed_task(client: Client, shaky: Shaky) -> str:
    shaky.broken = {"b"}
    task = await client.submit("How long does the relay wait?", plan=PLAN, limits=LIMITS)
    assert (await client.wait(task, 30)).status == "partial"
    shaky.done.clear()
    return task


async def test_what_failed_is_run_again_and_the_report_is_on_everything(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    shaky.broken.clear()
    again = await client.redrive(task)
    seen = await client.wait(again.task, 30)
    assert (again.run, again.kept, again.gone) == (("b", "c"), ("a", "d"), 0)
    assert shaky.done == ["b", "c"]
    assert seen.status == "answered"
    assert seen.report
    assert {citation.quote for citation in seen.report.citations} == {f"{id_}: {TEXT}" for id_ in "abcd"}
    assert seen.report.dropped == 0
    old = await client.show(task)
    assert (old.redriven, seen.again) == ((again.task,), task)
    with pytest.raises(CannotRedrive, match="no failed work"):
        await client.redrive(again.task)


async def submissions(client: Client, task: str) -> list[str]:
    """The tasks that run ``task`` again, in order."""
    states = [await client.state(summary.task) for summary in reversed(await client.tasks())]
    return [state.task for state in states if state.submitted and state.submitted.again == task]


async def test_what_is_run_again_twice_at_once_is_one_task(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    shaky.broken.clear()
    first, second = await asyncio.gather(client.redrive(task), client.redrive(task))
    assert first == second
    assert await submissions(client, task) == [first.task]
    assert (await client.show(task)).redriven == (first.task,)
    assert (await client.wait(first.task, 30)).status == "answered"
    assert shaky.done == ["b", "c"]


async def test_room_is_asked_for_before_any_evidence_is_copied(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    bus = client._bus
    assert isinstance(bus, MemoryBus)
    await bus.provision(topology.installation(SETTINGS.subjects, max_queued=1))
    await bus.advance(topology.BLOB_REFRESH + 60)  # what is put now is stored anew
    before = await bus.read(SETTINGS.subjects.blobs_stream, ">")
    with pytest.raises(InvalidPlan, match="2 subtasks for 'shaky', and its queue holds 1"):
        await Client(config=SETTINGS, bus=bus).redrive(task)
    assert await bus.read(SETTINGS.subjects.blobs_stream, ">") == before


async def test_later_it_is_another_task_which_says_so_but_for_who_wants_it_once(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    first = await client.redrive(task, once=True)
    with pytest.raises(TaskExists, match=f"was run again already, as {first.task}"):
        await client.redrive(task, once=True)
    second = await client.redrive(task)
    assert (first.before, second.before) == ((), (first.task,))
    assert await submissions(client, task) == [first.task, second.task]


async def test_who_runs_it_again_in_another_way_at_the_same_time_is_told_and_may_insist(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    state = await client.state(task)
    # Somebody else was as far as this, and no further.
    other = redrive(state, ["a"], (), LIMITS).submitted
    await TaskLog(client._bus, SETTINGS.subjects).write(redrive_id(state), "submitted", other)
    with pytest.raises(TaskExists, match="is being run again in another way"):
        await client.redrive(task)
    assert (await client.show(task)).redriven == (redrive_id(state),)
    assert (await client.redrive(task)).before == (redrive_id(state),)


async def test_a_redrive_that_fails_again_is_run_again(client: Client, shaky: Shaky) -> None:
    first = await failed_task(client, shaky)
    second = await client.redrive(first)
    assert (await client.wait(second.task, 30)).status == "partial"
    assert shaky.done == ["b", "c"]
    shaky.broken.clear()
    third = await client.redrive(second.task, max_cost=3.0, deadline=50)
    seen = await client.wait(third.task, 30)
    assert shaky.done == ["b", "c", "b", "c"]
    assert (seen.status, seen.max_cost, seen.again) == ("answered", 3.0, second.task)


async def test_a_limit_that_would_be_written_as_none_is_refused_before_anything_is_run(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    for cost in (float("inf"), float("nan")):
        with pytest.raises(InvalidMessage, match="max_cost is"):
            await client.redrive(task, max_cost=cost)
    assert (shaky.done, (await client.show(task)).redriven) == ([], ())


async def test_what_rests_on_evidence_that_expired_is_run_again_and_said(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    bus = client._bus
    assert isinstance(bus, MemoryBus)
    gone = evidence(f"d: {TEXT}").digest
    bus.server.stream(SETTINGS.subjects.blobs_stream).purge(SETTINGS.subjects.blob("shaky", gone))
    shaky.broken.clear()
    again = await client.redrive(task)
    assert (again.run, again.gone) == (("b", "c", "d"), 1)
    seen = await client.wait(again.task, 30)
    assert seen.report
    assert (seen.status, seen.report.dropped) == ("answered", 0)


async def test_evidence_of_a_task_that_is_run_again_is_kept_for_as_long_as_that_of_a_new_one(
    client: Client, shaky: Shaky
) -> None:
    task = await failed_task(client, shaky)
    bus = client._bus
    assert isinstance(bus, MemoryBus)
    stream, digest = SETTINGS.subjects.blobs_stream, evidence(f"a: {TEXT}").digest
    before = await bus.newest(stream, SETTINGS.subjects.blob("shaky", digest))
    await bus.advance(topology.BLOB_REFRESH + 60)
    assert await refreshed(bus, await client.state(task)) == set()
    after = await bus.newest(stream, SETTINGS.subjects.blob(CLIENT, digest))
    assert before
    assert after
    assert after.time > before.time + topology.BLOB_REFRESH


async def test_evidence_that_only_whoever_ran_the_task_again_still_keeps_is_evidence(client: Client, shaky: Shaky) -> None:
    task = await failed_task(client, shaky)
    bus = client._bus
    assert isinstance(bus, MemoryBus)
    await refreshed(bus, await client.state(task))
    bus.server.stream(SETTINGS.subjects.blobs_stream).purge(SETTINGS.subjects.blob("shaky", evidence(f"a: {TEXT}").digest))
    shaky.broken.clear()
    again = await client.redrive(task)
    seen = await client.wait(again.task, 30)
    assert (again.run, again.gone) == (("b", "c"), 0)
    assert seen.report
    assert (seen.status, seen.report.dropped) == ("answered", 0)


async def test_only_a_task_that_is_there_and_over_can_be_run_again(client: Client) -> None:
    with pytest.raises(TaskNotFound):
        await client.redrive("nobody")
    await client.submit("What?", plan=PLAN, task="t1")
    with pytest.raises(CannotRedrive, match="not over"):
        await client.redrive("t1")


async def test_a_task_of_which_only_the_link_is_left_is_gone(client: Client) -> None:
    await TaskLog(client._bus, SETTINGS.subjects).write("old", "again.new", Again())
    with pytest.raises(TaskNotFound):
        await client.state("old")


# -------------------------------------------------------------------------------------------------------------- failures


class Log:
    """Tasks as they stand in a log, written by whoever may."""

    def __init__(self, bus: Bus) -> None:
        self.bus, self.client = bus, Client(config=SETTINGS, bus=bus, clock=lambda: 1e9 + 1000)

    async def write(self, task: str, **facts: Message | bytes) -> None:
        for name, fact in facts.items():
            data = fact if isinstance(fact, bytes) else encode(fact)
            await self.bus.write_once(SETTINGS.subjects.fact(task, name.replace("__", ".")), data)

    async def failed(self, task: str, kind: str = "shaky", outcome: Outcome | None = PARTIAL) -> None:
        plan = Plan(subtasks=(subtask("b", kind=kind),))
        await self.write(task, submitted=Submitted(request="What?", plan=plan), **{f"result__{kind}__b": BROKEN})
        if outcome:
            await self.write(task, outcome=outcome)


@pytest.fixture
async def log() -> AsyncIterator[Log]:
    bus = MemoryBus(SETTINGS.subjects, server=MemoryServer(clock=lambda: 1e9))
    await bus.provision(topology.installation(SETTINGS.subjects))
    yield Log(bus)
    await bus.close()


def tasks(found: tuple[FailedWork, ...]) -> list[str]:
    return [one.task for one in found]


async def test_failed_work_of_all_tasks_is_listed_newest_first(log: Log) -> None:
    for number in range(250):  # more than one page of the twin
        await log.write(f"good{number}", submitted=Submitted(request="What?"))
        await log.write(f"good{number}", outcome=Outcome(status=OutcomeStatus.ANSWERED, reason="done"))
    for task in ("old", "middle"):
        await log.failed(task)
        await log.bus.advance(10)  # type: ignore[attr-defined]
    await log.failed("running", outcome=None)
    found = await log.client.failures(3600)
    assert tasks(found.work) == ["running", "middle", "old"]
    assert [one.status for one in found.work] == ["running", "partial", "partial"]
    assert not found.more
    assert tasks((await log.client.failures(3600, most=1)).work) == ["running"]
    assert (await log.client.failures(3600, most=1)).more


async def test_what_is_older_than_asked_for_is_left_out(log: Log) -> None:
    await log.failed("old")
    await log.bus.advance(500)  # type: ignore[attr-defined]
    await log.failed("new")
    assert tasks((await log.client.failures(600)).work) == ["new"]
    assert tasks((await log.client.failures(2000)).work) == ["new", "old"]


async def test_they_can_be_had_by_kind_and_by_task(log: Log) -> None:
    await log.failed("t1")
    await log.failed("t2", kind="other")
    assert tasks((await log.client.failures(3600, kind="other")).work) == ["t2"]
    assert tasks((await log.client.failures(0.001, task="t1")).work) == ["t1"]
    assert (await log.client.failures(3600, task="t1", kind="other")).work == ()
    with pytest.raises(TaskNotFound):
        await log.client.failures(3600, task="nobody")


async def test_what_is_missing_because_it_was_cancelled_has_not_failed(log: Log) -> None:
    plan = Plan(subtasks=(subtask("a"), subtask("b")))
    cancelled = Outcome(status=OutcomeStatus.CANCELLED, reason="enough")
    await log.write("t1", submitted=Submitted(request="What?", plan=plan), result__shaky__a=BROKEN)
    await log.write("t1", cancel=Cancel(), outcome=cancelled)
    assert [one.subtask for one in (await log.client.failures(3600)).work] == ["a"]


async def test_garbage_in_the_log_is_told_of_or_passed_over_and_breaks_nothing(log: Log) -> None:
    await log.failed("t1")
    await log.write("t2", submitted=b"\xff\xfe", outcome=b"[[[[")
    await log.write("t3", submitted=Submitted(request="What?", plan=Plan(subtasks=(subtask("b"),))))
    await log.write("t3", result__shaky__b=b'{"status": 7}', outcome=b"")
    await log.write("ctn bad", submitted=b"{}")  # no id
    await log.write("*", submitted=Submitted(request="What?"), outcome=PARTIAL)
    await log.write("t4", submitted=b"[" * 5000, plan__0=b"[" * 5000, outcome=b"[" * 5000)
    await log.write("t5", result__shaky__x=BROKEN, spent__result__shaky__x__1=b"{}", outcome=PARTIAL)
    found = await log.client.failures(3600)
    by_task = {one.task: one for one in found.work}
    assert {"t1", "t3", "t4"} <= set(by_task)
    assert by_task["t3"].code == "invalid_message"
    assert (by_task["t4"].kind, by_task["t4"].code) == ("plan", "invalid_message")
