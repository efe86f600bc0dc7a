"""Every way in which a task ends, with its status, and a reason that is true."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs
from story import BROKEN, END, FOUND, JOIN_AT, KINDS, LIMITS, NOTHING, START, Story, brought, plan, planned, report, subtask

from concertino.contracts.messages import (
    Cancel,
    Failure,
    Halted,
    Limits,
    Outcome,
    OutcomeStatus,
    Plan,
    Planned,
    Result,
    ResultStatus,
    Source,
    Submitted,
    Subtask,
    Synthesized,
    Usage,
)
from concertino.contracts.subjects import Header
from concertino.contracts.view import view
from concertino.orchestrator.core.effects import Halt, WriteOutcome

ANSWERED, PARTIAL, FAILED, CANCELLED = OutcomeStatus

NO_PLAN = Planned(status=ResultStatus.FAILED, error=Failure(code="invalid_plan", message="the model made none"))
NO_REPORT = Synthesized(status=ResultStatus.FAILED, error=Failure(code="bug", message="the model is gone"))
UNEXPLAINED = Result(status=ResultStatus.FAILED)
HALF = Result(status=ResultStatus.PARTIAL, findings=FOUND.findings)


def two() -> Story:
    """Two parts, on their way."""
    story = brought(subtask("a"), subtask("b", kind="code"))
    assert story.ids() == ["result.web.a", "result.code.b"]
    return story


def written(*results: Result, synthesis: Synthesized | None = None) -> Outcome:
    """``results`` of as many parts, then the report."""
    story = brought(*(subtask("abcdef"[i]) for i in range(len(results))))
    story.sent()
    for i, result in enumerate(results):
        story.then(f"result.web.{'abcdef'[i]}", result)
    assert story.ids() == ["synthesis.0"]
    return story.then("synthesis.0", synthesis or report()).ended()


def outcome(found: Outcome) -> tuple[OutcomeStatus, str, bool]:
    return found.status, found.reason, found.report is not None


@pytest.mark.parametrize(
    ("results", "synthesis", "expected"),
    [
        ([FOUND], None, (ANSWERED, "1 subtask done", True)),
        ([FOUND, FOUND], None, (ANSWERED, "2 subtasks done", True)),
        ([FOUND, NOTHING], None, (ANSWERED, "2 subtasks done", True)),
        ([NOTHING, NOTHING], None, (PARTIAL, "nothing relevant was found in the sources", True)),
        ([FOUND, BROKEN], None, (PARTIAL, "1 of 2 subtasks came to something: b (web) failed: src does not exist", True)),
        ([FOUND, UNEXPLAINED], None, (PARTIAL, "1 of 2 subtasks came to something: b (web) failed: no reason given", True)),
        ([FOUND, HALF], None, (PARTIAL, "2 of 2 subtasks came to something: b (web) is incomplete", True)),
        (
            [FOUND, *[BROKEN] * 5],
            None,
            (
                PARTIAL,
                "1 of 6 subtasks came to something: b (web) failed: src does not exist; c (web) failed: src does not exist; "
                "d (web) failed: src does not exist; and 2 more",
                True,
            ),
        ),
        (
            [FOUND],
            NO_REPORT,
            (PARTIAL, "1 of 1 subtask came to something: the report could not be written: the model is gone", False),
        ),
        (
            [FOUND],
            Synthesized(),
            (PARTIAL, "1 of 1 subtask came to something: the report could not be written: no reason given", False),
        ),
        (
            [FOUND],
            structs.replace(report(), status=ResultStatus.PARTIAL),
            (PARTIAL, "1 of 1 subtask came to something: the report is incomplete", True),
        ),
    ],
)
def test_a_report_ends_a_task_as_well_as_its_parts_allow(
    results: list[Result], synthesis: Synthesized | None, expected: tuple[OutcomeStatus, str, bool]
) -> None:
    assert outcome(written(*results, synthesis=synthesis)) == expected


def test_a_fleet_of_failures_is_not_written_up() -> None:
    story = two().then("result.web.a", BROKEN).then("result.code.b", UNEXPLAINED)

    assert outcome(story.ended()) == (
        FAILED,
        "no subtask succeeded: a (web) failed: src does not exist; b (code) failed: no reason given",
        False,
    )


def test_what_is_missing_when_the_join_closes_is_named() -> None:
    story = two().then("result.web.a", FOUND)
    assert story.ids(JOIN_AT - 0.001) == []
    assert story.ids(JOIN_AT) == ["synthesis.0"]

    assert outcome(story.then("synthesis.0", report()).ended(JOIN_AT)) == (
        PARTIAL,
        "1 of 2 subtasks came to something: b (code) did not come in time: no worker had begun it",
        True,
    )


def test_a_result_after_the_join_is_named_as_late_though_it_is_there() -> None:
    story = two().then("result.web.a", FOUND)
    assert story.ids(JOIN_AT) == ["synthesis.0"]
    story.then("result.code.b", FOUND, at=JOIN_AT + 5).then("synthesis.0", report(), at=JOIN_AT + 6)

    found = story.ended(JOIN_AT + 7)

    assert found.status == PARTIAL
    assert found.reason == "2 of 2 subtasks came to something: b (code) came after the time for results was up"


def test_a_report_that_was_finished_in_time_counts_however_late_it_is_looked_at() -> None:
    story = two().then("result.web.a", FOUND).then("result.code.b", FOUND)
    story.sent()

    assert outcome(story.then("synthesis.0", report()).due("deadline").ended(END + 60)) == (ANSWERED, "2 subtasks done", True)


def test_at_the_deadline_findings_are_kept_without_a_report() -> None:
    story = two().then("result.web.a", FOUND).then("result.code.b", FOUND)
    assert story.ids() == ["synthesis.0"]

    assert outcome(story.ended(END)) == (
        PARTIAL,
        "2 of 2 subtasks came to something: the deadline came before the findings were written up: no worker had begun it",
        False,
    )


def test_without_a_report_wanted_results_end_the_task() -> None:
    story = brought(subtask("a"), subtask("b"), synthesize=False)
    story.sent()
    story.then("result.web.a", FOUND)
    assert story.effects() == []

    assert outcome(story.then("result.web.b", NOTHING).ended()) == (ANSWERED, "2 subtasks done", False)


@pytest.mark.parametrize(
    ("tell", "now", "reason"),
    [
        (lambda s: s, JOIN_AT, "no plan came before the deadline: no worker had begun it"),
        (lambda s: s, END + 1, "no plan came before the deadline: no worker had begun it"),
        (lambda s: s.due("join"), START, "no plan came before the deadline: no worker had begun it"),
        (lambda s: s.then("plan.0", NO_PLAN), START, "planning failed: the model made none"),
        (lambda s: s.then("plan.0", Planned()), START, "planning failed: no reason given"),
        (
            lambda s: s.raw("plan.0", b"?", {}),
            START,
            "planning failed: plan: JSON is malformed: invalid character (byte 0) (`concertino schema` prints its form)",
        ),
        (
            lambda s: s.raw("plan.0", b"{}", {Header.SCHEMA: "plans/1"}),
            START,
            "planning failed: the message says it is 'plans/1', and plan/1 belongs here: "
            "set the header Ctn-Schema to that or leave it out",
        ),
    ],
)
def test_without_a_plan_a_task_fails(tell: Callable[[Story], Story], now: float, reason: str) -> None:
    story = Story()
    story.sent()

    assert outcome(tell(story).ended(now)) == (FAILED, reason, False)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (plan(), "it has no subtasks"),
        (plan(subtask("a"), subtask("a")), "subtask id 'a' stands 2 times"),
        (plan(subtask("a", kind="ghost")), "no worker does 'ghost'; on the bus: code, web"),
        (plan(subtask("a", "z")), "subtask 'a' depends on 'z', which does not exist"),
        (plan(subtask("a", "b"), subtask("b", "a")), "its dependencies form a cycle: a → b → a"),
        (plan(subtask("a", "a")), "its dependencies form a cycle: a → a"),
        (plan(*(subtask(f"s{i}") for i in range(4))), "it has 4 subtasks, and 3 are allowed"),
    ],
)
@pytest.mark.parametrize("by", ["caller", "planner"])
def test_a_plan_that_cannot_be_run_fails_the_task_whoever_made_it(made: Plan, problem: str, by: str) -> None:
    limits = Limits(deadline=100.0, max_subtasks=3)
    if by == "caller":
        story = Story(Submitted(request="What is it?", limits=limits, plan=made))
    else:
        story = Story(Submitted(request="What is it?", limits=limits)).then("plan.0", Planned(plan=made))

    found = story.ended()

    assert found.status == FAILED
    assert found.reason.startswith("the plan cannot be run: ")
    cycles = found.reason.replace("b → a → b", "a → b → a")  # where a cycle begins is nobody's promise
    assert problem in cycles


def test_of_many_problems_a_few_are_named_and_the_rest_is_counted() -> None:
    found = brought(*(subtask(f"s{i}", "nobody") for i in range(2000))).ended()

    assert found.reason.endswith("subtask 's2' depends on 'nobody', which does not exist; and 1997 more")


def test_a_planner_may_not_bring_sources_in_and_a_caller_may() -> None:
    elsewhere = structs.replace(subtask("a"), sources=(Source(kind="web", location="https://elsewhere.example"),))

    by_planner = Story().then("plan.0", planned(elsewhere)).ended()

    assert by_planner.reason == "the plan cannot be run: source 'https://elsewhere.example' was not given by the caller"
    [work] = brought(elsewhere).sent()
    assert [source.location for source in work.sources] == ["https://elsewhere.example"]


def test_a_task_that_cannot_be_read_fails_with_what_is_wrong() -> None:
    found = Story.untold().raw("submitted", b'{"request": 7}', {}).ended()

    assert outcome(found) == (
        FAILED,
        "submitted: Expected `str`, got `int` - at `$.request` (`concertino schema` prints its form)",
        False,
    )


@pytest.mark.parametrize("id_", ["x" * 65, "ü", "a b", "*"])
def test_a_task_whose_id_is_none_fails(id_: str) -> None:
    found = Story(id_=id_).ended()

    assert found.status == FAILED
    assert found.reason == f"the task's id: {id_!r} is no id: use 1 to 64 letters, digits, '_' or '-'"


def test_a_cancelled_task_says_why_and_keeps_the_report_that_was_there() -> None:
    story = Story().then("cancel", Cancel(reason="changed my mind"))
    assert outcome(story.ended()) == (CANCELLED, "changed my mind", False)

    later = two().then("result.web.a", FOUND).then("result.code.b", FOUND)
    later.sent()
    later.then("synthesis.0", report("a gap"))
    assert later.ids() == ["plan.1"]
    assert outcome(later.raw("cancel", b"not JSON", {}).ended()) == (CANCELLED, "cancelled by the caller", True)


def test_where_only_a_plan_is_wanted_nothing_is_run() -> None:
    task = Submitted(request="What is it?", limits=LIMITS, until="plan")

    assert Story(task).ids() == ["plan.0"]
    for now in (START, END + 60):  # a finished plan is not thrown away for being looked at late
        found = Story(task).then("plan.0", planned(subtask("a"))).ended(now)
        assert outcome(found) == (ANSWERED, "planned, as asked; nothing was run", False)
    assert Story(task).then("plan.0", planned(subtask("a", kind="ghost"))).ended().status == FAILED


AWAY = Failure(code="model_unavailable", message="planned by rule, without the model: it is overloaded")


def by_rule(*parts: Subtask) -> Planned:
    return structs.replace(planned(*parts), status=ResultStatus.PARTIAL, error=AWAY)


def test_a_makeshift_plan_makes_the_outcome_partial_and_says_why() -> None:
    story = Story().then("plan.0", by_rule(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()

    assert outcome(story.then("synthesis.0", report()).ended()) == (
        PARTIAL,
        "1 of 1 subtask came to something: the plan is a makeshift: planned by rule, without the model: it is overloaded",
        True,
    )


def test_a_makeshift_plan_is_told_of_where_nothing_comes_of_it() -> None:
    story = Story().then("plan.0", by_rule(subtask("a")))
    story.sent()

    assert story.then("result.web.a", BROKEN).ended().reason == (
        "no subtask succeeded: the plan is a makeshift: planned by rule, without the model: it is overloaded; "
        "a (web) failed: src does not exist"
    )


def test_a_makeshift_plan_of_another_round_is_named_even_where_it_is_empty() -> None:
    story = brought(subtask("a"))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", report("who pays?"))
    assert story.ids() == ["plan.1"]

    assert outcome(story.then("plan.1", by_rule()).ended()) == (
        PARTIAL,
        "1 of 1 subtask came to something: the plan of round 2 is a makeshift: planned by rule, without the model: "
        "it is overloaded",
        True,
    )


def test_where_only_a_plan_is_wanted_a_makeshift_is_no_full_answer() -> None:
    story = Story(Submitted(request="What is it?", limits=LIMITS, until="plan")).then("plan.0", by_rule(subtask("a")))

    assert outcome(story.ended()) == (
        PARTIAL,
        "planned, as asked; nothing was run: the plan is a makeshift: planned by rule, without the model: it is overloaded",
        False,
    )


def test_usage_is_that_of_all_settled_work_failures_included() -> None:
    spent = Usage(model_calls=1, input_tokens=10, output_tokens=2, cost_usd=0.5)
    story = Story().then("plan.0", structs.replace(planned(subtask("a"), subtask("b")), usage=spent))
    story.sent()
    story.then("result.web.a", structs.replace(FOUND, usage=spent)).then("result.web.b", structs.replace(BROKEN, usage=spent))

    found = story.then("synthesis.0", structs.replace(report(), usage=spent)).ended()

    assert found.usage == Usage(model_calls=4, input_tokens=40, output_tokens=8, cost_usd=2.0)


def test_what_a_result_under_another_kind_claims_to_have_cost_is_not_counted() -> None:
    story = two().then("result.code.a", structs.replace(FOUND, usage=Usage(model_calls=1000, cost_usd=1000.0)))

    assert story.state.usage == Usage()
    assert view(story.state).by_kind == {}


def test_the_end_removes_timers_that_are_still_set() -> None:
    [end] = two().then("result.web.a", FOUND).then("cancel", Cancel()).effects()
    assert isinstance(end, WriteOutcome)
    assert end.timers == ("join",)

    [end] = two().then("result.web.a", BROKEN).then("result.code.b", BROKEN).due("join").effects()
    assert isinstance(end, WriteOutcome)
    assert end.timers == ()


def test_workers_are_told_of_the_end_once_and_only_where_they_have_something_left_to_do() -> None:
    late = two().then("result.web.a", FOUND).due("join").due("deadline")
    late.then("outcome", late.ended(END + 60))
    assert late.effects(END + 60) == [Halt()]
    assert late.then("halted", Halted()).effects(END + 60) == []

    overtaken = two().then("result.web.a", FOUND).due("join").due("deadline")
    overtaken.then("outcome", overtaken.ended(END + 60)).then("result.code.b", FOUND).then("synthesis.0", report())
    assert overtaken.effects(END + 60) == []

    done = two().then("result.web.a", BROKEN).then("result.code.b", BROKEN)
    assert done.then("outcome", done.ended()).effects() == []


def test_after_a_cancellation_workers_are_told_whatever_the_log_says_was_sent() -> None:
    """A coordinator may have put work into its queue and died before it said so."""
    story = Story(Submitted(request="?")).then("cancel", Cancel())
    story.then("outcome", story.ended())

    assert story.effects() == [Halt()]
    assert story.then("halted", Halted()).effects() == []


def test_nothing_is_done_after_the_outcome_nor_before_the_task_is_there() -> None:
    story = two().then("cancel", Cancel())
    ended = story.then("outcome", story.ended()).then("halted", Halted())
    assert ended.then("result.web.a", FOUND).due("deadline").effects(END + 60) == []

    assert Story.untold().then("result.web.a", FOUND).then("cancel", Cancel()).effects(END, KINDS) == []


def test_an_outcome_that_cannot_be_read_is_an_outcome() -> None:
    story = two().raw("outcome", b"?", {})

    assert story.effects(END + 60) == [Halt()]
    assert story.state.outcome is not None
    assert story.state.outcome.status == FAILED
    assert story.state.outcome.reason.startswith("the outcome in the log cannot be read: outcome: JSON is malformed")


def test_a_source_that_no_subtask_reads_is_told_to_the_synthesizer_and_in_the_reason() -> None:
    web, code, odd = (
        Source(kind="web", location="https://a.example"),
        Source(kind="code", location="src"),
        Source(kind="odd", location="x"),
    )
    other = Source(kind="web", location="https://me:secret@b.example/x", ref="v2")
    parts = structs.replace(subtask("a"), sources=(web,)), subtask("b", kind="code")
    story = Story(Submitted(request="What is it?", limits=LIMITS, sources=(web, odd, code, other, odd), plan=plan(*parts)))
    story.sent()
    story.then("result.web.a", FOUND).then("result.code.b", FOUND)

    [writing] = story.sent()

    missed = (
        "x (odd) was not read: nobody who reads odd was asked",
        "https://b.example/x@v2 (web) was not read: no subtask was given it",
    )
    assert writing.unread == missed
    assert outcome(story.then("synthesis.0", report()).ended()) == (
        PARTIAL,
        f"2 of 2 subtasks came to something: {'; '.join(missed)}",
        True,
    )
