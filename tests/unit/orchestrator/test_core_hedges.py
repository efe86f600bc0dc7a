"""When a second attempt is made beside a slow first, and when not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs
from story import BROKEN, END, FOUND, JOIN_AT, LIMITS, START, Story, brought, planned, report, subtask

from concertino.contracts.messages import Begun, Limits, Result, Returned, Spent
from concertino.orchestrator.core.effects import Dispatch, SetTimer, WriteOutcome
from concertino.orchestrator.core.invariants import violations
from concertino.orchestrator.core.policies import hedge
from concertino.orchestrator.core.policies.hedge import Hedging

AFTER = Hedging({"web": 10.0}, {"web": 5})
UNDER_WAY = Begun(worker="w1", seconds=1.0, hedge=True)


def at_work(*ids: str, limits: Limits = LIMITS, begun: Begun = UNDER_WAY, hedging: Hedging = AFTER) -> Story:
    """Subtasks ``ids`` were sent at START, and have been under way since then, as their workers said a second later."""
    story = brought(*(subtask(id_) for id_ in ids), limits=limits)
    story.hedging = hedging
    story.sent()
    for id_ in ids:
        story.then(f"begun.result.web.{id_}.1", begun, START + 1)
    return story


def hedges(story: Story, now: float) -> list[str]:
    return [
        work.id for effect in story.effects(now) if isinstance(effect, Dispatch) for work in effect.work if work.attempt == 2
    ]


def test_the_wave_says_after_how_long_its_work_is_slow() -> None:
    story = brought(subtask("a"), subtask("b", kind="code"))
    story.hedging = Hedging({"web": 10.0, "docs": 3.0}, {})
    [_, dispatch] = story.effects()
    assert isinstance(dispatch, Dispatch)
    assert dispatch.hedge_after == {"web": 10.0}


def test_what_is_slow_is_sent_again_as_it_was_and_once() -> None:
    story = at_work("a", "b")
    assert story.effects(START + 9.9) == [SetTimer("hedge-1000010000", START + 10)]
    first = {work.id: work for work in brought(subtask("a"), subtask("b")).sent()}

    again = story.timer("hedge-1000010000").sent(START + 10)

    assert [(work.id, work.attempt) for work in again] == [("result.web.a", 2), ("result.web.b", 2)]
    assert [structs.replace(work, attempt=1) for work in again] == [first[work.id] for work in again]
    assert story.effects(START + 11) == []
    assert hedges(story.then("begun.result.web.a.2-1", UNDER_WAY, START + 11), JOIN_AT - 1) == []


def test_what_was_said_when_it_was_sent_counts_and_not_what_is_known_since() -> None:
    story = at_work("a")
    story.hedging = Hedging({"web": 3.0}, {"web": 5})
    assert story.effects(START + 9) == [SetTimer("hedge-1000010000", START + 10)]
    story.hedging = Hedging({}, {"web": 5})
    assert hedges(story, START + 10) == ["result.web.a"]


def test_one_timer_is_set_at_a_time_for_what_is_slow_first() -> None:
    story = at_work("a", "b")
    story.then("begun.result.web.b.2", UNDER_WAY, START + 5)  # it was delivered again: since then counts
    assert story.effects(START + 6) == [SetTimer("hedge-1000010000", START + 10)]
    story.timer("hedge-1000010000")
    assert story.effects(START + 7) == []
    story.due("hedge-1000010000")
    timer, dispatch = story.effects(START + 10)
    assert timer == SetTimer("hedge-1000014000", START + 14)
    assert isinstance(dispatch, Dispatch)
    assert [work.id for work in dispatch.work] == ["result.web.a"]


def test_a_timer_speaks_for_what_the_next_one_would_come_late_for() -> None:
    """The server lets a quarter of a second pass between two."""
    story = at_work("a", "b", "c")
    story.then("begun.result.web.b.2", UNDER_WAY, START + 1.003)
    story.then("begun.result.web.c.2", UNDER_WAY, START + 1.3)
    story.timer("hedge-1000010000")
    assert story.effects(START + 9.999) == []  # it has not gone off
    timer, dispatch = story.due("hedge-1000010000").effects(START + 10.001)
    assert isinstance(dispatch, Dispatch)
    assert [work.id for work in dispatch.work] == ["result.web.a", "result.web.b"]
    assert violations(story.state, START + 10.001, {"web"}, [timer, dispatch]) == []
    assert timer == SetTimer("hedge-1000010300", START + 10.3)  # none for what is hedged now


def test_a_replica_whose_clock_is_behind_believes_the_timer() -> None:
    story = at_work("a").timer("hedge-1000010000")
    assert story.effects(START + 5) == []
    assert hedges(story.due("hedge-1000010000"), START + 5) == ["result.web.a"]


def test_what_waits_in_its_queue_is_not_slow() -> None:
    story = brought(subtask("a"))
    story.hedging = AFTER
    story.sent()
    assert story.effects(START + 50) == []


@pytest.mark.parametrize("name", ["spent", "returned"])
def test_what_waits_for_another_try_is_not_slow(name: str) -> None:
    ended = Spent(why="overloaded") if name == "spent" else Returned()
    story = at_work("a").then(f"{name}.result.web.a.1", ended, START + 5)
    assert story.effects(START + 50) == []
    story.then("begun.result.web.a.2", UNDER_WAY, START + 51)
    assert hedges(story, START + 59) == []
    assert hedges(story, START + 60) == ["result.web.a"]


def test_a_kind_that_is_not_to_be_done_twice_is_not() -> None:
    assert at_work("a", begun=Begun(worker="w1", seconds=1.0)).effects(START + 50) == []


def test_kinds_of_which_nothing_is_known_are_not_hedged() -> None:
    assert at_work("a", hedging=Hedging({"code": 1.0}, {"web": 5})).effects(START + 50) == []


@pytest.mark.parametrize("name", ["result.web.a", "cancel"])
def test_what_is_over_is_not_hedged(name: str) -> None:
    story = at_work("a", "b")
    if name == "cancel":
        [end] = story.raw("cancel", b"{}", {}).effects(START + 50)
        assert isinstance(end, WriteOutcome)
    else:
        assert hedges(story.then(name, FOUND), START + 50) == ["result.web.b"]


def test_near_the_end_a_second_attempt_would_only_be_cut_off() -> None:
    story = brought(subtask("a"))
    story.hedging = Hedging({"web": 10.0}, {"web": 5})
    story.sent()
    story.then("begun.result.web.a.1", UNDER_WAY, JOIN_AT - 12)
    assert story.effects(JOIN_AT - 1) == []
    assert not hedges(story, END - 1)


@pytest.mark.parametrize("limit", [{"max_tokens": 100_000}, {"max_cost": 1.0}])
def test_whoever_limits_what_is_spent_has_nothing_spent_twice(limit: dict[str, Any]) -> None:
    assert at_work("a", limits=structs.replace(LIMITS, **limit)).effects(START + 50) == []
    story = brought(structs.replace(subtask("a"), **limit), subtask("b"))
    story.hedging = AFTER
    story.sent()
    for id_ in "ab":
        story.then(f"begun.result.web.{id_}.1", UNDER_WAY, START + 1)
    assert hedges(story, START + 50) == ["result.web.b"]


def test_as_many_as_there_may_be_the_slowest_first() -> None:
    story = at_work("a", "b", "c", hedging=Hedging({"web": 10.0}, {"web": 2}))
    story.then("begun.result.web.a.2", UNDER_WAY, START + 3)
    assert hedges(story, START + 50) == ["result.web.b", "result.web.c"]
    story.hedging = Hedging({"web": 10.0}, {"web": 0})
    assert story.effects(START + 50) == []


def test_plans_and_reports_are_not_hedged() -> None:
    story = Story()
    story.hedging = Hedging({"web": 10.0, "plan": 1.0, "synthesize": 1.0}, {"web": 5, "plan": 5, "synthesize": 5})
    story.sent()
    assert story.then("begun.plan.0.1", UNDER_WAY, START + 1).effects(START + 30) == []
    story.then("plan.0", planned(subtask("a"))).sent()
    story.then("result.web.a", FOUND).sent()
    assert story.then("begun.synthesis.0.1", UNDER_WAY, START + 31).effects(START + 50) == []
    assert story.then("synthesis.0", report()).ended().status == "answered"


def test_a_hedge_of_what_nobody_works_on_is_a_violation() -> None:
    story = at_work("a")
    effects = story.effects(START + 50)
    assert violations(story.state, START + 50, {"web"}, effects) == []
    story.then("spent.result.web.a.1", Spent(why="overloaded"))
    assert violations(story.state, START + 50, {"web"}, effects) == ["result.web.a: hedged, and nobody is at work on it"]
    early = at_work("a")
    assert violations(early.state, START + 5, {"web"}, effects) == ["result.web.a: hedged before it can be slow"]


def test_the_first_result_counts_and_takes_its_time_from_the_first_attempt_on() -> None:
    story = at_work("a")
    story.timer("hedge-1000010000").sent(START + 10)
    story.then("result.web.a", Result(hedge=True, seconds=4.0), START + 14)
    assert hedge.took(story.state, "result.web.a") == 14.0
    other = at_work("a").then("result.web.a", Result(seconds=12.0), START + 12)
    assert hedge.took(other.state, "result.web.a") == 12.0
    assert at_work("a").then("result.web.a", BROKEN).ended().status == "failed"
