"""The fact first, then the acknowledgement: what becomes of work whatever breaks in between."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from typing import Any

import pytest
from structlog.testing import capture_logs
from worker_stage import DEADLINE, KIND, Gate, Stage

from concertino.contracts.codec import encode
from concertino.contracts.errors import BusUnavailable, SourceError
from concertino.contracts.messages import Finding, Locator, Passage, Result, ResultStatus, Returned, Spent, Subtask, Usage
from concertino.masking import MARK
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.runtime import Runtime
from kit.waiting import until


async def answer(brief: Subtask, _: Context) -> list[Finding]:
    return [Finding(claim=brief.objective)]


async def test_a_result_is_written_and_the_work_acknowledged(stage: Stage) -> None:
    await stage.replica(answer)
    await stage.submit(objective="hello")
    result = await stage.result()
    await stage.settled()
    assert isinstance(result, Result)
    assert [f.claim for f in result.findings] == ["hello"]
    assert (result.status, result.attempts, result.worker) == (ResultStatus.COMPLETE, 1, "r1")


async def test_what_a_source_calls_a_password_is_masked_in_the_report_of_its_own_task_alone(stage: Stage) -> None:
    word = "orchestra-4711x"

    async def reader(brief: Subtask, context: Context) -> list[Finding]:
        if brief.objective == "read":
            context.evidence.saw(Passage(source="a.yaml", text=f'password: "{word}"', locator=Locator(lines=(1, 1))))
        return [Finding(claim=f"it says {word}")]

    await stage.replica(reader)
    for task, objective in (("t1", "read"), ("t2", "do not")):
        await stage.submit(task=task, objective=objective)
        await stage.settled()
    first, second = [await stage.result(task=task) for task in ("t1", "t2")]
    assert isinstance(first, Result)
    assert isinstance(second, Result)
    assert [found.claim for found in first.findings] == [f"it says {MARK}"]
    assert [found.claim for found in second.findings] == [f"it says {word}"]


async def test_what_is_done_is_freed_as_it_ends_without_a_collector(stage: Stage) -> None:
    """Nothing of an attempt points in a circle: looking for those costs more than quick work does."""
    seen: list[weakref.ref[Context]] = []

    async def see(_: Subtask, context: Context) -> None:
        seen.append(weakref.ref(context))

    await stage.replica(see)
    gc.disable()
    try:
        await stage.submit()
        await stage.settled()
        await until(lambda: [context() for context in seen] == [None])
    finally:
        gc.enable()


async def test_the_ack_comes_after_the_fact(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concertino.worker.endings.WRITE_PAUSE", 0.001)
    wire = stage.wire()
    wire.refuses_writes = 10**6
    await stage.replica(answer, wire=wire)
    await stage.submit()
    await until(lambda: wire.refuses_writes < 10**6)
    assert await stage.queue() == (0, 1)  # nothing is acknowledged that the log does not have
    wire.refuses_writes = 0
    await stage.settled()


async def test_a_result_waits_for_the_bus_to_come_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concertino.worker.endings.WRITE_PAUSE", 0.001)
    wire, gate = stage.wire(), Gate()
    gate.open.set()
    wire.refuses_writes = 3
    await stage.replica(gate, wire=wire)
    await stage.submit()
    assert (await stage.result()).attempts == 1
    assert gate.began == 1  # what is done is not done again because it could not be told at once


async def test_a_crash_between_fact_and_ack_costs_a_look_and_no_second_run(stage: Stage) -> None:
    wire, gate = stage.wire(), Gate()
    wire.acks_are_lost = True
    gate.open.set()
    await stage.replica(gate, wire=wire)
    await stage.submit()
    await stage.result()
    wire.acks_are_lost = False
    assert await stage.queue() == (0, 1)
    await stage.elapse(Settings().lease + 1)
    await stage.settled()
    assert gate.began == 1


async def test_work_whose_task_is_over_is_not_begun(stage: Stage) -> None:
    gate = Gate()
    await stage.submit()
    await stage.bus.write_once(stage.subjects.fact("t1", "halted"), b"{}")
    await stage.elapse(2)
    await stage.replica(gate)
    await stage.settled()
    assert gate.began == 0


async def test_the_lease_is_renewed_while_a_handler_runs(stage: Stage) -> None:
    wire, gate, settings = stage.wire(), Gate(), Settings(lease=0.03)
    await stage.replica(gate, wire=wire, settings=settings)
    await stage.submit()
    await gate.until_begun()
    for _ in range(4):
        renewals = wire.renewals
        await until(lambda n=renewals: wire.renewals > n)
        await stage.elapse(0.02)  # longer than the lease in all, never longer than since the last renewal
    gate.open.set()
    assert (await stage.result()).attempts == 1
    assert gate.began == 1


async def test_where_the_lease_is_lost_another_replica_runs_it_and_the_first_result_wins(stage: Stage) -> None:
    wire, lost, other = stage.wire(), Gate(), Gate()
    wire.leases_are_lost = True
    first = await stage.replica(lost, wire=wire, slots=1)
    await stage.submit()
    await lost.until_begun()
    await stage.replica(other)
    await stage.elapse(Settings().lease + 1)
    await other.until_begun()
    other.open.set()
    result = await stage.result()
    lost.open.set()
    await until(lambda: lost.interrupted == 1)
    await stage.settled()
    assert (result.worker, result.attempts) == ("r2", 2)
    assert (await stage.result()).worker == "r2"
    assert isinstance(first, Runtime)


async def test_who_is_at_its_last_attempt_goes_on_where_that_comes_to_it_again(stage: Stage) -> None:
    """The bus was away for longer than a lease: what is still being done here is not abandoned."""
    wire, gate = stage.wire(), Gate()
    wire.leases_are_lost = True
    replica = await stage.replica(gate, wire=wire, settings=Settings(attempts=1))
    await stage.submit()
    await gate.until_begun()
    await stage.elapse(Settings().lease + 1)
    await until(lambda: [job.hold and job.hold.attempt for job in replica._roster.jobs()] == [2])
    gate.open.set()
    result = await stage.result()
    assert (result.status, result.attempts, gate.began) == (ResultStatus.COMPLETE, 1, 1)
    await stage.settled()


async def test_errors_of_the_world_are_tried_again_with_back_off(stage: Stage) -> None:
    seen: list[float] = []

    async def fail(_: Subtask, context: Context) -> None:
        seen.append(stage.server.now())
        if len(seen) < 3:
            raise BusUnavailable("not now")

    await stage.replica(fail)
    await stage.submit()
    while await stage.log.read_one("t1", "result.echo.s1") is None:
        await stage.elapse(0.05)
    first, second, third = seen
    assert 0.5 <= second - first <= 1.1
    assert 1.0 <= third - second <= 2.1
    assert (await stage.result()).attempts == 3


async def test_the_last_attempt_ends_in_a_failed_result(stage: Stage) -> None:
    async def fail(_: Subtask, __: Context) -> None:
        raise BusUnavailable("never")

    await stage.replica(fail, settings=Settings(attempts=2))
    await stage.submit()
    await stage.elapse(30)
    result = await stage.result()
    assert result.error is not None
    assert (result.status, result.error.code) == (ResultStatus.FAILED, "bus_unavailable")
    assert result.error.message == "never [earlier attempts: 1: bus_unavailable (transient)]"
    assert (result.attempts, result.error.retryable) == (2, True)
    await stage.settled()


async def test_what_nobody_foresaw_is_tried_once_more_and_its_end_tells_both(stage: Stage) -> None:
    """Most of it comes again; but it may have been a connection that broke."""
    errors = [ConnectionResetError("gone"), KeyError("never there"), AssertionError("a third attempt")]

    async def fail(_: Subtask, __: Context) -> None:
        raise errors.pop(0)

    with capture_logs():
        await stage.replica(fail)
        await stage.submit()
        await stage.elapse(5)
        result = await stage.result()
    assert result.error is not None
    assert (result.error.code, result.attempts, len(errors)) == ("bug", 2, 1)
    assert result.error.message == "KeyError: 'never there' [earlier attempts: 1: bug (bug)]"
    await stage.settled()


class Panic(BaseException):
    """As libraries raise it that are written in another language."""


def _nothing(_: Subtask, __: Context) -> Finding:
    return next(finding for finding in [Finding(claim="a")] if finding.claim == "b")


def _leave(_: Subtask, __: Context) -> None:
    sys.exit("no key")


async def _panic(_: Subtask, __: Context) -> None:
    raise Panic("index out of bounds")


async def _leave_too(_: Subtask, __: Context) -> None:
    sys.exit(3)


async def _close(_: Subtask, __: Context) -> None:
    await asyncio.sleep(0)
    raise GeneratorExit("enough")


def _close_in_a_thread(_: Subtask, __: Context) -> None:
    raise GeneratorExit("enough")


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (_nothing, "RuntimeError: raised StopIteration (): next() found nothing, and had no default"),
        (_leave, "RuntimeError: SystemExit: no key"),
        (_panic, "RuntimeError: Panic: index out of bounds"),
        (_leave_too, "RuntimeError: SystemExit: 3"),
        (_close, "RuntimeError: GeneratorExit: enough"),
        (_close_in_a_thread, "RuntimeError: GeneratorExit: enough"),
    ],
)
async def test_what_is_no_ordinary_exception_is_a_bug_as_any_other(stage: Stage, handler: Any, says: str) -> None:
    """It neither hangs nor ends the process."""
    with capture_logs():
        await stage.replica(handler, settings=Settings(attempts=1))
        await stage.submit()
        result = await stage.result()
    assert result.error is not None
    assert (result.error.code, result.error.message) == ("bug", says)
    await stage.settled()


async def test_errors_of_the_caller_are_not_tried_again(stage: Stage) -> None:
    async def fail(_: Subtask, __: Context) -> None:
        raise SourceError("no such folder: /nowhere")

    await stage.replica(fail)
    await stage.submit()
    result = await stage.result()
    assert result.error is not None
    assert (result.error.code, result.error.message, result.attempts) == ("source", "no such folder: /nowhere", 1)


@pytest.mark.parametrize("times", [1, 4])
async def test_poison_ends_before_it_takes_another_worker(stage: Stage, times: int) -> None:
    gate = Gate()
    gate.open.set()
    await stage.submit()
    await stage.take_and_die(min(times, 3))
    if times == 4:
        await died(stage)
    await stage.replica(gate, settings=Settings(attempts=4))
    result = await stage.result()
    await stage.settled()
    if times < 4:
        assert (result.status, result.attempts) == (ResultStatus.COMPLETE, times + 1)
        return
    assert gate.began == 0
    assert result.error is not None
    assert (result.status, result.error.code, result.attempts) == (ResultStatus.FAILED, "abandoned", 4)


async def died(stage: Stage) -> None:
    """A replica begins it, and is never heard of again."""
    last = Gate()
    dying = await stage.replica(last)
    await last.until_begun()
    await stage.kill(dying)
    await stage.elapse(Settings().lease + 1)


async def test_what_ends_its_worker_before_anything_is_begun_ends_too(stage: Stage) -> None:
    await stage.submit()
    await stage.take_and_die(10)
    gate = Gate()
    await stage.replica(gate, settings=Settings(attempts=2))
    result = await stage.result()
    assert result.error is not None
    assert (result.error.code, gate.began) == ("abandoned", 0)


class Company:
    """A handler that is done once it is ``free``, and alone; one that is poison never is."""

    def __init__(self, *, free: bool) -> None:
        self.free = free
        self.there: set[str] = set()

    async def __call__(self, brief: Subtask, context: Context) -> None:
        self.there.add(brief.objective)
        try:
            await until(lambda: self.free and self.there == {brief.objective} != {"poison"})
        finally:
            self.there.discard(brief.objective)


async def test_the_neighbours_of_poison_are_not_given_up_with_it(stage: Stage) -> None:
    settings, innocent = Settings(attempts=2), {"i1", "i2", "i3"}
    for objective in ("poison", *sorted(innocent)):
        await stage.submit(task=objective, objective=objective)
    together, apart = Company(free=False), Company(free=True)
    dying = await stage.replica(together, settings=settings)
    await until(lambda: together.there == {"poison", *innocent})
    await stage.kill(dying)
    await stage.elapse(settings.lease + 1)
    dying = await stage.replica(apart, settings=settings)
    await until(lambda: "poison" in apart.there)
    await stage.kill(dying)
    await stage.elapse(settings.lease + 1)
    await stage.replica(Company(free=True), settings=settings)
    poison = await stage.result(task="poison")
    assert poison.error is not None
    assert poison.error.code == "abandoned"
    assert {(await stage.result(task=task)).status for task in innocent} == {ResultStatus.COMPLETE}


async def test_what_was_lost_too_often_is_tried_alone_and_all_else_waits_for_it(stage: Stage) -> None:
    settings, company = Settings(attempts=2), Company(free=False)
    await stage.submit(task="lost", objective="lost")
    await died(stage)
    await stage.submit(task="before", objective="before")
    replica = await stage.replica(company, settings=settings)
    await until(lambda: sorted(job.alone for job in replica._roster.jobs()) == [False, True])
    await stage.submit(task="after", objective="after")
    await until(lambda: stage.queue_is(0, 3))
    await until(lambda: bool(company.there))
    assert len(company.there) == 1
    company.free = True
    for task in ("lost", "before", "after"):
        assert (await stage.result(task=task)).status == ResultStatus.COMPLETE


async def test_work_that_cannot_be_read_is_a_failed_result_by_its_message_id(stage: Stage) -> None:
    await stage.replica(answer)
    subject = stage.subjects.work("interactive", KIND)
    await stage.bus.enqueue(subject, b'{"task": 7}', "t1.result.echo.s1.1")
    result = await stage.result()
    assert result.error is not None
    assert result.error.code == "invalid_message"
    assert "task" in result.error.message
    await stage.settled()


async def test_unreadable_work_of_nobody_is_thrown_away_and_said_to_be(stage: Stage) -> None:
    await stage.replica(answer)
    with capture_logs() as logs:
        await stage.bus.enqueue(stage.subjects.work("interactive", KIND), b"rubbish", "who-knows")
        await stage.settled()
    assert any("thrown away" in line["event"] for line in logs)


async def test_an_id_that_names_no_place_in_the_log_is_refused(stage: Stage) -> None:
    await stage.replica(answer)
    work = await stage.submit("result.echo.s1")
    odd = work.__class__(**{f: getattr(work, f) for f in work.__struct_fields__} | {"id": "outcome"})
    await stage.bus.enqueue(stage.subjects.work("interactive", KIND), encode(odd), "t1.outcome.1")
    await stage.settled()
    assert await stage.log.read_one("t1", "outcome") is None


async def test_work_whose_payload_is_gone_is_a_failed_result(stage: Stage) -> None:
    await stage.replica(answer)
    with capture_logs():
        headers = {"Ctn-Blob": "0" * 64}
        await stage.bus.enqueue(stage.subjects.work("interactive", KIND), b"{}", "t1.result.echo.s1.1", headers)
        result = await stage.result()
    assert result.error is not None
    assert "is not there" in result.error.message
    await stage.settled()


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ({"claims": []}, "not dict"),
        ("an answer", "not str"),
        ([Finding(claim="a"), "b"], "a list with a str in it"),
        ([Finding(claim="a", confidence=7.0)], "confidence"),
        ([Finding(claim=object())], "no reader accepts"),  # type: ignore[arg-type]
        (Result(usage=Usage(cost_usd=1e308)), "cost_usd"),
        (Result(spent={"a": Usage(input_tokens=-1)}), "input_tokens"),
        (Result(seconds=-1.0), "seconds"),
    ],
)
async def test_rubbish_is_a_bug_and_says_what_to_return(stage: Stage, returned: object, says: str) -> None:
    async def rubbish(_: Subtask, __: Context) -> object:
        return returned

    await stage.replica(rubbish)
    with capture_logs():
        await stage.submit()
        result = await stage.result()
    assert result.error is not None
    assert (result.status, result.error.code) == (ResultStatus.FAILED, "bug")
    assert says in result.error.message
    await stage.settled()


async def test_a_result_belongs_where_its_work_belongs(stage: Stage) -> None:
    await stage.replica(answer)
    with capture_logs():
        await stage.submit("plan.0")
        result = await stage.result("plan.0")
    assert result.error is not None
    assert "plan.0 ends with a Planned" in result.error.message


async def test_a_handler_that_cancels_itself_does_not_come_back_for_ever(stage: Stage) -> None:
    calls = 0

    async def odd(_: Subtask, __: Context) -> None:
        nonlocal calls
        calls += 1
        raise asyncio.CancelledError

    await stage.replica(odd)
    await stage.submit()
    result = await stage.result()
    assert result.error is not None
    assert (result.error.code, calls) == ("bug", 1)
    await stage.settled()


async def test_time_that_was_up_before_it_began(stage: Stage) -> None:
    gate = Gate()
    await stage.submit(deadline=10)
    await stage.elapse(11)
    await stage.replica(gate)
    result = await stage.result()
    assert result.error is not None
    assert (result.error.code, gate.began, result.status) == ("deadline", 0, ResultStatus.FAILED)
    assert "queue" in result.error.message


async def test_time_that_is_up_while_it_runs(stage: Stage) -> None:
    gate = Gate()
    contexts: list[Context] = []

    async def slow(brief: Subtask, context: Context) -> None:
        contexts.append(context)
        await gate(brief, context)

    await stage.replica(slow)
    await stage.submit(deadline=0.02)
    result = await stage.result()
    assert result.error is not None
    assert (result.error.code, gate.interrupted, contexts[0].cancelled) == ("deadline", 1, True)
    await stage.settled()


async def test_a_fact_that_a_delivery_does_not_count_is_believed(stage: Stage) -> None:
    gate = Gate()
    gate.open.set()
    await stage.submit(deadline=DEADLINE)
    await stage.take_and_die(4)
    for delivery in (2, 3):
        await stage.log.write("t1", stage.subjects.returned("result.echo.s1", delivery), Returned(worker="r0"))
    await stage.replica(gate, settings=Settings(attempts=4))
    assert (await stage.result()).attempts == 3


async def test_what_is_said_of_a_file_whose_name_is_no_utf_8_fails_nothing_and_is_read(stage: Stage) -> None:
    failures = [SourceError("caf\udce9 cannot be read"), BusUnavailable("caf\udce9 is away")]

    async def read(brief: Subtask, context: Context) -> list[Finding]:
        await context.progress("reading caf\udce9")
        if failures:
            raise failures.pop()
        return []

    await stage.replica(read)
    await stage.submit()
    await until(lambda: len(failures) == 1)
    await stage.elapse(5)
    result = await stage.result()
    await stage.settled()
    assert result.error
    assert (result.error.code, result.error.message[:19], result.attempts) == ("source", "caf? cannot be read", 2)
    spent = await stage.log.read_one("t1", stage.subjects.spent("result.echo.s1", 1))
    assert spent
    assert isinstance(spent.message, Spent)
    assert spent.message.why == "caf? is away"
