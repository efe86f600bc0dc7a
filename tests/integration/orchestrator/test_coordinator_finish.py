"""Finish, limits of time, and the deadline, as coordinators hold them: with timers of the server, and nobody else alive."""

from __future__ import annotations

import pytest
from msgspec import structs
from orchestra import Faulty, Orchestra, Script, brought, good_work, subtask

from concertino.bus import topology
from concertino.bus.topology import COORDINATOR_LEASE
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Begun, Finish, Limits, Result, Settled, Spent, Submitted, Work
from concertino.contracts.state import State
from kit.inbox import Heard
from kit.waiting import until


def without(*ids: str) -> Script:
    """Workers that take those subtasks and are never heard of again."""
    return lambda work: None if work.brief.id in ids else good_work(work)


async def three(orchestra: Orchestra, *never: str) -> None:
    """A task of which ``never`` do not come; all else is there."""
    await orchestra.conduct()
    await orchestra.play(without(*never))
    await orchestra.submit("t", brought(subtask("a"), subtask("b"), subtask("c", "b")))
    await until_there(orchestra, "result.web.a")
    await orchestra.quiet()


async def until_there(orchestra: Orchestra, name: str) -> None:
    async def there() -> bool:
        return name in await orchestra.names("t")

    await until(there, name)


async def test_what_nobody_has_begun_is_missing_and_the_report_is_written(orchestra: Orchestra) -> None:
    await three(orchestra, "b")
    heard = Heard()
    await orchestra.buses[0].subscribe(orchestra.subjects.finish_signal("t"), heard)

    await orchestra.write("t", "finish", Finish(reason="enough"))
    await orchestra.quiet()
    await until(lambda: len(heard.messages) == 1, "workers are told")
    assert "outcome" not in await orchestra.names("t")

    outcome = await orchestra.outcome("t", within=3)
    assert outcome.status == "partial"
    assert outcome.reason == (
        "1 of 3 subtasks came to something, and the caller asked to finish (enough): b (web) did not come in time: "
        "no worker had begun it; c (web) did not come in time: it depends on b, which did not come either"
    )
    assert outcome.report is not None
    assert "result.web.c.1" not in orchestra.delivered
    assert not [name for name in await orchestra.timers("t") if ".timer." in name]  # none that would still go off


async def test_what_is_at_work_has_twenty_seconds(orchestra: Orchestra) -> None:
    await three(orchestra, "b")
    await orchestra.write("t", "finish", Finish())
    await orchestra.write("t", "begun.result.web.b.1", Begun(worker="w1"))
    await orchestra.quiet()
    await orchestra.advance(15)
    await orchestra.quiet()
    assert "synthesis.0" not in await orchestra.names("t")

    await orchestra.write("t", "result.web.b", Result(findings=()))
    outcome = await orchestra.outcome("t")

    assert outcome.reason.startswith("2 of 3 subtasks came to something, and the caller asked to finish: c (web)")


async def test_who_comes_back_after_a_crash_tells_again_and_goes_on(orchestra: Orchestra) -> None:
    """The wish was read, the one who read it died before anybody heard of it."""
    heard = Heard()
    await orchestra.buses[0].subscribe(orchestra.subjects.finish_signal("t"), heard)
    dead = False

    def fault(call: str, subject: str) -> None:
        nonlocal dead
        if dead or (call == "publish" and subject.endswith(".finish")):
            dead = True
            raise BusUnavailable("it is dead")

    await orchestra.conduct(lambda bus: Faulty(bus, fault))
    await orchestra.play(without("b"))
    await orchestra.submit("t", brought(subtask("a"), subtask("b")))
    await until_there(orchestra, "result.web.a")
    await orchestra.quiet()
    await orchestra.write("t", "finish", Finish())
    await until(lambda: dead, "the crash")
    await orchestra.buses[1].close()
    assert heard.messages == []

    await orchestra.conduct()
    await orchestra.advance(COORDINATOR_LEASE + 1)

    await until(lambda: len(heard.messages) >= 1, "workers are told")
    assert "the caller asked to finish" in (await orchestra.outcome("t", within=30)).reason


async def test_while_it_is_planned_a_task_ends_at_once(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.submit("t", Submitted(request="What is it?"))
    await orchestra.quiet()

    await orchestra.write("t", "finish", Finish())

    outcome = await orchestra.outcome("t")
    assert (outcome.status, outcome.reason) == (
        "failed",
        "the caller asked to finish before there was a plan: no worker had begun it",
    )


async def test_what_nobody_begins_fails_in_its_time_with_no_worker_alive(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.play(without("b"))
    heard = Heard()
    await orchestra.buses[0].subscribe(orchestra.subjects.signal("t", "result.web.b"), heard)
    task = brought(subtask("a"), subtask("b"), subtask("c", "b"))
    await orchestra.submit("t", structs.replace(task, limits=Limits(deadline=100.0, max_queued=5.0)))
    await until_there(orchestra, "result.web.a")
    await orchestra.quiet()

    outcome = await orchestra.outcome("t", within=10)

    assert outcome.status == "partial"
    assert outcome.reason == ("2 of 3 subtasks came to something: b (web) failed: no worker began it within 5 s (max_queued)")
    assert len(heard.messages) == 1  # whoever has it lets it go
    state = await orchestra.state("t")
    assert (state.results["result.web.b"].worker, state.results["result.web.b"].attempts) == ("coordinator", 0)


async def test_without_a_planner_a_task_ends_when_it_has_waited_long_enough(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.submit("t", Submitted(request="What is it?", limits=Limits(deadline=100.0, max_queued=5.0)))

    outcome = await orchestra.outcome("t", within=10)

    assert (outcome.status, outcome.reason) == ("failed", "planning failed: no worker began it within 5 s (max_queued)")


async def test_what_takes_longer_than_its_brief_allows_fails_and_the_task_goes_on(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.play(without("b"))
    await orchestra.submit("t", brought(subtask("a"), structs.replace(subtask("b"), max_seconds=5.0), subtask("c", "b")))
    await until_there(orchestra, "dispatched.1")
    await orchestra.write("t", "begun.result.web.b.1", Begun(worker="w1", seconds=1.0))
    await orchestra.quiet()
    assert "result.web.b" not in await orchestra.names("t")

    outcome = await orchestra.outcome("t", within=10)

    assert outcome.reason == (
        "2 of 3 subtasks came to something: b (web) failed: it was not done 5 s after it was begun (max_seconds)"
    )


async def test_a_worker_that_is_first_counts(orchestra: Orchestra) -> None:
    """Between the coordinator's look at the log and its word, the result comes."""
    raced = False

    class Racing(Faulty):
        async def write_once(self, subject: str, data: bytes, headers: object = None) -> int | None:
            nonlocal raced
            if subject.endswith("result.web.b") and not raced:
                raced = True
                await orchestra.write("t", "result.web.b", good_work(late))
            return await self._bus.write_once(subject, data, headers)  # type: ignore[arg-type]

    late = Work(task="t", id="result.web.b", attempt=1, request="?", brief=subtask("b"), deadline=2e9)
    await orchestra.conduct(lambda bus: Racing(bus, lambda *_: None))
    await orchestra.play(without("b"))
    task = brought(subtask("a"), subtask("b"))
    await orchestra.submit("t", structs.replace(task, limits=Limits(deadline=100.0, max_queued=5.0)))
    await until_there(orchestra, "dispatched.1")
    await orchestra.quiet()

    outcome = await orchestra.outcome("t", within=10)

    assert raced
    assert (outcome.status, outcome.reason) == ("answered", "2 subtasks done")


WHYS = (
    "queued (web) did not come in time: no worker had begun it",
    "running (web) did not come in time: it was begun by w1, and did not end: it took too long, or its worker was lost",
    "lost (web) did not come in time: a worker was lost over it; it was begun again by w2, and did not end (2 attempts)",
    "after (web) did not come in time: it depends on lost, which did not come either",
    "retried (web) did not come in time: it was to be tried again: the model is overloaded",
)


@pytest.mark.parametrize("alive", [True, False], ids=["a coordinator alive", "one that starts after the deadline"])
async def test_at_the_deadline_everything_that_is_missing_is_named_with_its_reason(orchestra: Orchestra, alive: bool) -> None:
    told: list[str] = []

    def script(work: Work) -> Settled | None:
        told.extend(item.why for item in work.inputs if item.why)
        return None if work.brief.id in ("queued", "running", "lost", "retried") else good_work(work)

    await orchestra.conduct()
    await orchestra.play(script)
    names = ("done", "queued", "running", "lost", "retried")
    await orchestra.submit("t", brought(*map(subtask, names), subtask("after", "lost")))
    await until_there(orchestra, "result.web.done")
    for name, worker in (("running.1", "w1"), ("lost.1", "w1"), ("lost.2", "w2")):
        await orchestra.write("t", f"begun.result.web.{name}", Begun(worker=worker))
    await orchestra.write("t", "spent.result.web.retried.1", Spent(why="the model is overloaded"))
    await orchestra.quiet()
    if not alive:
        await orchestra.buses[1].close()
    await orchestra.advance(81)
    if not alive:
        await orchestra.conduct()
        await orchestra.advance(COORDINATOR_LEASE + 1)

    outcome = await orchestra.outcome("t", within=20)

    assert outcome.status == "partial"
    assert outcome.report is not None
    assert [why.partition(" did not come in time: ")[2] for why in WHYS] == [told[i] for i in (0, 1, 2, 4, 3)]
    assert sum(why in outcome.reason for why in WHYS) == 3
    assert "and 2 more" in outcome.reason


async def test_the_log_of_one_who_keeps_nothing_is_read_alike(orchestra: Orchestra) -> None:
    """What was written by coordinators themselves has its place in the log for everybody else."""
    await three(orchestra, "b")
    await orchestra.write("t", "finish", Finish())
    await orchestra.quiet()
    await orchestra.buses[1].close()
    await orchestra.conduct()

    outcome = await orchestra.outcome("t", within=30)

    assert "1 of 3 subtasks came to something, and the caller asked to finish" in outcome.reason
    state: State = await orchestra.state("t")
    assert state.places["dispatched.1"] < state.places["finish"]
    assert await orchestra.buses[0].depth(topology.coordinator(orchestra.subjects)) == (0, 0)
