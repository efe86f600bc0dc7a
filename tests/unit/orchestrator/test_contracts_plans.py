"""Whether a plan can be run: everything that is wrong, at once."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest
from story import plan, subtask

from concertino.contracts.codec import decode, encode
from concertino.contracts.messages import Announcement, Limits, Plan, Source, Submitted, Subtask
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


OFFERS = (
    Announcement(kind="general", description="Anything.", replica="g1", tools=("web_fetch", "docs_search")),
    Announcement(
        kind="general",
        description="Anything.",
        replica="g2",
        tools=("tickets_find", "news_find", "wiki_read"),
        public=("news_find", "wiki_read", "wiki"),
    ),
    Announcement(kind="legal", description="Reads contracts.", replica="l1"),
)


def wrong_with(brought: bool = False, **fields: object) -> list[str]:
    made = Subtask(**{"id": "a", "kind": "general", "objective": "look", **fields})  # type: ignore[arg-type]
    task = Submitted(request="What?", sources=made.sources or ())
    return problems(plan(made), task, {"general", "legal"}, brought=brought, offers=OFFERS)


@pytest.mark.parametrize("brought", [True, False])
def test_tools_that_no_replica_of_the_kind_has_are_named(brought: bool) -> None:
    assert wrong_with(brought, tools=("tickets_find", "docs_search")) == []
    assert wrong_with(brought, tools=("tickets_find", "shell", "rm")) == [
        "subtask 'a' wants tools that 'general' does not have: rm, shell; it has: docs_search, "
        "news_find, tickets_find, web_fetch, wiki_read"
    ]


def test_nothing_is_known_of_a_kind_that_announces_no_tools() -> None:
    assert wrong_with(kind="legal", tools=("clauses",)) == []


MIXED = (
    "subtask 'a' has private sources and the public web together, and a page could have the one carried into the other: "
    "make two subtasks of it"
)
WIKI = Source(kind="wiki", location="https://wiki.example.org/")
CODE, PAGE = Source(kind="code", location="/src"), Source(kind="web", location="https://example.org/")


@pytest.mark.parametrize("brought", [True, False])
def test_private_sources_and_the_public_web_are_not_for_one_worker(brought: bool) -> None:
    assert wrong_with(brought, tools=("web_fetch",), sources=(CODE,)) == [MIXED]
    assert wrong_with(brought, tools=("web_fetch", "docs_search")) == [MIXED]
    assert wrong_with(brought, tools=("web_fetch",), sources=(PAGE,)) == []
    assert wrong_with(brought, tools=("docs_search", "tickets_find"), sources=(CODE,)) == []
    assert wrong_with(brought, sources=(CODE, PAGE)) == [MIXED]
    assert wrong_with(brought, tools=("docs_search",), sources=(PAGE,)) == [MIXED]


@pytest.mark.parametrize("brought", [True, False])
def test_on_which_side_tools_from_elsewhere_are_is_announced(brought: bool) -> None:
    assert wrong_with(brought, tools=("news_find", "docs_search")) == [MIXED]
    assert wrong_with(brought, tools=("web_fetch", "tickets_find")) == [MIXED]
    assert wrong_with(brought, tools=("news_find",), sources=(CODE,)) == [MIXED]
    assert wrong_with(brought, tools=("news_find", "web_fetch", "wiki_read"), sources=(PAGE, WIKI)) == []
    assert wrong_with(brought, tools=("tickets_find", "docs_search"), sources=(CODE,)) == []


def test_a_planner_may_not_allow_calls_without_end() -> None:
    assert wrong_with(max_calls=50) == []
    assert wrong_with(max_calls=51) == ["subtask 'a' allows itself 51 tool calls, and 50 are the most"]
    assert wrong_with(True, max_calls=5000) == []


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


def test_what_most_plans_do_without_is_not_looked_for_in_each_subtask() -> None:
    wide = Submitted(request="What?", plan=Plan(subtasks=tuple(subtask(f"s{i}") for i in range(5_000))))
    data = encode(wide)

    def least(work: Callable[[], object]) -> float:
        def once() -> float:
            start = time.process_time()
            work()
            return time.process_time() - start

        return min(once() for _ in range(9))

    assert wide.plan
    judging = least(lambda: problems(wide.plan, wide, {"web"}, brought=True, offers=OFFERS))  # type: ignore[arg-type]
    assert judging < 0.6 * least(lambda: decode(Submitted, data))  # before, it took twice that


def test_subtasks_are_nothing_for_the_garbage_collector() -> None:
    assert not gc.is_tracked(subtask("a", "b"))


def test_a_subtask_may_spend_less_than_its_task_and_never_more() -> None:
    task = Submitted(request="What?", limits=Limits(max_tokens=1000, max_cost=2.0))
    within = Plan(subtasks=(Subtask(id="a", kind="web", objective="o", max_tokens=1000, max_cost=0.5),))
    wider = Plan(subtasks=(Subtask(id="a", kind="web", objective="o", max_tokens=1001, max_cost=2.5),))
    for brought in (True, False):
        assert problems(within, task, {"web"}, brought=brought) == []
        assert problems(wider, task, {"web"}, brought=brought) == [
            "subtask 'a' allows itself 1,001 tokens, and the task has 1,000 tokens",
            "subtask 'a' allows itself $2.50, and the task has $2.00",
        ]
    assert problems(wider, Submitted(request="What?"), {"web"}, brought=True) == []  # a limit of its own is one all the same
