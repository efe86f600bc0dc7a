"""What a task and its parts may take is seen in its plan, and where it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from concertino.cli.output import show_tree
from concertino.cli.show.bounds import of_subtask, of_task
from concertino.cli.show.lines import fact_lines
from concertino.cli.show.plan import plan
from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import FactName
from concertino.contracts.view import view

BRIEF = m.Subtask(id="s1", kind="code", objective="Look.", max_calls=7, max_seconds=90.0, max_tokens=5000, max_cost=0.5)
BARE = m.Subtask(id="s2", kind="code", objective="Look there.")
PLAN = m.Plan(subtasks=(BRIEF, BARE))


def seen(submitted: m.Submitted, planned: m.Planned | None = None) -> State:
    facts = [Fact(FactName("submitted", ""), submitted, 1, 0.0)]
    return fold("t", [*facts, *([Fact(FactName("plan", "0"), planned, 2, 0.0)] if planned else [])])


@pytest.mark.parametrize(
    ("limits", "brought", "said"),
    [
        (m.Limits(), False, "10 m 00 s, 20 subtasks, 2 rounds"),
        (m.Limits(), True, "10 m 00 s, 10,000 subtasks, 2 rounds"),
        (
            m.Limits(deadline=60, max_tokens=9000, max_cost=2.0, max_subtasks=1, max_rounds=1, max_queued=30),
            False,
            "60.0 s, 1 subtask, 1 round, 9,000 tokens, $2.00, 30.0 s in a queue",
        ),
    ],
)
def test_a_task(limits: m.Limits, brought: bool, said: str) -> None:
    if brought:
        state = seen(m.Submitted(request="Why?", limits=limits, plan=PLAN))
    else:
        state = seen(m.Submitted(request="Why?", limits=limits), m.Planned(plan=PLAN))
    assert of_task(view(state)) == said


def test_a_subtask() -> None:
    assert of_subtask(BRIEF) == "7 calls of tools, 90.0 s, 5,000 tokens, $0.50"
    assert of_subtask(BARE) == ""


def test_a_plan_tells_both(capsys: pytest.CaptureFixture[str]) -> None:
    state = seen(m.Submitted(request="Why?"), m.Planned(plan=PLAN))
    lines = [line for line, _ in plan(view(state))]
    assert lines[0] == "at most 10 m 00 s, 20 subtasks, 2 rounds"
    assert "    at most: 7 calls of tools, 90.0 s, 5,000 tokens, $0.50" in lines
    assert sum("at most" in line for line in lines) == 2

    show_tree(state, 1.0)
    assert "at most: 10 m 00 s, 20 subtasks, 2 rounds" in capsys.readouterr().out


def test_a_task_that_cannot_be_read_has_none() -> None:
    assert of_task(view(State("t"))) == ""


@pytest.mark.parametrize(("reason", "said"), [("", "finishing"), ("enough", "finishing: enough")])
def test_the_wish_to_finish_is_a_line(told: Any, reason: str, said: str) -> None:
    state, _ = told("submitted")
    [line] = fact_lines(state, Fact(FactName("finish", ""), m.Finish(reason=reason), 9, 0.0))
    assert line.endswith(said)
