"""Whatever a stranger writes into a log: the task ends with a clear reason, or goes on as if nothing were there."""

from __future__ import annotations

import pytest
from orchestra import Orchestra, brought, good_work, subtask

from concertino.contracts.messages import Submitted
from concertino.contracts.subjects import Header
from kit.waiting import until

NO_BLOB = {Header.BLOB: "0" * 64}
BAD_BLOB = {Header.BLOB: "over there"}
OTHER = {Header.SCHEMA: "resubmitted/1"}


@pytest.mark.parametrize(
    ("data", "headers", "reason"),
    [
        (b"", {}, "submitted: the message is empty"),
        (b"hello", {}, "submitted: JSON is malformed"),
        (b"\xff\xfe\x00", {}, "submitted: JSON is malformed"),
        (b"[]", {}, "submitted: Expected `object`, got `array`"),
        (b'{"request": 7}', {}, "submitted: Expected `str`, got `int` - at `$.request`"),
        (b'{"request": "  "}', {}, "submitted: `request` is blank: say what you want to know"),
        (b'{"request": "x", "limits": {"deadline": 0}}', {}, "Expected `float` > 0.0 - at `$.limits.deadline`"),
        (b'{"request": "x"}', OTHER, "the message says it is 'resubmitted/1', and submitted/1 belongs here"),
        (b'{"request": "x"}', {Header.SCHEMA: "result/1"}, "the message says it is 'result/1'"),
        (b"{}", NO_BLOB, "its payload, blob 000000000000…, is not there (any more)"),
        (b"{}", BAD_BLOB, "submitted: "),
        (b"[" * 200_000, {}, "submitted: "),
        (b'{"request": "x", "plan": ' + b'{"a":' * 50_000, {}, "submitted: "),
    ],
)
async def test_a_task_that_cannot_be_read_ends_with_the_reason(
    orchestra: Orchestra, data: bytes, headers: dict[str, str], reason: str
) -> None:
    await orchestra.conduct()
    await orchestra.write_raw("t", "submitted", data, headers)

    outcome = await orchestra.outcome("t", within=20)

    assert outcome.status == "failed"
    assert reason in outcome.reason
    await orchestra.quiet()


@pytest.mark.parametrize("task", ["x" * 65, "x" * 80, "größe", "a\u00a0b", "*", ">", "%41", "a;b"])
async def test_a_task_whose_id_is_none_ends_with_the_reason_and_leaves_others_alone(orchestra: Orchestra, task: str) -> None:
    await orchestra.play()
    await orchestra.conduct()
    await orchestra.submit("well", brought(subtask("a")))
    await orchestra.submit(task, Submitted(request="What is it?"))

    outcome = await orchestra.outcome(task)

    assert outcome.status == "failed"
    assert outcome.reason.endswith("is no id: use 1 to 64 letters, digits, '_' or '-'")
    assert await orchestra.names(task) == ["submitted", "outcome"]
    assert (await orchestra.outcome("well")).reason == "1 subtask done"
    await orchestra.quiet()


@pytest.mark.parametrize("data", [b"", b"?", b"[]", b'{"status": 5, "work": 5, "reason": 5}'])
@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("plan.0", "answered", "1 subtask done"),  # the caller's own plan counts
        ("plan.1", "answered", "1 subtask done"),
        ("plan.00", "answered", "1 subtask done"),
        ("dispatched.1", "answered", "1 subtask done"),
        ("dispatched.999999999", "answered", "1 subtask done"),
        ("dispatched.x", "answered", "1 subtask done"),
        ("result.web.a", "failed", "no subtask succeeded: a (web) failed: result: "),
        ("result.web.stranger", "answered", "1 subtask done"),
        ("result.code.a", "answered", "1 subtask done"),  # of another kind than the plan's
        ("synthesis.0", "partial", "1 of 1 subtask came to something: the report could not be written: synthesis: "),
        ("synthesis.7", "answered", "1 subtask done"),
        ("cancel", "cancelled", "cancelled by the caller"),
        ("timer.join", "answered", "1 subtask done"),
        ("timer.strange", "answered", "1 subtask done"),
        ("due.strange", "answered", "1 subtask done"),
        ("outcome", "failed", "the outcome in the log cannot be read: outcome: "),
    ],
)
async def test_whatever_stands_in_the_log_before_the_task_does(
    orchestra: Orchestra, name: str, status: str, reason: str, data: bytes
) -> None:
    await orchestra.play()
    await orchestra.write_raw("t", name, data)
    await orchestra.conduct()
    await orchestra.submit("t", brought(subtask("a")))

    await until(lambda: _ended(orchestra), "an end")

    outcome = (await orchestra.state("t")).outcome
    assert outcome
    assert (outcome.status, outcome.reason[: len(reason)]) == (status, reason)
    await orchestra.quiet()


@pytest.mark.parametrize("name", ["plan.0", "result.web.a", "synthesis.0"])
async def test_a_payload_that_is_gone_ends_the_task_with_the_reason(orchestra: Orchestra, name: str) -> None:
    await orchestra.play(lambda work: None if work.id == name else good_work(work))
    await orchestra.conduct()
    await orchestra.submit("t", Submitted(request="What is it?"))
    await until(lambda: f"t.{name}.1" in orchestra.delivered)

    await orchestra.write_raw("t", name, b"{}", NO_BLOB)

    outcome = await orchestra.outcome("t", within=60)
    assert outcome.status in ("failed", "partial")
    assert "its payload, blob 000000000000…, is not there (any more)" in outcome.reason
    await orchestra.quiet()


async def _ended(orchestra: Orchestra) -> bool:
    return (await orchestra.state("t")).outcome is not None


async def test_a_result_whose_payload_is_lost_costs_that_subtask_and_no_more(orchestra: Orchestra) -> None:
    await orchestra.play(lambda work: None if work.brief.id == "a" else good_work(work))
    await orchestra.conduct()
    await orchestra.submit("t", brought(subtask("a"), subtask("b")))
    await until(lambda: len(orchestra.delivered) == 2, "both are at work")
    await orchestra.write_raw("t", "result.web.a", b"{}", NO_BLOB)
    await orchestra.submit("other", brought(subtask("c")))

    outcome = await orchestra.outcome("t", within=150)
    assert outcome.status == "partial"
    state = await orchestra.state("t")
    assert "blob 000000000000" in repr(state.results.get("result.web.a")) or "blob 000000000000" in outcome.reason
    assert (await orchestra.outcome("other")).reason == "1 subtask done"
    await orchestra.quiet()
