"""What one piece of work may take: a coordinator ends it, worker or none, and the task goes on without it."""

from __future__ import annotations

import pytest
from msgspec import structs
from story import BROKEN, FOUND, JOIN_AT, NOTHING, START, Story, brought, planned, report, subtask

from concertino.contracts.messages import Finish, Limits, Returned, Settled, Spent, Submitted, Subtask
from concertino.orchestrator.core.effects import SetTimer, WriteFailed
from concertino.orchestrator.core.policies.limits import LAST_WORDS

QUEUED = Limits(deadline=100.0, max_queued=10.0)


def slow(id_: str, *depends_on: str, seconds: float = 30.0) -> Subtask:
    return structs.replace(subtask(id_, *depends_on), max_seconds=seconds)


def timer(at: float) -> SetTimer:
    return SetTimer(f"limit-{round(at * 1000)}", at)


def failed(story: Story, now: float) -> dict[str, Settled]:
    """What is written now in the place of a worker, which the log then holds."""
    [effect] = story.effects(now)
    assert isinstance(effect, WriteFailed)
    for work, result in effect.results:
        story.then(work, result, now)
    return dict(effect.results)


def test_what_nobody_begins_in_time_fails_and_the_task_goes_on() -> None:
    story = brought(subtask("a"), subtask("b"), limits=QUEUED)
    at = START + 10 + LAST_WORDS
    assert timer(at) in story.effects()
    story.sent()
    story.then("result.web.a", FOUND, START + 5)
    assert story.effects(at - 0.001) == []

    found = failed(story, at)["result.web.b"]

    assert (found.status, found.attempts, found.worker) == ("failed", 0, "coordinator")
    assert found.error is not None
    assert (found.error.code, found.error.message) == ("queued_too_long", "no worker began it within 10 s (max_queued)")
    assert story.ids(at) == ["synthesis.0"]
    ended = story.then("synthesis.0", report()).ended(at)
    assert ended.reason == "1 of 2 subtasks came to something: b (web) failed: no worker began it within 10 s (max_queued)"


def test_it_is_the_timer_that_counts_where_a_clock_is_behind() -> None:
    story = brought(subtask("a"), limits=QUEUED)
    story.sent()

    assert "result.web.a" in failed(story.due(f"limit-{round((START + 12) * 1000)}"), START - 300)


@pytest.mark.parametrize("word", ["begun", "spent"])
def test_what_was_begun_in_time_may_wait_for_another_try(word: str) -> None:
    story = brought(subtask("a"), limits=QUEUED)
    story.sent()
    if word == "begun":
        story.begun("result.web.a", at=START + 9)
    else:
        story.then("spent.result.web.a.1", Spent(why="overloaded"), START + 9)

    assert story.effects(START + 50) == []


def test_to_be_handed_back_before_it_was_begun_is_not_to_be_begun() -> None:
    story = brought(subtask("a"), limits=QUEUED)
    story.sent()

    assert failed(story.then("returned.result.web.a.1", Returned(worker="w1"), START + 9), START + 12)


def test_what_depends_on_something_waits_from_when_that_is_there() -> None:
    story = Story(Submitted(request="What?", limits=QUEUED)).then("plan.0", planned(subtask("a"), subtask("b", "a")), START + 4)
    assert timer(START + 16) in story.effects(START + 4)
    story.sent(START + 4)
    story.then("result.web.a", FOUND, START + 11)

    story.sent(START + 11)
    assert timer(START + 23) not in story.effects(START + 11)  # the timer that is set wakes the task before
    assert story.due(f"limit-{round((START + 16) * 1000)}").effects(START + 16) == [timer(START + 23)]
    story.timer(f"limit-{round((START + 23) * 1000)}")
    assert story.effects(START + 22) == []
    assert "result.web.b" in failed(story, START + 23)


def test_planning_that_nobody_begins_ends_the_task_with_the_reason() -> None:
    story = Story(Submitted(request="What?", limits=QUEUED))
    assert timer(START + 12) in story.effects()
    story.sent()

    assert "plan.0" in failed(story, START + 12)
    assert story.ended(START + 12).reason == "planning failed: no worker began it within 10 s (max_queued)"


def test_another_round_that_nobody_plans_ends_the_task_with_its_report() -> None:
    story = Story(Submitted(request="What?", limits=QUEUED)).then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND, START + 1)
    story.sent()
    story.then("synthesis.0", report("who pays?"), START + 3)
    assert story.ids(START + 3) == ["plan.1"]

    assert "plan.1" in failed(story, START + 15)
    ended = story.ended(START + 15)
    assert (ended.status, ended.report is None) == ("partial", False)
    assert "planning failed: no worker began it" in ended.reason


def test_the_report_is_waited_for_until_the_end() -> None:
    story = brought(subtask("a"), limits=QUEUED)
    story.sent()
    story.then("result.web.a", FOUND)
    assert story.ids() == ["synthesis.0"]

    assert story.effects(START + 70) == []


def test_what_takes_longer_than_its_brief_allows_fails_from_when_it_was_first_begun() -> None:
    story = brought(slow("a"), subtask("b"))
    story.sent()
    assert story.effects(START + 40) == []  # it may wait for a worker
    story.begun("result.web.a", at=START + 41)  # since a second
    at = START + 40 + 30 + LAST_WORDS
    assert story.effects(START + 41) == [timer(at)]
    story.timer(f"limit-{round(at * 1000)}")
    story.then("spent.result.web.a.1", Spent(why="overloaded"), START + 50).begun("result.web.a", "2", at=START + 55)
    assert story.effects(at - 0.001) == []

    found = failed(story, at)["result.web.a"]

    assert found.attempts == 2
    assert found.error is not None
    assert (found.error.code, found.error.retryable) == ("deadline", False)
    assert found.error.message == "it was not done 30 s after it was begun (max_seconds)"


def test_one_timer_at_a_time_is_enough() -> None:
    story = brought(slow("a", seconds=10.0), slow("b", seconds=20.0), slow("c", seconds=5.0))
    story.sent()
    story.begun("result.web.a").begun("result.web.b")
    assert story.effects() == [timer(START + 12)]
    story.timer(f"limit-{round((START + 12) * 1000)}")
    story.begun("result.web.c", at=START + 1)
    assert story.effects(START + 1) == [timer(START + 7)]  # one that goes off before the one that is set
    story.timer(f"limit-{round((START + 7) * 1000)}")
    story.then("result.web.c", FOUND, START + 2).then("result.web.a", FOUND, START + 3)

    assert story.effects(START + 3) == []
    assert story.due(f"limit-{round((START + 7) * 1000)}").effects(START + 7) == []
    assert story.due(f"limit-{round((START + 12) * 1000)}").effects(START + 12) == [timer(START + 22)]


def test_what_ends_after_the_time_for_results_needs_no_timer() -> None:
    story = brought(slow("a", seconds=100.0), limits=structs.replace(QUEUED, max_queued=90.0))

    assert [effect.at for effect in story.effects() if isinstance(effect, SetTimer)] == [JOIN_AT]


def test_a_result_that_is_there_is_no_failure() -> None:
    story = brought(slow("a"), subtask("b"), limits=QUEUED)
    story.sent()
    story.begun("result.web.a").then("result.web.a", NOTHING, START + 5).then("result.web.b", BROKEN, START + 5)

    assert story.ids(START + 60) == ["synthesis.0"]


def test_whoever_asks_to_finish_waits_for_no_limit() -> None:
    story = brought(slow("a"), limits=QUEUED)
    story.sent()
    story.begun("result.web.a").then("finish", Finish(), START + 31)

    assert not any(isinstance(effect, WriteFailed) for effect in story.effects(START + 40))


def test_without_limits_there_are_no_timers_but_the_two() -> None:
    story = brought(subtask("a"))
    story.sent()

    assert story.begun("result.web.a").effects() == []
