"""The planner: what a model returns is checked before it becomes a fact."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs
from story import FOUND, LIMITS, START, plan, subtask

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.memory import MemoryBus
from concertino.contracts.errors import (
    ConcertinoError,
    DeadlineExceeded,
    InvalidPlan,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    Unusable,
)
from concertino.contracts.messages import (
    Announcement,
    Failure,
    Input,
    Limits,
    Plan,
    Planned,
    ResultStatus,
    Source,
    Subtask,
    Work,
)
from concertino.model.port import Answer, Hosted, Planning
from concertino.orchestrator.planner import plan as make_plan
from concertino.runtime.settings import Settings
from concertino.worker import Context


class Dictated:
    """A model that plans as it is told, or raises what it is told to, or never answers; and notes what it was asked."""

    name = "dictated"
    hosts: frozenset[Hosted] = frozenset()

    def __init__(self, made: Plan | Exception | None) -> None:
        self._made = made
        self.asked: list[Planning] = []

    async def plan(self, job: Planning) -> Answer[Plan]:
        self.asked.append(job)
        if isinstance(self._made, Exception):
            raise self._made
        if self._made is None:
            await asyncio.Event().wait()
        assert self._made is not None
        return Answer(self._made)

    async def research(self, job: Any) -> Any:
        raise NotImplementedError

    async def write(self, job: Any) -> Any:
        raise NotImplementedError


async def planned(
    model: Dictated,
    *,
    earlier: tuple[Subtask, ...] = (),
    limits: Limits | None = None,
    sources: tuple[Source, ...] = (),
    last_attempt: bool = False,
    at: float = START,
) -> Planned:
    """What the planner makes of what ``model`` makes; for a later round where there are ``earlier`` subtasks."""
    settings = Settings()
    bus = MemoryBus(settings.subjects, clock=lambda: START)
    await bus.provision(topology.installation(settings.subjects))
    for kind in ("web", "code", "plan"):
        announcement = Announcement(
            kind=kind, description=f"does {kind}", replica="r1", internal=kind == "plan", sources=(kind,), tools=("look",)
        )
        await announce(bus, settings.subjects, announcement)
    brief = Subtask(id="plan-0", kind="plan", objective="What is it?")
    work = Work(
        task="t",
        id="plan.1" if earlier else "plan.0",
        attempt=1,
        request="What is it?",
        brief=brief,
        sources=sources,
        limits=limits or LIMITS,
        deadline=START + 80,
        inputs=tuple(Input(subtask=s, result=FOUND) for s in earlier),
        gaps=("who pays?",) if earlier else (),
    )

    async def say(_: str, __: str) -> None:
        return None

    context = Context(work, bus=bus, model=model, settings=settings, say=say, last_attempt=last_attempt)
    try:
        found = await make_plan(brief, context, lambda: at)
    finally:
        await bus.close()
    assert isinstance(found, Planned)
    return found


async def test_a_sound_plan_becomes_the_fact() -> None:
    made = plan(subtask("a"), subtask("b", "a", kind="code"))
    model = Dictated(made)

    assert await planned(model, limits=Limits(max_subtasks=5)) == Planned(plan=made, model="dictated")
    [asked] = model.asked
    assert {kind.kind for kind in asked.kinds} == {"code", "web"}
    assert asked.max_subtasks == 5
    assert asked.prompt is not None
    assert asked.prompt.name == "plan"
    assert asked.work.deadline == START + 40  # half of what there is: the rest is for the work


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (plan(), "it has no subtasks"),
        (plan(subtask("a", kind="plan")), "no worker does 'plan'; on the bus: code, web"),
        (plan(subtask("a", "a")), "cycle"),
        (plan(*(subtask(f"s{i}") for i in range(21))), "it has 21 subtasks, and 20 are allowed"),
        (plan(structs.replace(subtask("a"), tools=("fly",))), "wants tools that 'web' does not have: fly; it has: look"),
    ],
)
async def test_a_plan_that_cannot_be_run_is_an_error_that_says_why(made: Plan, problem: str) -> None:
    with pytest.raises(InvalidPlan, match=problem):
        await planned(Dictated(made))


async def test_another_round_repeats_no_brief_and_has_what_is_left() -> None:
    again = subtask("a2", objective="look into A")
    model = Dictated(plan(again, subtask("b", "a2", "a")))

    found = await planned(model, earlier=(subtask("a"),))

    assert found.plan == plan(subtask("b", "a"))
    assert model.asked[0].max_subtasks == 19


async def test_another_round_of_which_nothing_is_left_is_an_empty_plan() -> None:
    found = await planned(Dictated(plan(subtask("a2", objective="look into a"))), earlier=(subtask("a"),))

    assert found == Planned(plan=plan(), model="dictated")


# --- without the model

CODE = (Source(kind="code", location="/src"),)


def told(found: Planned) -> tuple[str, str, Failure | None]:
    """By whom, for whom, and why so."""
    assert found.plan is not None
    return found.model, " ".join(s.kind for s in found.plan.subtasks), found.error


@pytest.mark.parametrize(
    "error",
    [
        ModelRejected("the key is wrong"),
        ModelRefused("it declines"),
        Unusable("no plan in what it said"),
        DeadlineExceeded("no answer in its time"),
    ],
)
async def test_where_the_model_cannot_plan_the_rules_do_and_say_why(error: ConcertinoError) -> None:
    found = await planned(Dictated(error), sources=CODE)

    message = f"planned by rule, without the model: {error}"
    assert told(found) == ("extractive", "code", Failure(code=error.code, message=message))
    assert found.status == ResultStatus.PARTIAL


async def test_a_model_that_is_away_is_waited_for_at_first() -> None:
    with pytest.raises(ModelUnavailable, match="overloaded"):
        await planned(Dictated(ModelUnavailable("overloaded")), sources=CODE)


@pytest.mark.parametrize(
    ("last_attempt", "at", "after"), [(True, START, None), (False, START + 40, None), (False, START, 60.0)]
)
async def test_but_not_for_ever(last_attempt: bool, at: float, after: float | None) -> None:
    away = ModelUnavailable("overloaded", after=after)
    found = await planned(Dictated(away), sources=CODE, last_attempt=last_attempt, at=at)

    message = "planned by rule, without the model: overloaded"
    assert told(found) == ("extractive", "code", Failure(code="model_unavailable", message=message))


async def test_a_model_that_takes_too_long_leaves_time_for_the_work() -> None:
    found = await planned(Dictated(None), sources=CODE, at=START + 79.99)

    message = "planned by rule, without the model: the model had no plan after 0 s"
    assert told(found) == ("extractive", "code", Failure(code="deadline", message=message))


async def test_where_the_rules_cannot_plan_either_both_reasons_are_told() -> None:
    with pytest.raises(ModelRefused, match="it declines; nor can it be planned by rule: there is nothing to read"):
        await planned(Dictated(ModelRefused("it declines")))


async def test_another_round_by_rule_may_be_empty() -> None:
    earlier = Subtask(id="s1", kind="code", objective="who pays?", sources=CODE)

    found = await planned(Dictated(ModelRefused("it declines")), sources=CODE, earlier=(earlier,))

    assert found.plan is not None
    assert found.plan.subtasks == ()
    assert found.status == ResultStatus.PARTIAL


async def test_a_fault_of_ours_is_no_reason_to_plan_by_rule() -> None:
    with pytest.raises(KeyError):
        await planned(Dictated(KeyError("bug")), sources=CODE)
    with pytest.raises(TimeoutError):
        await planned(Dictated(TimeoutError("of something else")), sources=CODE)
