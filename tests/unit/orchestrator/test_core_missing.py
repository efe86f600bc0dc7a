"""What a report and an outcome say of a part that did not come: how far it got, as the log tells it."""

from __future__ import annotations

import pytest
from story import JOIN_AT, START, Story, brought, report, subtask

from concertino.contracts.messages import Begun, Message, Result, Returned, Spent
from concertino.orchestrator.core.policies import missing

A = "result.web.a"
SPENT, BACK = Spent(why="the model is overloaded"), Returned(worker="w1")


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, "no worker had begun it"),
        ({"begun.1": "w1"}, "it was begun by w1, and did not end: it took too long, or its worker was lost"),
        ({"begun.1": ""}, "it was begun, and did not end: it took too long, or its worker was lost"),
        (
            {"begun.1": "w1", "begun.2": "w2"},
            "a worker was lost over it; it was begun again by w2, and did not end (2 attempts)",
        ),
        (
            {"begun.1": "w1", "begun.2-1": "w2"},
            "it was begun by w2, and did not end: it took too long, or its worker was lost (2 attempts)",
        ),
        ({"begun.1": "w1", "spent.1": SPENT}, "it was to be tried again: the model is overloaded"),
        ({"spent.1": Spent()}, "it was to be tried again: no reason given"),
        ({"spent.1": SPENT, "spent.2": SPENT}, "it was to be tried again (2 attempts): the model is overloaded"),
        (
            {"spent.1": SPENT, "begun.2": "w2"},
            "it was begun by w2, and did not end: it took too long, or its worker was lost (2 attempts)",
        ),
        ({"begun.1": "w1", "returned.1": BACK}, "it was begun by w1, which handed it back, and by nobody since"),
        ({"returned.1": BACK}, "no worker had begun it"),
        ({"begun.x": "w1"}, "it was begun by w1, and did not end: it took too long, or its worker was lost"),
    ],
)
def test_how_far_it_got(facts: dict[str, str | Message], why: str) -> None:
    story = brought(subtask("a"), subtask("b"))
    story.sent()
    for name, fact in facts.items():
        type_, _, nth = name.partition(".")
        story.then(f"{type_}.{A}.{nth}", Begun(worker=fact) if isinstance(fact, str) else fact, START + 5)

    assert missing.reasons(story.state, [subtask("a")]) == {A: why}


def test_what_was_never_sent_names_what_it_waited_for() -> None:
    story = brought(subtask("a"), subtask("b", "a"), subtask("c", "a", "b"), subtask("d"))
    story.sent()
    story.then("result.web.d", Result())

    assert missing.reasons(story.state, story.state.subtasks) == {
        A: "no worker had begun it",
        "result.web.b": "it depends on a, which did not come either",
        "result.web.c": "it depends on a, b, which did not come either",
    }


def test_the_writer_is_told_and_the_outcome_says_the_same() -> None:
    story = brought(subtask("a"), subtask("b", "a"), subtask("d"))
    story.sent()
    story.begun(A).then("result.web.d", Result())
    [work] = story.sent(JOIN_AT)

    ended = story.then("synthesis.0", report(), JOIN_AT + 1).ended(JOIN_AT + 1)

    told = {item.subtask.id: item.why for item in work.inputs}
    assert told == {
        "a": "it was begun by w1, and did not end: it took too long, or its worker was lost",
        "b": "it depends on a, which did not come either",
        "d": "",
    }
    assert all(f"{id_} (web) did not come in time: {why}" in ended.reason for id_, why in told.items() if why)


def test_a_task_without_a_plan_says_how_far_planning_got() -> None:
    story = Story()
    story.sent()
    assert story.ended(JOIN_AT).reason == "no plan came before the deadline: no worker had begun it"

    story.then("spent.plan.0.1", SPENT)
    assert story.ended(JOIN_AT).reason == (
        "no plan came before the deadline: it was to be tried again: the model is overloaded"
    )
