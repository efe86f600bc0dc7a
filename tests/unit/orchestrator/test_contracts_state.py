"""The fold: each fact has its place, and the first one stays."""

from __future__ import annotations

import itertools

from story import BROKEN, FOUND, Story, brought, planned, report, subtask

from concertino.contracts.codec import encode
from concertino.contracts.facts import Fact, read_fact
from concertino.contracts.messages import Cancel, Dispatched, Message, Submitted
from concertino.contracts.state import fold
from concertino.contracts.subjects import FactName


def fact(sequence: int, name: str, message: Message) -> Fact:
    type_, _, about = name.partition(".")
    return read_fact(FactName(type_, about), encode(message), {}, sequence, float(sequence))


LOG = [
    fact(1, "submitted", Submitted(request="What?")),
    fact(2, "plan.0", planned(subtask("a"))),
    fact(4, "dispatched.1", Dispatched(work=(("result.web.a", 1),))),
    fact(5, "result.web.a", FOUND),
    fact(7, "cancel", Cancel(reason="enough")),
]


def test_facts_in_any_order_and_any_number_of_times_give_the_same_state() -> None:
    expected = fold("t", LOG)
    assert expected.sequence == 7
    for order in itertools.permutations(LOG):
        assert fold("t", [*order, *order[:2]]) == expected


def test_the_first_fact_of_a_name_stays() -> None:
    story = Story().then("result.web.a", FOUND).then("result.web.a", BROKEN).then("plan.0", planned(subtask("a")))
    story.then("plan.0", planned(subtask("b")))

    assert story.state.results == {"result.web.a": FOUND}
    assert [s.id for s in story.state.subtasks] == ["a"]


def test_a_plan_that_was_brought_is_the_plan_whatever_a_planner_writes() -> None:
    early = [fact(1, "plan.0", planned(subtask("z"))), fact(2, "submitted", brought(subtask("a")).state.submitted or Cancel())]

    for order in itertools.permutations(early):
        assert [s.id for s in fold("t", order).subtasks] == ["a"]


def test_a_second_spelling_of_a_number_is_no_second_name_for_its_place() -> None:
    for name in ("plan.00", "plan.٠", "plan.-0", "plan.x", "plan." + "9" * 5000):
        assert Story().then(name, planned(subtask("a"))).state.plans == {}
    assert Story().then("synthesis.01", report()).state.syntheses == {}
    assert Story().then("dispatched.01", Dispatched(work=(("plan.0", 1),))).state.sent == {}
