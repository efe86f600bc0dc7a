"""What is no signal ends no work; what is one does, whatever was heard before."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from worker_stage import Gate, Stage

from concertino.contracts.codec import encode
from concertino.contracts.messages import ResultStatus, Signal
from kit.waiting import until

WORK = "result.echo.s1"
GARBAGE = [b"", b"\x00\xff{", b"[]", b"null", b"{}", b'{"reason":7}', b'{"status":"cancelled"}', b"x" * 2_000]


@pytest.mark.parametrize("where", ["", WORK, "finish"])
async def test_what_is_no_signal_is_ignored_and_said_once(stage: Stage, where: str) -> None:
    gate = Gate()
    replica = await stage.replica(gate)
    await stage.submit()
    await gate.until_begun()
    with capture_logs() as lines:
        for data in GARBAGE:
            await stage.bus.publish(stage.subjects.signal("t1", where), data)
            await stage.bus.publish(stage.subjects.signal("t2", where), data)
        await stage.bus.publish(stage.subjects.signal("t1", where), encode(Signal(reason="x")), {"Ctn-Schema": "work/1"})
        await stage.bus.publish(stage.subjects.signal("other"), encode(Signal(reason="the last word")))
        await until(lambda: replica._roster.is_over("other"))
    assert len([line for line in lines if line["log_level"] == "warning"]) == 1
    assert not any(job.context.cancelled or job.context.finishing for job in replica._roster.jobs())
    await stage.submit(task="t2")
    gate.open.set()
    assert {(await stage.result(task=task)).status for task in ("t1", "t2")} == {ResultStatus.COMPLETE}
    assert gate.interrupted == 0


async def test_a_signal_is_heard_after_garbage(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate)
    await stage.submit()
    await gate.until_begun()
    await stage.bus.publish(stage.subjects.signal("t1"), b"null")
    await stage.bus.publish(stage.subjects.signal("t1"), encode(Signal(reason="enough")))
    await until(lambda: gate.interrupted == 1)
    await stage.settled()
