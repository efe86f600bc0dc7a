"""Cancelling, draining and sharing: who runs what, and who stops when."""

from __future__ import annotations

import asyncio
import threading
import time

from structlog.testing import capture_logs
from worker_stage import Gate, Said, Stage

from concertino.bus import topology
from concertino.bus.announcements import announcements
from concertino.contracts.codec import encode
from concertino.contracts.messages import Finding, Result, ResultStatus, Signal, Subtask
from concertino.runtime.settings import Settings
from concertino.worker import Context
from kit.waiting import until


async def signal(stage: Stage, task: str = "t1") -> None:
    await stage.bus.publish(stage.subjects.signal(task), encode(Signal(reason="enough")))


async def test_a_signal_stops_running_work_at_once(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate)
    await stage.submit()
    await stage.submit(task="t2")
    await gate.until_begun(2)
    await signal(stage)
    await until(lambda: gate.interrupted == 1)

    async def one_left() -> bool:
        return await stage.queue() == (0, 1)

    await until(one_left)
    assert await stage.log.read_one("t1", "result.echo.s1") is None
    gate.open.set()
    assert (await stage.result(task="t2")).status == ResultStatus.COMPLETE


async def test_queued_work_of_a_cancelled_task_is_not_begun(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate, slots=1)
    await stage.submit("result.echo.s1")
    await gate.until_begun()
    await stage.submit("result.echo.s2")
    await stage.submit("result.echo.s3", lane="batch")
    await signal(stage)
    await stage.settled()
    assert (gate.began, gate.interrupted) == (1, 1)


async def test_a_signal_that_was_missed_is_read_from_the_log_after_a_reconnect(stage: Stage) -> None:
    wire, gate = stage.wire(), Gate()
    await stage.replica(gate, wire=wire)
    await stage.submit()
    await stage.submit(task="t2")
    await gate.until_begun(2)
    await stage.bus.write_once(stage.subjects.fact("t1", "halted"), b"{}")
    for callback in wire.reconnected:
        callback()
    await until(lambda: gate.interrupted == 1)
    gate.open.set()
    await stage.result(task="t2")
    await stage.settled()
    assert await stage.log.read_one("t1", "result.echo.s1") is None


async def test_drain_begins_nothing_and_lets_what_runs_be_written_down(stage: Stage) -> None:
    gate = Gate()
    runtime = await stage.replica(gate, slots=1)
    await stage.submit("result.echo.s1")
    await gate.until_begun()
    draining = asyncio.create_task(runtime.drain(grace=30))
    await until(lambda: not runtime.alive)
    await stage.submit("result.echo.s2")
    await stage.elapse(1)
    gate.open.set()
    await draining
    # Drained means written and acknowledged: the connection may be closed now.
    assert await stage.log.read_one("t1", "result.echo.s1") is not None
    assert (gate.began, gate.ended) == (1, 1)
    assert await stage.queue() == (1, 0)


async def test_what_does_not_end_within_the_grace_is_done_by_another_replica(stage: Stage) -> None:
    slow, other = Gate(), Gate()
    other.open.set()
    leaving = await stage.replica(slow)
    await stage.submit()
    await slow.until_begun()
    await leaving.drain(grace=0.01)
    await stage.replica(other)
    result = await stage.result()
    assert (slow.interrupted, slow.ended, result.worker) == (1, 0, "r2")


async def test_what_has_no_slot_yet_goes_back_without_waiting_for_one(stage: Stage) -> None:
    slow, other = Gate(), Gate()
    other.open.set()
    leaving = await stage.replica(slow, slots=1)
    await stage.submit("result.echo.s1", lane="batch")
    await slow.until_begun()
    await stage.submit("result.echo.s2", lane="interactive")

    async def taken() -> bool:
        return await stage.queue() == (0, 2)

    await until(taken)
    draining = asyncio.create_task(leaving.drain(grace=30))
    await until(lambda: not leaving.alive)
    await stage.replica(other)
    assert (await stage.result("result.echo.s2")).worker == "r2"
    assert slow.began == 1
    slow.open.set()
    await draining
    assert (await stage.result("result.echo.s1")).worker == "r1"


async def test_replicas_that_leave_use_up_no_attempts(stage: Stage) -> None:
    settings = Settings(attempts=2)
    await stage.submit()
    for _ in range(5):
        slow = Gate()
        leaving = await stage.replica(slow, settings=settings)
        await slow.until_begun()
        await leaving.drain(grace=0)
    last = Gate()
    last.open.set()
    await stage.replica(last, settings=settings)
    result = await stage.result()
    assert (result.status, result.attempts) == (ResultStatus.COMPLETE, 1)


async def test_a_thread_is_told_that_nobody_waits_any_more(stage: Stage) -> None:
    began, told = threading.Event(), threading.Event()

    def compute(_: Subtask, context: Context) -> None:
        began.set()
        late = time.monotonic() + 5
        while not context.cancelled:
            if time.monotonic() > late:
                return
        told.set()

    leaving = await stage.replica(compute)
    await stage.submit()
    await asyncio.to_thread(began.wait, 10)
    await leaving.drain(grace=0)
    assert await asyncio.to_thread(told.wait, 10)
    assert await stage.queue() == (0, 1)  # handed back: it has a lease that has ended


async def test_plain_functions_run_in_threads_as_many_as_there_are_slots(stage: Stage) -> None:
    both = threading.Barrier(12, timeout=10)

    def meet(brief: Subtask, _: Context) -> list[Finding]:
        both.wait()  # more than the event loop's own pool would run at once on a small machine
        return [Finding(claim=threading.current_thread().name)]

    await stage.replica(meet, slots=12)
    for i in range(12):
        await stage.submit(f"result.echo.s{i}")
    results = [await stage.result(f"result.echo.s{i}") for i in range(12)]
    names = {f.claim for r in results if isinstance(r, Result) for f in r.findings}
    assert len(names) == 12
    assert all(name.startswith("echo") for name in names)


async def test_slots_bound_both_lanes_together(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate, slots=2)
    for i in range(6):
        await stage.submit(f"result.echo.s{i}", lane="batch" if i % 2 else "interactive")
    await gate.until_begun(2)
    gate.open.set()
    for i in range(6):
        await stage.result(f"result.echo.s{i}")
    assert (gate.began, gate.most_at_once) == (6, 2)


async def test_progress_says_who_does_what_at_which_attempt(stage: Stage) -> None:
    async def talk(_: Subtask, context: Context) -> None:
        await context.progress("reading the small print")

    async with Said(stage) as said:
        await stage.replica(talk)
        await stage.submit()
        await stage.result()
        await until(lambda: bool(said.progress))
    [progress] = said.progress
    assert (progress.doing, progress.attempt, progress.worker) == ("reading the small print", 1, "r1")
    assert progress.at == stage.server.now()


async def test_progress_that_cannot_be_told_costs_nothing(stage: Stage) -> None:
    async def talk(_: Subtask, context: Context) -> None:
        await context.progress("x" * 600_000)  # refused by the bus

    await stage.replica(talk)
    await stage.submit()
    assert (await stage.result()).status == ResultStatus.COMPLETE


async def test_an_announcement_appears_is_renewed_and_is_withdrawn(stage: Stage) -> None:
    async def kinds() -> list[str]:
        return [a.replica for a in await announcements(stage.bus, stage.subjects)]

    runtime = await stage.replica(Gate(), renewed_every=0.005)
    assert await kinds() == ["r1"]
    await stage.elapse(topology.ANNOUNCEMENT_LIFE + 1)
    await until(lambda: _is(kinds, ["r1"]))
    await runtime.drain(0)
    assert await kinds() == []


async def test_an_announcement_that_nobody_renews_expires(stage: Stage) -> None:
    await stage.replica(Gate(), renewed_every=1e6)
    await stage.elapse(topology.ANNOUNCEMENT_LIFE + 1)
    assert await announcements(stage.bus, stage.subjects) == []


async def test_a_busy_event_loop_is_named_as_what_lost_the_lease(stage: Stage) -> None:
    async def block(_: Subtask, __: Context) -> None:
        until_later = asyncio.get_running_loop().time() + 0.06
        while asyncio.get_running_loop().time() < until_later:
            pass
        await asyncio.sleep(0.02)

    with capture_logs() as logs:
        await stage.replica(block, settings=Settings(lease=0.03))
        await stage.submit()
        await stage.result()
    assert any("plain function" in line["event"] for line in logs)


async def test_a_process_that_ends_without_draining_writes_nothing(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate)
    await stage.submit()
    await gate.until_begun()
    for task in asyncio.all_tasks():
        if task.get_coro().__qualname__.endswith("._guard"):  # type: ignore[union-attr]
            task.cancel()  # as `asyncio.run` does when it ends
    await until(lambda: gate.interrupted == 1)
    await stage.elapse(1)
    assert await stage.log.read_one("t1", "result.echo.s1") is None
    assert await stage.queue() == (0, 1)


async def _is(asked: object, expected: list[str]) -> bool:
    return await asked() == expected  # type: ignore[operator]
