"""What a result says of the time that it took."""

from __future__ import annotations

from worker_stage import Gate, Stage


async def test_what_begins_before_a_process_has_done_anything_is_cold(stage: Stage) -> None:
    gate = Gate()
    await stage.replica(gate)
    await stage.submit("result.echo.s1")
    await stage.submit("result.echo.s2")
    await gate.until_begun(2)
    gate.open.set()
    await stage.settled()
    await stage.submit("result.echo.s3")
    await stage.settled()
    assert [(await stage.result(f"result.echo.s{n}")).cold for n in (1, 2, 3)] == [True, True, False]


async def test_each_process_is_cold_by_itself(stage: Stage) -> None:
    gate = Gate()
    gate.open.set()
    first = await stage.replica(gate)
    for n in (1, 2):
        await stage.submit(f"result.echo.s{n}")
        await stage.settled()
    await first.drain(0)
    await stage.replica(gate)
    await stage.submit("result.echo.s3")
    assert [(await stage.result(f"result.echo.s{n}")).cold for n in (1, 2, 3)] == [True, False, True]
