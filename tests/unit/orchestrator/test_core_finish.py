"""A caller who asks to finish: nothing is begun any more, what is at work may write up, and the report is on what there is."""

from __future__ import annotations

import pytest
from story import BROKEN, END, FOUND, JOIN_AT, LIMITS, START, Story, brought, planned, report, subtask

from concertino.contracts.messages import WRITING_UP, Finish, Limits, Outcome, Plan, Returned, Spent, Submitted
from concertino.orchestrator.core.effects import Halt, SetTimer, WriteOutcome
from concertino.orchestrator.core.policies.finishing import BEGUN, SAYING_SO, WRITTEN
from concertino.orchestrator.core.policies.hedge import Hedging

ASKED = START + 10


def asked(story: Story, reason: str = "") -> Story:
    return story.then("finish", Finish(reason=reason), ASKED)


def three() -> Story:
    story = brought(subtask("a"), subtask("b"), subtask("c", "a"))
    story.sent()
    return story


def written(story: Story, now: float) -> Outcome:
    """The outcome, once the report is there that is sent for now."""
    assert story.ids(now) == ["synthesis.0"]
    return story.then("synthesis.0", report(), now).ended(now)


def test_who_is_at_work_is_given_time_and_nothing_is_begun() -> None:
    story = asked(three().then("result.web.a", FOUND))  # c could begin

    assert story.effects(ASKED) == [SetTimer(BEGUN, ASKED + SAYING_SO), SetTimer(WRITTEN, ASKED + WRITING_UP)]
    story.timer(BEGUN).timer(WRITTEN)
    assert story.effects(ASKED) == story.effects(ASKED + WRITING_UP - 0.1) == []


def test_what_nobody_has_begun_is_not_waited_for() -> None:
    story = asked(three().then("result.web.a", FOUND), "that will do")
    story.sent(ASKED)

    ended = written(story.due(BEGUN), ASKED + 2)

    assert ended.status == "partial"
    assert ended.reason == (
        "1 of 3 subtasks came to something, and the caller asked to finish (that will do): b (web) did not come in time: "
        "no worker had begun it; c (web) did not come in time: it had not been handed out"
    )
    assert ended.report is not None


def test_what_is_at_work_is_waited_for_but_not_for_ever() -> None:
    story = asked(three().then("result.web.a", FOUND)).begun("result.web.b", at=ASKED + 0.1)
    story.sent(ASKED)
    story.due(BEGUN)
    assert story.effects(ASKED + 2) == []
    assert story.effects(ASKED + WRITING_UP - 0.1) == []

    by_clock, by_timer = written(story, ASKED + WRITING_UP), None
    assert "b (web) did not come in time: it was begun by w1, and did not end" in by_clock.reason

    story = asked(three().then("result.web.a", FOUND)).begun("result.web.b", at=ASKED + 0.1)
    story.sent(ASKED)
    by_timer = written(story.due(BEGUN).due(WRITTEN), ASKED + 3)
    assert by_timer == by_clock


def test_the_last_who_is_at_work_ends_the_waiting() -> None:
    story = asked(three().then("result.web.a", FOUND)).begun("result.web.b", at=ASKED + 0.1)
    story.sent(ASKED)
    story.due(BEGUN).then("result.web.b", FOUND, ASKED + 5)

    assert "2 of 3 subtasks came to something, and the caller asked to finish: c" in written(story, ASKED + 5).reason


@pytest.mark.parametrize("fact", [Spent(why="overloaded"), Returned(worker="w1")])
def test_what_was_let_go_of_is_not_waited_for(fact: Spent | Returned) -> None:
    story = asked(three().then("result.web.a", FOUND)).begun("result.web.b", at=ASKED + 0.1)
    story.sent(ASKED)
    story.due(BEGUN)
    name = "spent" if isinstance(fact, Spent) else "returned"

    assert story.then(f"{name}.result.web.b.1", fact, ASKED + 3).ids(ASKED + 3) == ["synthesis.0"]


def test_who_says_too_late_that_he_is_at_work_changes_nothing() -> None:
    story = asked(three().then("result.web.a", FOUND))
    story.sent(ASKED)
    story.due(BEGUN).begun("result.web.b", at=ASKED + 3)

    assert story.ids(ASKED + 3) == ["synthesis.0"]


def test_with_nothing_in_a_queue_the_report_is_begun_at_once() -> None:
    story = three().then("result.web.a", FOUND).then("result.web.b", FOUND)  # c is not sent yet

    assert "2 of 3 subtasks came to something, and the caller asked to finish" in written(asked(story), ASKED).reason


def test_work_that_a_coordinator_sent_while_it_was_asked_is_not_waited_for() -> None:
    story = asked(brought(subtask("a"), subtask("b")).then("result.web.a", FOUND))
    story.raw("dispatched.1", b'{"work": [["result.web.b", 1]]}', {}, ASKED + 0.1)

    assert story.ids(ASKED + 1) == ["synthesis.0"]


def test_everything_was_done_already() -> None:
    story = brought(subtask("a"))
    story.sent()
    ended = written(asked(story.then("result.web.a", FOUND)), ASKED)

    assert (ended.status, ended.reason) == ("answered", "1 subtask done, and the caller asked to finish")


def test_with_no_result_there_is_nothing_to_write_about() -> None:
    story = asked(three().then("result.web.a", BROKEN))
    story.sent(ASKED)

    ended = story.due(BEGUN).ended(ASKED + 2)

    assert ended.status == "failed"
    assert ended.reason.startswith(
        "no subtask succeeded, and the caller asked to finish: a (web) failed: src does not exist; b"
    )


def test_while_it_is_planned_a_task_ends_at_once_with_a_true_reason() -> None:
    story = Story()
    story.sent()
    [effect] = asked(story, "too slow").effects(ASKED)

    assert isinstance(effect, WriteOutcome)
    assert story.then("outcome", effect.outcome).effects(ASKED) == [Halt()]  # whoever plans
    assert (effect.outcome.status, effect.outcome.reason) == (
        "failed",
        "the caller asked to finish (too slow) before there was a plan: no worker had begun it",
    )


def test_a_plan_of_which_nothing_was_begun_is_not_begun() -> None:
    ended = asked(Story().then("plan.0", planned(subtask("a")))).ended(ASKED)

    assert ended.reason == (
        "no subtask succeeded, and the caller asked to finish: a (web) did not come in time: it had not been handed out"
    )


def test_while_another_round_is_planned_the_report_that_is_there_counts() -> None:
    story = Story().then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    story.sent()
    story.then("synthesis.0", report("who pays?"))
    assert story.ids() == ["plan.1"]

    ended = asked(story).ended(ASKED)

    assert (ended.status, ended.reason) == ("answered", "1 subtask done, and the caller asked to finish")
    assert ended.report is not None


def test_while_it_is_written_there_is_no_effect_but_that_no_round_follows() -> None:
    story = Story().then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    assert story.ids() == ["synthesis.0"]
    assert asked(story).ids(ASKED) == []

    ended = story.then("synthesis.0", report("who pays?"), ASKED + 5).ended(ASKED + 5)

    assert (ended.status, ended.reason) == ("answered", "1 subtask done, and the caller asked to finish")


def test_close_to_the_end_the_time_for_results_counts() -> None:
    story = three().then("result.web.a", FOUND)
    story.then("finish", Finish(), JOIN_AT - 3).begun("result.web.b", at=JOIN_AT - 3)

    assert story.effects(JOIN_AT - 3) == [SetTimer(BEGUN, JOIN_AT - 1)]
    story.timer(BEGUN).due(BEGUN)
    assert story.ids(JOIN_AT) == ["synthesis.0"]


def test_a_result_that_nobody_waited_for_any_more_is_named_as_late() -> None:
    story = asked(three().then("result.web.a", FOUND))
    story.sent(ASKED)
    assert story.due(BEGUN).ids(ASKED + 2) == ["synthesis.0"]
    story.then("result.web.b", FOUND, ASKED + 3).then("synthesis.0", report(), ASKED + 4)

    assert "b (web) came after the time for results was up" in story.ended(ASKED + 4).reason


def test_nothing_is_hedged_any_more() -> None:
    story = brought(subtask("a"), subtask("b"))
    story.hedging = Hedging({"web": 2.0}, {"web": 1})
    story.sent()
    story.raw("begun.result.web.a.1", b'{"seconds": 1, "hedge": true}', {}, START + 1).then("result.web.b", FOUND)
    story.then("finish", Finish(), START + 1.5)
    story.sent(START + 1.5)

    assert story.due(BEGUN).ids(START + 5) == []


def test_a_wish_that_cannot_be_read_is_one() -> None:
    story = Story()
    story.sent()

    assert story.raw("finish", b"not JSON", {}, ASKED).ended(ASKED).status == "failed"


def test_after_the_outcome_and_after_a_cancellation_it_says_nothing() -> None:
    story = asked(three().raw("cancel", b"{}", {}))
    assert story.ended(ASKED).status == "cancelled"
    assert story.then("outcome", story.ended(ASKED)).effects(ASKED) == [Halt()]


def test_a_plan_that_was_all_that_was_asked_for_is_not_planned_any_more() -> None:
    story = Story(Submitted(request="What?", limits=Limits(deadline=100.0), until="plan"))
    story.sent()

    assert "before there was a plan" in asked(story).ended(END - 90).reason


def test_without_a_report_wanted_the_results_that_are_there_end_the_task() -> None:
    plan = Plan(subtasks=(subtask("a"), subtask("b")), synthesize=False)
    story = Story(Submitted(request="What?", limits=LIMITS, plan=plan))
    story.sent()
    asked(story.then("result.web.a", FOUND)).sent(ASKED)

    assert story.due(BEGUN).ended(ASKED + 2).status == "partial"
