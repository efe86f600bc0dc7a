"""Whether a plan can be run: everything that is wrong, at once."""

from __future__ import annotations

import time

from story import plan, subtask

from concertino.contracts.messages import Limits, Plan, Submitted
from concertino.contracts.plans import brief, max_subtasks, problems

TASK = Submitted(request="What?")


def test_a_sound_plan_has_no_problems() -> None:
    sound = plan(subtask("a"), subtask("b", "a"), subtask("c", "a", "b"))

    assert problems(sound, TASK, {"web"}, brought=True) == []
    assert problems(sound, TASK, {"web"}, brought=False) == []


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = problems(plan(subtask("a", "b", "z"), subtask("b", "a", kind="ghost"), subtask("a")), TASK, (), brought=True)

    assert found[:3] == [
        "subtask id 'a' stands 2 times",
        "no worker does 'ghost', 'web'; on the bus: none",
        "subtask 'a' depends on 'z', which does not exist",
    ]


def test_earlier_rounds_count_and_may_be_built_upon() -> None:
    earlier = [subtask("a")]

    assert problems(plan(subtask("b", "a")), TASK, {"web"}, brought=False, earlier=earlier) == []
    few = Submitted(request="What?", limits=Limits(max_subtasks=1))
    assert problems(plan(subtask("b")), few, {"web"}, brought=False, earlier=earlier) == [
        "it has 2 subtasks, and 1 are allowed"
    ]


def test_limits_are_the_callers_or_depend_on_who_plans() -> None:
    assert max_subtasks(Limits(), brought=False) == 20
    assert max_subtasks(Limits(), brought=True) == 10_000
    assert max_subtasks(Limits(max_subtasks=7), brought=False) == max_subtasks(Limits(max_subtasks=7), brought=True) == 7


def test_a_brief_is_its_kind_its_objective_and_its_sources() -> None:
    assert brief(subtask("a", objective="Look  INTO it")) == brief(subtask("b", "a", objective="look into it"))
    assert brief(subtask("a", kind="code")) != brief(subtask("a"))


def test_a_long_chain_is_judged_quickly_and_without_recursion() -> None:
    chain = Plan(subtasks=tuple(subtask(f"s{i}", *([f"s{i - 1}"] if i else [])) for i in range(10_000)))

    start = time.process_time()
    assert problems(chain, TASK, {"web"}, brought=True) == []
    assert time.process_time() - start < 2
