"""What was told to end and does not is counted and named, and in the end the replica says that it is of no use."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from structlog.testing import capture_logs
from worker_stage import KIND, Stage

from concertino.contracts.codec import encode
from concertino.contracts.messages import Signal, Subtask
from concertino.telemetry import metrics
from concertino.worker import Context
from kit.waiting import until


def counted() -> float:
    return metrics.STUCK.labels(KIND)._value.get()


async def cancel(stage: Stage, task: str) -> None:
    await stage.bus.publish(stage.subjects.signal(task), encode(Signal(reason="enough")))


async def test_a_handler_that_swallows_its_cancellation(stage: Stage) -> None:
    let_go, begun = asyncio.Event(), list[str]()

    async def handler(_: Subtask, context: Context) -> None:
        begun.append(context.work.task)
        while context.work.task != "good" and not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    runtime = await stage.replica(handler, slots=2, let_go_within=0.2)
    await stage.submit(task="t1")
    await until(lambda: begun == ["t1"])
    with capture_logs() as logs:
        await cancel(stage, "t1")
        await until(lambda: counted() == 1, "it is counted")
        assert not runtime.stuck, "there is another slot"
        await stage.submit(task="good")
        await stage.result(task="good")
        await stage.submit(task="t2")
        await until(lambda: begun[-1] == "t2")
        assert not runtime.stuck, "nobody has told the second one to end"
        await cancel(stage, "t2")
        await until(lambda: runtime.stuck, "no slot is left")
    said = [(entry["task"], entry["work"]) for entry in logs if "told to end" in entry["event"]]
    assert said == [("t1", "result.echo.s1"), ("t2", "result.echo.s1")], "once each"
    let_go.set()
    await until(lambda: not runtime.stuck and counted() == 0, "it can work again")


async def test_threads_that_never_end_keep_nobody_waiting_until_there_are_as_many_as_slots(stage: Stage) -> None:
    let_go, begun = threading.Event(), list[str]()

    def handler(_: Subtask, context: Context) -> None:
        begun.append(context.work.task)
        if context.work.task.startswith("bad"):
            let_go.wait(60)

    runtime = await stage.replica(handler, slots=1, let_go_within=0.2)
    await stage.submit(task="bad1")
    await until(lambda: begun == ["bad1"])
    await cancel(stage, "bad1")
    await stage.submit(task="good")
    await stage.result(task="good")
    await until(lambda: runtime.stuck, "a thread for each slot is lost")
    let_go.set()
    await until(lambda: not runtime.stuck, "it has ended after all")
