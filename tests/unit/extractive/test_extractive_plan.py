"""Plans by rules: who is asked what, however many sources, kinds and questions there are."""

from __future__ import annotations

import itertools

import pytest

from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Announcement, Effort, Input, Limits, Plan, Result, Source, Submitted, Subtask, Work
from concertino.contracts.plans import problems
from concertino.model.extractive.plan import plan
from concertino.model.port import Planning

CODE = Announcement(
    kind="code",
    description="Reads source code in folders and git repositories, read-only: searches it, finds definitions and uses.",
    replica="c1",
    sources=("code",),
)
DOCS = Announcement(
    kind="docs", description="Reads documentation and documents in folders, files and at URLs.", replica="d1", sources=("docs",)
)
LICENSES = Announcement(
    kind="licenses",
    description="Reports under which licences (licenses) a project stands, from its licence files and package metadata.",
    replica="l1",
    sources=("code",),
)
LEGAL = Announcement(kind="legal", description="Reads contracts and names clauses.", replica="x1", sources=("contracts",))
WEATHER = Announcement(kind="weather", description="Knows the forecast for any city.", replica="w1")
PLANNER = Announcement(kind="plan", description="Splits a request.", replica="p1", internal=True)
ALL = (CODE, DOCS, LICENSES, LEGAL, WEATHER, PLANNER)


def code(n: int) -> tuple[Source, ...]:
    return tuple(Source(kind="code", location=f"/code/{i}") for i in range(n))


def docs(n: int) -> tuple[Source, ...]:
    return tuple(Source(kind="docs", location=f"/docs/{i}") for i in range(n))


def planning(
    request: str,
    sources: tuple[Source, ...] = (),
    kinds: tuple[Announcement, ...] = ALL,
    *,
    effort: Effort = "auto",
    limit: int = 20,
    gaps: tuple[str, ...] = (),
    earlier: tuple[Subtask, ...] = (),
) -> Planning:
    work = Work(
        task="t1",
        id="plan.1" if gaps else "plan.0",
        attempt=1,
        request=request,
        brief=Subtask(id="plan-0", kind="plan", objective=request),
        sources=sources,
        limits=Limits(effort=effort, max_subtasks=limit + len(earlier)),
        deadline=1.0,
        inputs=tuple(Input(subtask=s, result=Result()) for s in earlier),
        gaps=gaps,
    )
    return Planning(work=work, kinds=kinds, max_subtasks=limit)


def asked(made: Plan) -> list[tuple[str, str, int]]:
    return [(s.kind, s.objective, len(s.sources or ())) for s in made.subtasks]


def covered(made: Plan) -> set[tuple[str, str]]:
    return {(s.objective, source.location) for s in made.subtasks for source in s.sources or ()}


def test_one_question_goes_to_every_natural_reader() -> None:
    made = plan(planning("How is it done?", (*code(1), *docs(1))))
    assert asked(made) == [("code", "How is it done?", 1), ("docs", "How is it done?", 1)]
    assert made.why == "by rule: 1 aspect × code, docs"


def test_two_questions_and_two_kinds_make_four() -> None:
    made = plan(planning("How is login done? Where are sessions stored?", (*code(1), *docs(1))))
    assert [s.id for s in made.subtasks] == ["s1", "s2", "s3", "s4"]
    assert [s.kind for s in made.subtasks] == ["code", "docs", "code", "docs"]
    assert all(s.depends_on == () for s in made.subtasks)


def test_what_comes_after_waits_for_everyone_before_it() -> None:
    made = plan(planning("Find where leases are renewed, then explain what happens when that fails.", (*code(1), *docs(1))))
    assert [s.depends_on for s in made.subtasks] == [(), (), ("s1", "s2"), ("s1", "s2")]


def test_a_source_of_ones_own_kind() -> None:
    made = plan(planning("Which clauses carry risk?", (Source(kind="contracts", location="/c"),)))
    assert asked(made) == [("legal", "Which clauses carry risk?", 1)]


@pytest.mark.parametrize(
    ("request_", "chosen"),
    [
        ("Under which licences does this project stand?", True),
        ("Which licence is this?", True),
        ("Ask licenses what may be copied.", True),
        ("How does the worker keep its lease?", False),
        ("Which files does the project read, and who reports metadata problems to whom when the package is broken?", True),
        ("Where is the project's code?", False),
    ],
)
def test_a_kind_by_description_or_by_name(request_: str, chosen: bool) -> None:
    made = plan(planning(request_, code(1)))
    assert ("licenses" in {s.kind for s in made.subtasks}) is chosen
    assert made.subtasks[0].kind == "code"


def test_what_every_kind_says_of_itself_chooses_none() -> None:
    like_code = Announcement(
        kind="metrics",
        description="Reads source code in folders, finds definitions and counts.",
        replica="m1",
        sources=("code",),
    )
    made = plan(planning("Which folders hold definitions of source readers?", code(1), (CODE, like_code)))
    assert [s.kind for s in made.subtasks] == ["code"]


def test_a_kind_is_asked_only_what_it_speaks_of() -> None:
    made = plan(planning("How is login done? Under which licence does the project stand?", code(1)))
    assert [(s.kind, s.objective) for s in made.subtasks if s.kind == "licenses"] == [
        ("licenses", "Under which licence does the project stand?")
    ]


def test_a_kind_that_reads_nothing_is_asked_by_its_description() -> None:
    assert asked(plan(planning("What is the forecast for Basel?"))) == [("weather", "What is the forecast for Basel?", 0)]


def test_without_its_own_kind_a_source_goes_to_whoever_reads_it() -> None:
    made = plan(planning("How is it done?", code(1), (LICENSES,)))
    assert [s.kind for s in made.subtasks] == ["licenses"]


def test_nobody_there_says_what_to_do() -> None:
    with pytest.raises(Invalid, match=r"name sources \(--code, --docs, --url\); workers on the bus: code, docs"):
        plan(planning("How is it done?", (), (CODE, DOCS, PLANNER)))
    with pytest.raises(Invalid, match="reads sources of kind code; workers on the bus: docs"):
        plan(planning("How is it done?", code(1), (DOCS,)))


def test_sources_that_nobody_is_asked_about_are_named() -> None:
    assert plan(planning("How is it done?", (*code(1), *docs(1)), (CODE,))).why.endswith(
        "nobody is asked about sources of kind docs"
    )


def test_fifty_sources_are_shared_out_evenly_and_all_read() -> None:
    made = plan(planning("How is it done?", (*code(30), *docs(20))))
    assert len(covered(made)) == 50
    assert {n for _, _, n in asked(made)} == {3, 4}


def test_where_the_limit_is_tight_subtasks_read_more_sources() -> None:
    made = plan(planning("How is it done?", (*code(30), *docs(20)), limit=6))
    assert len(made.subtasks) <= 6
    assert len(covered(made)) == 50


def test_where_the_limit_is_tight_nothing_is_read_once_for_each_question() -> None:
    made = plan(planning("How is login done? Where are sessions stored?", (*code(30), *docs(20)), limit=20))
    assert {s.objective for s in made.subtasks} == {"How is login done? Where are sessions stored?"}
    assert len(covered(made)) == 50


def test_what_is_to_be_done_in_order_stays_apart_where_the_limit_is_tight() -> None:
    made = plan(planning("Find who renews leases, then explain what happens when that fails.", code(30), limit=6))
    assert len(made.subtasks) == 6
    assert len(covered(made)) == 60  # each question of each source
    assert [len(s.depends_on) for s in made.subtasks] == [0, 0, 0, 3, 3, 3]


@pytest.mark.parametrize(("sources", "at_once"), [(2, [1, 1]), (3, [1, 1, 1]), (6, [2, 2, 2]), (40, [4] * 10)])
def test_what_is_compared_is_read_apart(sources: int, at_once: list[int]) -> None:
    made = plan(planning("How do they differ in the way they retry?", code(sources), (CODE,)))
    assert [n for _, _, n in asked(made)] == at_once


def test_a_list_of_points_is_worked_on_point_by_point_where_there_is_not_much_to_read() -> None:
    request = "Describe the architecture: services, storage, deployment"
    made = plan(planning(request, code(1), (CODE,)))
    assert [s.objective for s in made.subtasks] == [
        "Describe the architecture: services",
        "Describe the architecture: storage",
        "Describe the architecture: deployment",
    ]
    assert [s.objective for s in plan(planning(request, code(1), (CODE,), effort="low")).subtasks] == [request]
    assert {s.objective for s in plan(planning(request, code(9), (CODE,))).subtasks} == {request}


def test_a_brief_says_what_is_left_to_others() -> None:
    alone = plan(planning("How is it done?", code(1), (CODE,)))
    assert [s.boundaries for s in alone.subtasks] == [""]
    made = plan(planning("How is login done? Where are sessions stored?", (*code(5), *docs(1))))
    assert made.subtasks[0].boundaries.split("; ") == [
        "others work on: Where are sessions stored?",
        "the other sources are read by others",
        "docs: asked the same of what they read",
    ]
    many = plan(planning("".join(f"How is part {i} of the engine built? " for i in range(6)), code(1), (CODE,)))
    assert many.subtasks[0].boundaries.endswith("and on 2 questions more")


def test_no_rule_knows_a_role_for_general() -> None:
    general = Announcement(
        kind="general", description="A specialist for one subtask, in any role, with tools and instructions.", replica="g1"
    )
    request = "Which role do tools and instructions play for a specialist?"
    assert [s.kind for s in plan(planning(request, code(1), (CODE, general))).subtasks] == ["code"]


def test_where_the_limit_is_tighter_questions_are_asked_as_one() -> None:
    made = plan(
        planning("How is login done? Where are sessions stored? Who is allowed to log in?", (*code(3), *docs(3)), limit=5)
    )
    assert asked(made) == [
        ("code", "How is login done? Where are sessions stored? Who is allowed to log in?", 3),
        ("docs", "How is login done? Where are sessions stored? Who is allowed to log in?", 3),
    ]


def test_what_is_over_the_limit_even_then_is_said_to_be_left_out() -> None:
    made = plan(planning("How is it done?", (*code(1), *docs(1)), limit=1))
    assert [s.kind for s in made.subtasks] == ["code"]
    assert "1 subtasks over the limit of 1 are left out" in made.why


def test_low_effort_is_one_subtask_for_each_natural_reader() -> None:
    made = plan(planning("Which licence is it? Where are licences checked?", (*code(9), *docs(1)), effort="low"))
    assert [(s.kind, len(s.sources or ()), s.effort) for s in made.subtasks] == [("code", 9, "low"), ("docs", 1, "low")]


def test_high_effort_reads_each_source_by_itself() -> None:
    made = plan(planning("How is it done?", code(9), effort="high"))
    assert [n for _, _, n in asked(made)] == [1] * 9


def test_another_round_asks_only_who_was_not_asked_yet() -> None:
    first = plan(planning("How is it done?", code(6), (CODE,)))
    again = plan(planning("How is it done?", code(6), (CODE,), gaps=("How is it done?",), earlier=first.subtasks))
    assert again.subtasks == ()
    assert again.why == "by rule: 1 gap × nobody who was not asked yet"
    more = plan(planning("How is it done?", (*code(6), *docs(1)), gaps=("How is it done?",), earlier=first.subtasks))
    assert [(s.id, s.kind) for s in more.subtasks] == [("r1s1", "docs")]


def test_sources_shared_out_differently_are_no_new_question() -> None:
    first = plan(planning("How is it done?", code(9), (CODE,), effort="high"))
    again = plan(planning("How is it done?", code(9), (CODE,), gaps=("how is it  DONE?",), earlier=first.subtasks))
    assert again.subtasks == ()


def test_low_effort_has_no_other_round() -> None:
    assert plan(planning("How is it done?", code(1), gaps=("Who did it?",), effort="low")).subtasks == ()


REQUESTS = (
    "How is it done?",
    "How is login done? Where are sessions stored? Which licence is it?",
    "First find the retry policy. Then list who calls it, then explain why that fails.",
    "x" * 100_000,
    "\n".join(f"{i}. What is the meaning of number {i}?" for i in range(1, 60)),
)


@pytest.mark.parametrize("effort", ["auto", "low", "medium", "high"])
@pytest.mark.parametrize("limit", [1, 2, 7, 20])
def test_every_plan_can_be_run(effort: Effort, limit: int) -> None:
    for request, n, again in itertools.product(REQUESTS, (1, 5, 50), (False, True)):
        sources = (*code(n), *docs(n))
        made = plan(planning(request, sources, effort=effort, limit=limit))
        earlier: tuple[Subtask, ...] = ()
        if again:
            earlier = made.subtasks
            gaps = ("Who did it?", "Then who undid it?")
            made = plan(planning(request, sources, effort=effort, limit=limit, gaps=gaps, earlier=earlier))
            if effort == "low":
                continue
        task = Submitted(request=request, sources=sources, limits=Limits(max_subtasks=limit + len(earlier)))
        assert problems(made, task, {k.kind for k in ALL}, brought=False, earlier=earlier) == []
        assert all(0 < len(s.objective) <= 20_000 for s in made.subtasks)
        assert len(made.subtasks) <= limit


WEB = Announcement(
    kind="web", description="Searches the public web for any task.", replica="w1", tools=("web_search", "fetch", "search")
)


@pytest.mark.parametrize(
    ("request_", "asked_too"),
    [
        ("Which task has one outcome?", False),
        ("How does the web framework route a request to the public?", False),
        ("Which version is it, and is that version known on the web to be unsafe?", True),
        ("What do people say of it online?", True),
    ],
)
def test_private_questions_are_put_to_the_web_only_where_it_is_named(request_: str, asked_too: bool) -> None:
    made = plan(planning(request_, code(1), (CODE, WEB)))
    assert ("web" in {s.kind for s in made.subtasks}) is asked_too
