"""What goes into the queues, when, and with what."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs
from story import BROKEN, END, FOUND, JOIN_AT, LIMITS, NOTHING, START, Story, brought, planned, report, subtask

from concertino.contracts.messages import (
    Begun,
    Evidence,
    Failure,
    Finding,
    Input,
    Limits,
    Locator,
    Planned,
    Result,
    ResultStatus,
    Source,
    Spent,
    Submitted,
    Usage,
    Work,
)
from concertino.contracts.state import State
from concertino.orchestrator.core import decide as module
from concertino.orchestrator.core.decide import phase
from concertino.orchestrator.core.effects import Dispatch, SetTimer
from concertino.orchestrator.core.lifecycle import Phase

WEB, CODE = Source(kind="web", location="https://a.example"), Source(kind="code", location="src")


def test_a_task_is_planned_first_and_its_timer_is_set_before_its_work_is_sent() -> None:
    timer, dispatch = Story(Submitted(request="What is it?", limits=LIMITS, sources=(WEB, CODE))).effects()

    assert timer == SetTimer("join", JOIN_AT)
    assert isinstance(dispatch, Dispatch)
    [work] = dispatch.work
    assert (dispatch.wave, work.id, work.attempt, work.brief.kind) == (1, "plan.0", 1, "plan")
    assert (work.request, work.sources, work.gaps) == ("What is it?", (WEB, CODE), ())
    assert START < work.deadline < JOIN_AT  # so that why it was not done is in the log before the join closes


def test_a_plan_that_the_caller_brings_needs_no_planner() -> None:
    assert brought(subtask("a"), subtask("b")).ids() == ["result.web.a", "result.web.b"]


def test_what_depends_on_something_waits_for_it_and_receives_it() -> None:
    story = brought(subtask("a"), subtask("b"), subtask("c", "a", "b"))
    assert story.ids() == ["result.web.a", "result.web.b"]
    story.then("result.web.b", FOUND)
    assert story.ids() == []

    [work] = story.then("result.web.a", FOUND).sent()

    assert work.id == "result.web.c"
    assert work.inputs == (Input(subtask=subtask("a"), result=FOUND), Input(subtask=subtask("b"), result=FOUND))


def test_what_depends_on_a_failed_part_runs_and_is_told() -> None:
    story = brought(subtask("a"), subtask("b", "a"))
    story.sent()

    [work] = story.then("result.web.a", BROKEN).sent()

    assert work.id == "result.web.b"
    assert work.inputs == (Input(subtask=subtask("a"), result=BROKEN),)


def test_a_result_under_another_kind_than_the_one_in_the_plan_does_not_count() -> None:
    story = brought(subtask("a"), subtask("b", "a"))
    story.sent()

    assert story.then("result.code.a", BROKEN).effects() == []
    [work] = story.then("result.web.a", FOUND).sent()

    assert work.inputs == (Input(subtask=subtask("a"), result=FOUND),)
    assert story.then("result.code.b", BROKEN).effects() == []
    assert phase(story.state, START) == Phase.WORKING


def test_nothing_is_sent_twice() -> None:
    story = brought(subtask("a"), subtask("b"))
    assert len(story.ids()) == 2
    assert story.effects() == []
    assert story.then("result.web.a", FOUND).effects() == []


def test_a_crash_between_queue_and_wave_sends_the_same_again_under_the_same_names() -> None:
    story = brought(subtask("a"), subtask("b"))
    first, again = story.effects(), story.effects(START + 30)

    assert first == again


def test_waves_take_the_first_number_that_is_free() -> None:
    story = brought(subtask("a"), subtask("b", "a"))
    story.raw("dispatched.999999999", b"?", {}).raw("dispatched.1", b"?", {}).raw("dispatched.02", b"?", {})

    [_, dispatch] = story.effects()

    assert isinstance(dispatch, Dispatch)
    assert dispatch.wave == 2


def test_a_subtask_reads_the_sources_of_its_kind_unless_its_brief_names_some() -> None:
    plain, named = subtask("a", kind="code"), structs.replace(subtask("b"), sources=(CODE,))
    none = structs.replace(subtask("c"), sources=())
    story = Story(Submitted(request="What is it?", limits=LIMITS, sources=(WEB, CODE))).then(
        "plan.0", planned(plain, named, none)
    )

    assert [work.sources for work in story.sent()] == [(CODE,), (CODE,), ()]


def test_writing_receives_every_part_and_may_take_until_the_end() -> None:
    story = brought(subtask("a"), subtask("b"))
    story.sent()

    [work] = story.then("result.web.a", FOUND).due("join").sent()

    assert (work.id, work.brief.kind, work.deadline) == ("synthesis.0", "synthesize", END)
    assert work.inputs == (
        Input(subtask=subtask("a"), result=FOUND),
        Input(subtask=subtask("b"), result=None, why="no worker had begun it"),
    )


def test_when_the_join_has_closed_the_deadline_is_what_wakes_the_task() -> None:
    story = brought(subtask("a"))
    story.sent()

    assert SetTimer("deadline", END) in story.then("result.web.a", FOUND).due("join").effects()


def test_a_timer_that_the_server_does_not_hold_is_set_again() -> None:
    story = brought(subtask("a")).raw("timer.join", b"", {})

    assert SetTimer("join", JOIN_AT) in story.effects()
    assert not any(isinstance(effect, SetTimer) for effect in story.timer("join").effects())


def test_writing_takes_a_fifth_of_the_time_and_at_most_two_minutes() -> None:
    hours = Story(Submitted(request="What is it?", limits=Limits(deadline=7200.0)))

    assert SetTimer("join", START + 7080.0) in hours.effects()


# --- rounds


def first_round(*gaps: str, limits: Limits = LIMITS, brought_plan: bool = False) -> Story:
    """One part, its result, and a report with ``gaps`` that another round may close."""
    if brought_plan:
        story = brought(subtask("a"), limits=limits)
    else:
        story = Story(Submitted(request="What is it?", limits=limits)).then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    return story.then("synthesis.0", report(*gaps))


def test_named_gaps_are_worth_another_round_which_is_told_of_them_and_of_what_is_there() -> None:
    [work] = first_round("who pays?").sent()

    assert (work.id, work.gaps) == ("plan.1", ("who pays?",))
    assert work.inputs == (Input(subtask=subtask("a"), result=FOUND),)


def test_the_last_report_counts() -> None:
    story = first_round("who pays?")
    story.sent()
    assert story.then("plan.1", planned(subtask("b"))).ids() == ["result.web.b"]
    assert story.then("result.web.b", FOUND).ids() == ["synthesis.1"]

    found = story.then("synthesis.1", report(text="Now it is clear.")).ended()

    assert (found.reason, found.report and found.report.text) == ("2 subtasks done", "Now it is clear.")


def test_a_plan_that_takes_the_last_allowed_subtask_is_still_run() -> None:
    story = first_round("who pays?", limits=Limits(deadline=100.0, max_subtasks=2))
    story.sent()

    assert story.then("plan.1", planned(subtask("b"))).ids() == ["result.web.b"]


def test_rounds_are_bounded() -> None:
    only_one = first_round("who pays?", limits=Limits(deadline=100.0, max_rounds=1))
    assert only_one.ended().reason == "1 subtask done"
    full = first_round("who pays?", limits=Limits(deadline=100.0, max_subtasks=1))
    assert full.ended().reason == "1 subtask done"
    many = brought(*(subtask(f"s{i}") for i in range(20)))
    many.sent()
    for i in range(20):
        many.then(f"result.web.s{i}", FOUND)
    many.sent()
    assert many.then("synthesis.0", report("who pays?")).ended().reason == "20 subtasks done"  # none is left for a planner


@pytest.mark.parametrize(
    ("limits", "goes_on"),
    [
        (Limits(deadline=100.0, max_tokens=150), True),  # 105 are for work: 35 are left, half of the 70 that it took so far
        (Limits(deadline=100.0, max_tokens=149), False),
        (Limits(deadline=100.0, max_cost=1.6), True),
        (Limits(deadline=100.0, max_cost=1.0), False),
    ],
)
def test_another_round_is_begun_only_with_enough_left_for_it(limits: Limits, goes_on: bool) -> None:
    story = brought(subtask("a"), limits=limits)
    story.sent()
    story.then("result.web.a", structs.replace(FOUND, usage=Usage(output_tokens=60, cost_usd=0.6)), START + 1)
    story.sent()
    wrote = structs.replace(report("who pays?"), usage=Usage(output_tokens=10, cost_usd=0.1))
    story.then("synthesis.0", wrote, START + 2)
    story.then("spent.result.web.a.1", Spent(usage=Usage(output_tokens=500, cost_usd=5.0)), START + 3)  # too late to matter
    if goes_on:
        assert [work.id for work in story.sent()] == ["plan.1"]
    else:
        ended = story.ended()
        assert (ended.status, ended.max_tokens, ended.max_cost) == ("partial", limits.max_tokens, limits.max_cost)
        assert ended.reason == (
            "1 of 1 subtask came to something: too little of the budget is left for another round on what is still open"
        )


MORE = Result(findings=(Finding(claim="so is that"),))


def second_round(*gaps: str, found: Result = MORE) -> Story:
    story = first_round("who pays?", limits=Limits(deadline=100.0, max_rounds=5))
    story.sent()
    story.then("plan.1", planned(subtask("b")))
    story.sent()
    story.then("result.web.b", found)
    story.sent()
    return story.then("synthesis.1", report(*gaps))


def test_the_same_gap_is_never_worth_a_second_round() -> None:
    assert second_round("who pays?").ended().reason == "2 subtasks done"
    [work] = second_round("who pays?", "since when?").sent()
    assert (work.id, work.gaps) == ("plan.2", ("since when?",))


def quoted(claim: str, quote: str) -> Result:
    evidence = Evidence(digest="a" * 64, span=(0, len(quote)), source="a.md", locator=Locator(page=1), quote=quote)
    return Result(findings=(Finding(claim=claim, evidence=(evidence,)),))


@pytest.mark.parametrize(
    "found",
    [NOTHING, FOUND, structs.replace(FOUND, findings=(Finding(claim="So  it\nis", confidence=0.9),))],
)
def test_a_round_that_found_nothing_new_is_not_followed_by_another_and_says_so(found: Result) -> None:
    ended = second_round("since when?", found=found).ended()

    assert ended.status == "partial"
    assert ended.reason == (
        "2 of 2 subtasks came to something: round 2 found nothing that was not known before, so there was no other on what is "
        "still open"
    )


@pytest.mark.parametrize(
    ("found", "goes_on"),
    [
        (quoted("in other words", "The fee is 5 dollars."), False),
        (quoted("in other words", "the  fee is\n5 dollars."), False),
        (quoted("the fee is five dollars", "Five dollars are due."), True),
    ],
)
def test_what_is_quoted_and_not_its_wording_makes_a_finding_new(found: Result, goes_on: bool) -> None:
    story = first_round("who pays?", limits=Limits(deadline=100.0, max_rounds=5))
    story.state.results["result.web.a"] = quoted("the fee is five dollars", "The fee is 5 dollars.")
    story.sent()
    story.then("plan.1", planned(subtask("b")))
    story.sent()
    story.then("result.web.b", found)
    story.sent()
    story.then("synthesis.1", report("since when?"))

    if goes_on:
        assert story.ids() == ["plan.2"]
    else:
        assert "round 2 found nothing that was not known before" in story.ended().reason


def test_where_no_other_round_was_allowed_nothing_is_said_of_one() -> None:
    story = first_round("who pays?")
    story.sent()
    story.then("plan.1", planned(subtask("b")))
    story.sent()
    story.then("result.web.b", FOUND)
    story.sent()

    assert story.then("synthesis.1", report("since when?")).ended().reason == "2 subtasks done"


def test_another_round_for_which_nobody_is_left_to_ask_ends_the_task_as_it_stands() -> None:
    story = first_round("who pays?")
    story.sent()

    found = story.then("plan.1", planned()).ended()

    assert (found.status, found.reason) == ("answered", "1 subtask done")


def test_who_knows_of_another_round_that_came_to_nothing_waits_for_no_result_it_has_not_heard_of() -> None:
    """The round before was written up: nothing of it comes any more."""
    no_plan = Planned(status=ResultStatus.FAILED, error=Failure(code="invalid_plan", message="the model made none"))
    story = brought(subtask("a"), subtask("b"), limits=Limits(deadline=100.0, max_rounds=2))
    story.then("synthesis.0", report("who pays?")).then("plan.1", no_plan)

    assert story.ended().report is not None


def test_another_round_that_cannot_be_run_is_named_and_costs_nothing_that_was_there() -> None:
    for bad, why in (
        (planned(subtask("a")), "subtask id 'a' was used by an earlier round; subtask 'a' repeats an earlier brief"),
        (planned(subtask("b", objective="Look  into A")), "subtask 'b' repeats an earlier brief"),
        (planned(subtask("b", kind="ghost")), "no worker does 'ghost'; on the bus: code, web"),
    ):
        story = first_round("who pays?")
        story.sent()

        found = story.then("plan.1", bad).ended()

        assert found.status == "partial"
        assert found.reason == f"1 of 1 subtask came to something: round 2: the plan cannot be run: {why}"
        assert found.report is not None


def test_a_later_round_of_nothing_but_failures_is_not_written_up_again() -> None:
    story = first_round("who pays?")
    story.sent()
    story.then("plan.1", planned(subtask("b")))
    story.sent()

    found = story.then("result.web.b", BROKEN).ended()

    assert found.reason == "1 of 2 subtasks came to something: b (web) failed: src does not exist"
    assert found.report is not None


def test_another_round_is_not_begun_when_the_time_for_results_is_up() -> None:
    assert first_round("who pays?").ended(JOIN_AT).reason == "1 subtask done"


@pytest.mark.parametrize(("took", "another"), [(53.0, True), (54.0, False)])
def test_another_round_is_begun_only_where_half_the_time_of_the_last_is_left(took: float, another: bool) -> None:
    story = Story().then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", report("who pays?"), at=START + took)

    if another:
        assert story.ids(START + took) == ["plan.1"]
    else:
        assert story.ended(START + took).reason == "1 subtask done"


def test_the_time_of_a_later_round_is_counted_from_the_report_before() -> None:
    story = first_round("who pays?", limits=Limits(deadline=100.0, max_rounds=5))
    story.state.times["synthesis.0"] = START + 40
    assert story.ids(START + 40) == ["plan.1"]
    story.then("plan.1", planned(subtask("b")), at=START + 41)
    story.sent()
    story.then("result.web.b", MORE, at=START + 60)
    story.sent()

    assert story.then("synthesis.1", report("since when?"), at=START + 66).ids(START + 66) == ["plan.2"]


def test_a_plan_that_was_begun_goes_on_when_its_workers_leave() -> None:
    story = brought(subtask("a"), subtask("b", "a", kind="code"))
    story.sent()
    story.then("result.web.a", FOUND)

    assert any(isinstance(e, Dispatch) for e in story.effects(kinds={"web"}))


def test_a_plan_that_was_begun_goes_on_though_nobody_lived_to_say_that_it_was() -> None:
    alone = brought(subtask("a")).then("result.web.a", FOUND)
    assert any(isinstance(e, Dispatch) for e in alone.effects(kinds=set()))

    late = brought(subtask("a"), subtask("b", kind="code")).then("result.web.a", FOUND)
    assert late.ids(JOIN_AT) == ["synthesis.0"]
    found = late.then("synthesis.0", report()).ended(JOIN_AT, kinds=set())
    assert found.report is not None


def test_a_result_from_nowhere_does_not_make_a_bad_plan_good() -> None:
    story = brought(subtask("a", "b"), subtask("b", "a")).then("result.web.a", FOUND)

    assert "cycle" in story.ended().reason


def test_what_was_sent_is_not_put_together_again_for_each_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be, for each of thousands of subtasks, with each of thousands of results."""
    made: list[str] = []
    real = module._work

    def counted(state: State, id_: str, *rest: Any) -> Work:
        made.append(id_)
        return real(state, id_, *rest)

    monkeypatch.setattr(module, "_work", counted)
    story = brought(*(subtask(f"s{n}") for n in range(50)), subtask("last", "s0"))
    assert len(story.sent()) == 50
    made.clear()

    story.then("result.web.s1", FOUND).then("begun.result.web.s2.1", Begun(worker="w", seconds=1.0))
    assert story.effects() == []
    assert made == ["result.web.s2"]
    assert [work.id for work in story.then("result.web.s0", FOUND).sent()] == ["result.web.last"]
