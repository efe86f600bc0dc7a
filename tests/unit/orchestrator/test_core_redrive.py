"""What failed in a task is run again: what is kept of it, and what the core makes of a task that begins so."""

from __future__ import annotations

import time

import pytest
from msgspec import structs
from story import BROKEN, FOUND, JOIN_AT, KINDS, LIMITS, START, Story, brought, plan, planned, report, subtask

from concertino.contracts.codec import encode
from concertino.contracts.errors import CannotRedrive
from concertino.contracts.facts import Fact, read_fact
from concertino.contracts.failures import failed_work
from concertino.contracts.messages import (
    Again,
    Begun,
    Cancel,
    Done,
    Evidence,
    Failure,
    Finding,
    Limits,
    Locator,
    Outcome,
    OutcomeStatus,
    Plan,
    Planned,
    Result,
    ResultStatus,
    Spent,
    Submitted,
    Synthesized,
    Usage,
)
from concertino.contracts.plans import problems
from concertino.contracts.redrive import Redrive, evidence_of, redrive
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import FactName
from concertino.contracts.timeline import timeline
from concertino.contracts.view import view
from concertino.orchestrator.core.decide import decide
from concertino.orchestrator.core.effects import Dispatch
from concertino.orchestrator.core.invariants import violations_of_log

USAGE = Usage(model_calls=2, output_tokens=30, cost_usd=0.5)
EVIDENCE = Evidence(digest="0f" * 32, span=(0, 4), source="a.md", locator=Locator(lines=(1, 1)), quote="so it")
SEEN = Result(findings=(Finding(claim="so it is", evidence=(EVIDENCE,)),), usage=USAGE, spent={"large": USAGE}, seconds=7.0)


def partial() -> Story:
    """``a`` came to something, ``b`` failed; ``c`` rests on both, ``d`` on ``a`` alone, and ``e`` never came."""
    story = brought(subtask("a"), subtask("b"), subtask("c", "a", "b"), subtask("d", "a"), subtask("e"))
    story.sent()
    story.then("result.web.a", SEEN).then("result.web.b", BROKEN)
    story.sent()
    story.then("result.web.c", FOUND).then("result.web.d", FOUND)
    story.due("join")
    story.sent(JOIN_AT)
    story.then("synthesis.0", report())
    return ended(story)


def ended(story: Story, now: float = JOIN_AT) -> Story:
    return story.then("outcome", story.ended(now), now)


def again(story: Story, *subtasks: str, gone: frozenset[str] = frozenset(), limits: Limits = LIMITS) -> Redrive:
    found = redrive(story.state, subtasks, gone, limits)
    assert found.submitted.plan is None or not problems(found.submitted.plan, found.submitted, KINDS, brought=True)
    return found


# ------------------------------------------------------------------------------------------------------ what is run again


def test_what_failed_or_is_missing_and_what_rests_on_it_is_run_and_the_rest_is_kept() -> None:
    found = again(partial())
    assert (found.run, found.kept) == (("b", "c", "e"), ("a", "d"))
    assert found.submitted.again == "t"
    assert [done.work for done in found.submitted.done] == ["result.web.a", "result.web.d"]
    assert found.submitted.request == "What is it?"


def test_what_is_named_is_run_whatever_became_of_it_and_other_failures_stay() -> None:
    found = again(partial(), "d")
    assert (found.run, found.kept) == (("d",), ("a", "b", "c", "e"))
    results = {done.work: done.result for done in found.submitted.done}
    assert results["result.web.b"] == BROKEN
    missing = results["result.web.e"]
    assert (missing.status, missing.error and missing.error.code) == (ResultStatus.FAILED, "missing")


def test_what_rests_on_evidence_that_is_gone_is_run_again() -> None:
    story = partial()
    assert evidence_of(story.state) == {"web": {EVIDENCE.digest}}
    assert again(story, gone=frozenset({EVIDENCE.digest})).run == ("a", "b", "c", "d", "e")
    assert again(story, gone=frozenset({"1f" * 32})).run == ("b", "c", "e")


def test_limits_are_those_that_are_given() -> None:
    assert again(partial(), limits=Limits(max_cost=9.0, model="other")).submitted.limits == Limits(max_cost=9.0, model="other")


def test_where_planning_failed_it_is_planned_anew() -> None:
    story = Story()
    story.sent()
    story.then("plan.0", Planned(status=ResultStatus.FAILED, error=Failure(code="model_rejected", message="no key")))
    found = again(ended(story))
    assert (found.submitted.plan, found.run, found.kept) == (None, (), ())


def test_where_the_report_failed_only_that_is_made_anew() -> None:
    story = brought(subtask("a"))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", Synthesized(status=ResultStatus.FAILED, error=Failure(code="bug", message="oh")))
    found = again(ended(story))
    assert (found.run, found.kept) == ((), ("a",))
    assert Story(found.submitted).ids() == ["synthesis.0"]


def test_rounds_become_one_plan() -> None:
    story = Story()
    story.sent()
    story.then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", report("who?"))
    story.sent()
    story.then("plan.1", planned(subtask("b", "a")))
    story.sent()
    story.then("result.web.b", BROKEN)
    story.sent()
    found = again(ended(story))
    assert found.submitted.plan
    assert [s.id for s in found.submitted.plan.subtasks] == ["a", "b"]
    assert (found.run, found.kept) == (("b",), ("a",))


def test_a_cancelled_task_goes_on_where_it_was() -> None:
    story = brought(subtask("a"), subtask("b"))
    story.sent()
    story.then("result.web.a", FOUND).then("cancel", Cancel(reason="enough"))
    assert again(ended(story)).run == ("b",)


@pytest.mark.parametrize("named", [("a",), ("b", "nobody"), ("result.web.b",)])
def test_only_subtasks_that_there_are_can_be_named(named: tuple[str, ...]) -> None:
    if named == ("a",):
        assert again(partial(), *named).run == ("a", "c", "d")
        return
    with pytest.raises(CannotRedrive, match=r"no subtask '(nobody|result\.web\.b)'; it has: a, b, c, d, e"):
        again(partial(), *named)


def test_a_task_that_is_not_over_cannot_be_run_again() -> None:
    with pytest.raises(CannotRedrive, match=r"is not over: wait for it \(concertino follow t\), or end it"):
        again(brought(subtask("a")))


def test_a_task_without_failed_work_cannot_be_run_again_unless_work_is_named() -> None:
    story = brought(subtask("a"))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", report())
    story = ended(story, START)
    with pytest.raises(CannotRedrive, match="no failed work: name the subtasks to run again: a"):
        again(story)
    assert again(story, "a").run == ("a",)


def test_a_round_that_nobody_was_asked_in_is_no_failed_work() -> None:
    story = Story()
    story.sent()
    story.then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", report("who?"))
    story.sent()
    story.then("plan.1", planned())
    story = ended(story, START)
    assert failed_work(story.state) == ()
    with pytest.raises(CannotRedrive, match="no failed work"):
        again(story)
    assert again(story, "a").run == ("a",)


def test_a_plan_that_was_all_that_was_asked_for_cannot_be_run_again() -> None:
    story = Story(Submitted(request="What is it?", limits=LIMITS, until="plan"))
    story.sent()
    story.then("plan.0", planned(subtask("a")))
    with pytest.raises(CannotRedrive, match="asked for a plan alone"):
        again(ended(story))


def test_what_cannot_be_read_cannot_be_run_again() -> None:
    story = Story.untold().raw("submitted", b"{", {}).then("outcome", Outcome(status=OutcomeStatus.FAILED, reason="unreadable"))
    with pytest.raises(CannotRedrive, match="cannot be read"):
        again(story)


# ------------------------------------------------------------------------------------------------- a task that begins so


def test_only_what_is_not_done_is_sent_and_its_inputs_are_the_old_results() -> None:
    story = Story(again(partial()).submitted)
    assert story.ids() == ["result.web.b", "result.web.e"]
    story.then("result.web.b", FOUND)
    [work] = story.sent()
    assert work.id == "result.web.c"
    assert [i.result and i.result.findings for i in work.inputs] == [SEEN.findings, FOUND.findings]
    story.then("result.web.c", FOUND).then("result.web.e", FOUND)
    [work] = story.sent()
    assert work.id == "synthesis.0"
    assert [i.result is not None for i in work.inputs] == [True] * 5
    story.then("synthesis.0", report())
    assert story.ended().status == OutcomeStatus.ANSWERED


def test_what_the_old_task_paid_the_new_one_does_not() -> None:
    story = Story(again(partial()).submitted)
    assert story.state.results["result.web.a"].findings == SEEN.findings
    assert story.state.usage == Usage()
    assert view(story.state).by_model == {}


def test_a_redrive_can_be_run_again() -> None:
    story = Story(again(partial()).submitted, id_="t2")
    story.sent()
    story.then("result.web.b", FOUND)
    story.sent()
    story.then("result.web.c", FOUND).then("result.web.e", BROKEN)
    story.sent()
    story.then("synthesis.0", report())
    found = again(ended(story))
    assert (found.run, found.submitted.again) == (("e",), "t2")
    assert [done.work.rpartition(".")[2] for done in found.submitted.done] == ["a", "b", "c", "d"]


def test_kinds_that_only_did_what_is_done_need_not_be_there() -> None:
    task = brought(subtask("a", kind="gone"), subtask("b")).state.submitted
    assert task
    assert task.plan
    done = structs.replace(task, done=(Done(work="result.gone.a", result=FOUND),))
    assert Story(done).ids() == ["result.web.b"]
    assert problems(task.plan, task, KINDS, brought=True) != []


def test_work_of_a_kind_that_is_gone_is_no_better_for_what_is_done() -> None:
    task = Submitted(
        request="What is it?",
        limits=LIMITS,
        plan=plan(subtask("a", kind="gone"), subtask("b", kind="gone")),
        done=(Done(work="result.gone.a", result=FOUND),),
    )
    assert "no worker does 'gone'" in Story(task).ended().reason


def test_the_kinds_of_a_wide_task_that_is_nearly_done_are_found_quickly() -> None:
    subtasks = tuple(subtask(f"s{i}") for i in range(5_000))
    done = tuple(Done(work=one.work_id, result=FOUND) for one in subtasks[1:])
    state = State("t")
    wide = Submitted(request="What is it?", limits=Limits(max_subtasks=5_000), plan=Plan(subtasks=subtasks), done=done)
    state.apply(Fact(FactName("submitted", ""), wide, 1, START))

    start = time.process_time()
    assert any(isinstance(effect, Dispatch) for effect in decide(state, START, KINDS))
    assert time.process_time() - start < 0.4


def test_results_of_nobody_are_refused_and_count_for_nothing() -> None:
    task = Submitted(
        request="What is it?",
        limits=LIMITS,
        plan=plan(subtask("a")),
        done=(Done(work="result.code.a", result=FOUND),),
    )
    story = Story(task)
    assert story.state.results == {}
    assert "a result is given for 'result.code.a'" in story.ended().reason


def test_without_a_plan_of_its_own_a_task_begins_with_nothing() -> None:
    story = Story(Submitted(request="What is it?", limits=LIMITS, done=(Done(work="result.web.a", result=FOUND),)))
    story.sent()
    story.then("plan.0", planned(subtask("a")))
    assert story.ids() == ["result.web.a"]


def test_a_given_result_stands_whatever_is_written_in_its_place_and_in_whatever_order() -> None:
    def fact(name: str, message: Submitted | Result, sequence: int) -> Fact:
        type_, _, about = name.partition(".")
        return read_fact(FactName(type_, about), encode(message), {}, sequence, START + sequence)

    task = again(partial()).submitted
    log = [fact("submitted", task, 1), fact("result.web.a", BROKEN, 2)]
    assert fold("t", log) == fold("t", reversed(log))
    assert fold("t", log).results["result.web.a"].findings == SEEN.findings


def test_that_done_work_was_sent_is_a_violation() -> None:
    story = Story(again(partial()).submitted)
    fact = read_fact(FactName("submitted", ""), encode(again(partial()).submitted), {}, 1, START)
    sent = read_fact(FactName("dispatched", "1"), b'{"work": [["result.web.a", 1]]}', {}, 2, START)
    assert violations_of_log([fact, sent]) == ["result.web.a was done before the task began, and is worked on"]
    assert "result.web.a" in story.state.done


def test_both_tasks_name_each_other() -> None:
    old, new = partial(), Story(again(partial()).submitted, id_="t2")
    old.then("again.t2", Again())
    assert (view(old.state).again, view(old.state).redriven) == ("", ("t2",))
    assert (view(new.state).again, view(new.state).redriven) == ("t", ())
    assert {s.id: s.earlier for s in view(new.state).subtasks} == {"a": "t", "b": "", "c": "", "d": "t", "e": ""}
    assert "task t2 runs again what failed in this one" in timeline(old.state, JOIN_AT).notes
    assert "2 of 5 subtasks have their results from task t" in timeline(new.state, JOIN_AT).notes


def test_what_was_done_before_takes_no_time_of_the_new_task() -> None:
    story = Story(again(partial()).submitted)
    story.sent()
    found = timeline(story.state, START + 10)
    assert [row.name for row in found.rows] == ["b", "c", "e"]
    assert found.seconds == 10


# --------------------------------------------------------------------------------------------------------- what failed


def test_failed_work_is_told_with_its_attempts_and_all_that_it_took() -> None:
    story = brought(subtask("a"), subtask("b"))
    story.sent()
    story.then("spent.result.web.a.1", Spent(why="overloaded", usage=USAGE))
    failed = Result(status=ResultStatus.FAILED, error=Failure(code="source", message="no such folder"), attempts=2, usage=USAGE)
    story.then("result.web.a", failed, START + 5).then("result.web.b", FOUND)
    [one] = failed_work(story.state)
    assert (one.task, one.work, one.kind, one.subtask) == ("t", "result.web.a", "web", "a")
    assert (one.code, one.error, one.retryable, one.attempts) == ("source", "no such folder", False, 2)
    assert (one.usage.model_calls, one.usage.cost_usd, one.at) == (4, 1.0, START + 5)
    assert (one.status, one.reported) == ("running", False)
    story.sent()
    story.then("synthesis.0", report())
    [one] = failed_work(ended(story).state)
    assert (one.status, one.reported) == ("partial", True)


def test_what_never_came_is_missing_once_the_task_is_over() -> None:
    story = brought(subtask("a"), subtask("b"), subtask("c", "b"))
    story.sent()
    story.then("result.web.a", FOUND).then("begun.result.web.b.3", Begun(worker="w", attempt=3))
    assert failed_work(story.state) == ()
    story.due("join")
    story.sent(JOIN_AT)
    story.then("synthesis.0", report())
    b, c = failed_work(ended(story).state)
    assert (b.subtask, b.code, b.error, b.attempts) == ("b", "missing", "did not end in time", 3)
    assert (c.subtask, c.code, c.error, c.attempts) == ("c", "missing", "was not begun before the end", 0)


def test_failed_plans_and_reports_are_work_too() -> None:
    story = Story()
    story.sent()
    story.then("plan.0", Planned(status=ResultStatus.FAILED, error=Failure(code="model_rejected", message="no key")))
    assert [(one.work, one.kind, one.code) for one in failed_work(story.state)] == [("plan.0", "plan", "model_rejected")]
    story = brought(subtask("a"))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", Synthesized(status=ResultStatus.FAILED, error=Failure(code="bug", message="oh")))
    assert [(one.work, one.kind, one.code) for one in failed_work(story.state)] == [("synthesis.0", "synthesize", "bug")]


def test_a_plan_of_which_nothing_was_begun_is_one_failure() -> None:
    story = brought(*(subtask(f"s{i}", kind="ghost") for i in range(20)))
    [one] = failed_work(ended(story).state)
    assert (one.work, one.code) == ("plan.0", "missing")
    assert "no worker does 'ghost'" in one.error


def test_a_result_in_anothers_place_is_no_failure_of_the_task() -> None:
    story = brought(subtask("a"))
    story.sent()
    story.then("result.code.a", BROKEN).then("result.web.a", FOUND)
    assert failed_work(story.state) == ()
