"""The planner: what a model returns is checked before it becomes a fact."""

from __future__ import annotations

from typing import Any

import pytest
from story import FOUND, START, plan, subtask

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.memory import MemoryBus
from concertino.contracts.errors import InvalidPlan
from concertino.contracts.messages import Announcement, Input, Limits, Plan, Planned, Subtask, Usage, Work
from concertino.model.port import Answer, Planning
from concertino.orchestrator.planner import plan as make_plan
from concertino.runtime.settings import Settings
from concertino.worker import Context

SPENT = Usage(model_calls=1)


class Dictated:
    """A model that plans as it is told, and notes what it was asked."""

    name = "dictated"

    def __init__(self, made: Plan) -> None:
        self._made = made
        self.asked: list[Planning] = []

    async def plan(self, job: Planning) -> Answer[Plan]:
        self.asked.append(job)
        return Answer(self._made, SPENT)

    async def research(self, job: Any) -> Any:
        raise NotImplementedError

    async def write(self, job: Any) -> Any:
        raise NotImplementedError


async def planned(model: Dictated, *, earlier: tuple[Subtask, ...] = (), limits: Limits | None = None) -> Planned:
    """What the planner makes of what ``model`` makes; for a later round where there are ``earlier`` subtasks."""
    settings = Settings()
    bus = MemoryBus(settings.subjects, clock=lambda: START)
    await bus.provision(topology.installation(settings.subjects))
    for kind in ("web", "code", "plan"):
        announcement = Announcement(kind=kind, description=f"does {kind}", replica="r1", internal=kind == "plan")
        await announce(bus, settings.subjects, announcement)
    brief = Subtask(id="plan-0", kind="plan", objective="What is it?")
    work = Work(
        task="t",
        id="plan.1" if earlier else "plan.0",
        attempt=1,
        request="What is it?",
        brief=brief,
        limits=limits or Limits(),
        deadline=START + 80,
        inputs=tuple(Input(subtask=s, result=FOUND) for s in earlier),
        gaps=("who pays?",) if earlier else (),
    )

    async def say(_: str) -> None:
        return None

    found = await make_plan(brief, Context(work, bus=bus, model=model, settings=settings, say=say))
    await bus.close()
    assert isinstance(found, Planned)
    return found


async def test_a_sound_plan_becomes_the_fact() -> None:
    made = plan(subtask("a"), subtask("b", "a", kind="code"))
    model = Dictated(made)

    assert await planned(model, limits=Limits(max_subtasks=5)) == Planned(plan=made, usage=SPENT, model="dictated")
    [asked] = model.asked
    assert {kind.kind for kind in asked.kinds} == {"code", "web"}
    assert asked.max_subtasks == 5


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (plan(), "it has no subtasks"),
        (plan(subtask("a", kind="plan")), "no worker does 'plan'; on the bus: code, web"),
        (plan(subtask("a", "a")), "cycle"),
        (plan(*(subtask(f"s{i}") for i in range(21))), "it has 21 subtasks, and 20 are allowed"),
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

    assert found == Planned(plan=plan(), usage=SPENT, model="dictated")
