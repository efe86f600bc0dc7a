"""The coordinator at its work: whole tasks, several replicas, time, and what comes after the end."""

from __future__ import annotations

import asyncio

import pytest
from orchestra import Orchestra, brought, good_work, subtask

from concertino.contracts.budget import Bounds
from concertino.contracts.messages import (
    Cancel,
    Finding,
    Limits,
    Plan,
    Planned,
    Report,
    Result,
    Settled,
    Submitted,
    Synthesized,
    Work,
)
from concertino.orchestrator import states
from kit.inbox import Heard
from kit.waiting import until


async def test_a_task_from_its_request_to_its_report(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.play()

    await orchestra.submit("t", Submitted(request="What is it?"))
    outcome = await orchestra.outcome("t")

    assert (outcome.status, outcome.reason, outcome.report) == ("answered", "3 subtasks done", Report(text="It is so."))
    assert orchestra.delivered == ["t.plan.0.1", "t.result.web.a.1", "t.result.web.b.1", "t.result.code.c.1", "t.synthesis.0.1"]
    names = await orchestra.names("t")
    assert set(names) == {
        *("submitted", "plan.0", "result.web.a", "result.web.b", "result.code.c", "synthesis.0", "outcome"),
        *(f"dispatched.{n}" for n in (1, 2, 3, 4)),
        "timer.join",
    }
    await orchestra.quiet()
    assert await orchestra.timers("t") == []


async def test_what_depends_on_others_receives_what_they_found(orchestra: Orchestra) -> None:
    received: dict[str, list[str]] = {}

    def script(work: Work) -> Settled:
        received[work.id] = [f.claim for i in work.inputs if i.result for f in i.result.findings]
        return good_work(work)

    await orchestra.conduct()
    await orchestra.play(script)
    await orchestra.submit("t", Submitted(request="What is it?"))
    await orchestra.outcome("t")

    assert received["result.code.c"] == ["a is so", "b is so"]
    assert received["synthesis.0"] == ["a is so", "b is so", "c is so"]


async def test_another_round_for_a_named_gap(orchestra: Orchestra) -> None:
    def script(work: Work) -> Settled:
        match work.id:
            case "plan.1":
                assert work.gaps == ("who pays?",)
                return Planned(plan=Plan(subtasks=(subtask("d"),)))
            case "synthesis.0":
                return Synthesized(report=Report(text="Almost.", open=("who pays?",)))
        return good_work(work)

    await orchestra.conduct()
    await orchestra.play(script)
    await orchestra.submit("t", Submitted(request="What is it?"))

    assert (await orchestra.outcome("t")).reason == "4 subtasks done"
    assert orchestra.delivered[-3:] == ["t.plan.1.1", "t.result.web.d.1", "t.synthesis.1.1"]


@pytest.mark.parametrize("remembered", [5_000, 2])
async def test_two_coordinators_give_each_task_one_outcome_and_enqueue_nothing_twice(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """Also where their memory is so small that every task is forgotten while it is being worked on."""
    monkeypatch.setattr(states, "REMEMBERED", remembered)
    both = [await orchestra.conduct(), await orchestra.conduct()]
    await orchestra.play()
    tasks = [f"t{i}" for i in range(30)]

    await asyncio.gather(*(orchestra.submit(task, Submitted(request="What is it?")) for task in tasks))
    outcomes = [await orchestra.outcome(task) for task in tasks]
    await orchestra.quiet()

    assert {outcome.reason for outcome in outcomes} == {"3 subtasks done"}
    assert len(orchestra.delivered) == len(set(orchestra.delivered)) == 30 * 5
    for task in tasks:
        names = await orchestra.names(task)
        assert len(names) == len(set(names))
    for coordinator in both:
        known = coordinator._states._states
        assert len(known) <= remembered
        assert not coordinator._intake._busy
        assert not coordinator._intake._waiting
        assert not any(state.results for state in known.values())  # of an ended task only the end is kept


async def test_the_deadline_closes_the_join_and_the_missing_part_is_named(orchestra: Orchestra) -> None:
    def script(work: Work) -> Settled | None:
        return None if work.id == "result.web.b" else good_work(work)

    await orchestra.conduct()
    await orchestra.play(script)
    await orchestra.submit("t", brought(subtask("a"), subtask("b")))
    await until(lambda: len(orchestra.delivered) == 2)
    await orchestra.advance(79)
    assert "outcome" not in await orchestra.names("t")
    await orchestra.advance(1.5)

    outcome = await orchestra.outcome("t")

    assert outcome.reason == "1 of 2 subtasks came to something: b (web) did not come in time: no worker had begun it"
    assert outcome.report == Report(text="It is so.")


async def test_a_task_ends_before_its_log_does(orchestra: Orchestra) -> None:
    await orchestra.conduct(bounds=Bounds(keep=60.0))
    await orchestra.play(lambda work: None)
    await orchestra.submit("t1", brought(subtask("a"), deadline=100))
    assert (await orchestra.outcome("t1", within=40)).status == "failed"
    assert orchestra.server.now() <= 1e9 + 31


async def test_what_the_installation_allows_narrows_what_a_caller_allows_itself(orchestra: Orchestra) -> None:
    await orchestra.conduct(bounds=Bounds(max_cost=2.0))
    seen: list[Limits] = []

    def work(work: Work) -> Settled | None:
        seen.append(work.limits)
        return good_work(work)

    await orchestra.play(work)
    for task, asked, applied in (("t", 5.0, 2.0), ("u", None, 2.0), ("v", 0.5, 0.5)):
        await orchestra.submit(task, Submitted(request="What is it?", limits=Limits(max_cost=asked, max_tokens=7_000)))
        outcome = await orchestra.outcome(task)
        assert (outcome.status, outcome.max_cost, outcome.max_tokens) == ("answered", applied, 7_000)
        assert {limits.max_cost for limits in seen} == {applied}
        seen.clear()


async def test_a_task_for_which_nobody_works_ends_at_its_deadline(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.submit("t", Submitted(request="What is it?", limits=Limits(deadline=100.0)))
    await until(lambda: _has(orchestra, "t", "dispatched.1"))

    await orchestra.advance(80.5)

    assert (await orchestra.outcome("t")).reason == "no plan came before the deadline: no worker had begun it"


async def test_work_that_is_never_written_up_ends_at_the_deadline_with_its_findings(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.play(lambda work: None if work.id == "synthesis.0" else good_work(work))
    await orchestra.submit("t", brought(subtask("a")))
    await until(lambda: len(orchestra.delivered) == 2)

    await orchestra.advance(99)
    assert "outcome" not in await orchestra.names("t")
    await orchestra.advance(1.5)

    outcome = await orchestra.outcome("t")
    assert outcome.status == "partial"
    assert outcome.reason.endswith("the deadline came before the findings were written up: no worker had begun it")


async def test_cancelling_ends_a_task_at_once_and_tells_whoever_works_on_it(orchestra: Orchestra) -> None:
    told = Heard()
    await orchestra.conduct()
    await orchestra.play(lambda work: None)
    await (await orchestra.connect()).subscribe(orchestra.subjects.signal("t"), told)
    await orchestra.submit("t", Submitted(request="What is it?"))
    await until(lambda: len(orchestra.delivered) == 1)

    await orchestra.write("t", "cancel", Cancel(reason="changed my mind"))

    outcome = await orchestra.outcome("t")
    assert (outcome.status, outcome.reason) == ("cancelled", "changed my mind")
    await until(lambda: told.data == [b'{"reason":"the task is over"}'])
    await orchestra.quiet()
    assert (await orchestra.names("t"))[-1] == "halted"
    assert await orchestra.timers("t") == []


async def test_facts_after_the_outcome_change_nothing(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.play(lambda work: None)
    await orchestra.submit("t", brought(subtask("a"), subtask("b", "a")))
    await until(lambda: len(orchestra.delivered) == 1)
    await orchestra.write("t", "cancel", Cancel())
    outcome = await orchestra.outcome("t")
    await orchestra.quiet()

    newcomer = await orchestra.conduct()  # one that remembers nothing of it, besides the one that does
    for i, name in enumerate(("a", "b", "stranger")):
        await orchestra.write("t", f"result.web.{name}", Result(findings=(Finding(claim=f"late {i}"),)))
    await orchestra.write("t", "synthesis.0", Synthesized(report=Report(text="Late.")))
    await orchestra.quiet()
    await orchestra.advance(200)

    assert await orchestra.outcome("t") == outcome
    assert [n for n in await orchestra.names("t") if n.startswith(("dispatched", "due"))] == ["dispatched.1"]
    assert orchestra.delivered == ["t.result.web.a.1"]
    assert not newcomer._intake._waiting


async def test_a_kind_that_came_after_the_last_look_is_found(orchestra: Orchestra) -> None:
    await orchestra.conduct()
    await orchestra.play(kinds=("web",))
    await orchestra.submit("t1", brought(subtask("a", kind="legal")))
    assert (await orchestra.outcome("t1")).reason == "the plan cannot be run: no worker does 'legal'; on the bus: web"

    await orchestra.play(kinds=("legal",))
    await orchestra.submit("t2", brought(subtask("a", kind="legal")))

    assert (await orchestra.outcome("t2")).reason == "1 subtask done"


async def _has(orchestra: Orchestra, task: str, name: str) -> bool:
    return name in await orchestra.names(task)
