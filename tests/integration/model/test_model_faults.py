"""Every fault of the model's API, at every role: the task ends, its reason is true, and what was found is in its report."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from concertino.client import Limits, Source
from concertino.code.handler import worker as code
from concertino.contracts.view import TaskView
from concertino.docs.handler import worker as docs
from concertino.model.anthropic import Anthropic
from concertino.model.anthropic.world import World
from concertino.runtime.config import Config
from concertino.runtime.settings import Settings
from concertino.testing import Asked, Break, CutOff, Fault, Hang, MessagesApi, Pause, Raw, Refuse, Reply, Say, Tool
from kit import script
from kit.team import Haste, Team, in_memory

REQUEST = "How long does the relay wait before a retry?"
IN_DOCS, IN_CODE = "The relay waits 30 seconds before each retry.", "RETRY_SECONDS = 5"

Role = Literal["plan", "code", "code midway", "weigh", "write"]
"""Of a worker the first call, or all calls after it has used a tool. A synthesizer makes two calls."""
KINDS: dict[Role, str] = {
    "plan": "plan",
    "code": "code",
    "code midway": "code",
    "weigh": "synthesize",
    "write": "synthesize",
}


class Case(NamedTuple):
    """A fault, and what a reason that is true says of it."""

    reply: Reply
    words: str
    roles: tuple[Role, ...] = ("plan", "code", "code midway", "weigh", "write")


FAULTS = {
    "refusal": Case(Refuse("I would rather"), "declines to answer"),
    "max_tokens": Case(CutOff('{"claims": [{"cl'), "cut off|longer than|breaks off"),
    "pause_turn": Case(Pause([{"type": "text", "text": "Let me think."}]), "paused", ("plan", "code midway", "weigh")),
    "429": Case(Fault(429, headers={"Retry-After": "1"}), r"limits the rate \(HTTP 429\)"),
    "529": Case(Fault(529), r"overloaded \(HTTP 529\)"),
    "529 in midstream": Case(Fault(529, midstream=True), r"overloaded \(HTTP 529\)"),
    "500": Case(Fault(500), r"fails \(HTTP 500\)"),
    "timeout": Case(Hang(), "did not answer in time"),
    "silence in midstream": Case(Hang(after=5), "did not answer in time"),
    "broken stream": Case(Break(5), "connection .* broke|broke off"),
    "no connection": Case(Break(0), "connection .* broke|could not be made"),
    "bad JSON": Case(Say('{"subtasks": "none", '), "form", ("plan", "code midway", "weigh")),
    "a proxy's page": Case(
        Raw(b"<html>Log in first</html>", type="text/html; charset=utf-8"),
        "was not reached: text/html came .* ANTHROPIC_BASE_URL",
    ),
    "invalid key": Case(Fault(401, message="invalid x-api-key"), "does not accept the key"),
}
LASTING = [(name, role) for name, case in FAULTS.items() for role in case.roles]
PASSING = [(name, role) for name, role in LASTING if name != "invalid key"]


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "retries.md").write_text(f"# Retries\n\n{IN_DOCS}\n")
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "relay.py").write_text(f"{IN_CODE}\n")
    return [Source(kind="docs", location=str(tmp_path / "handbook")), Source(kind="code", location=str(tmp_path / "relay"))]


def asks_for(role: Role) -> Callable[[Asked], bool]:
    match role:
        case "code":
            return lambda asked: script.role(asked) == "research" and asked.offers("grep")
        case "code midway":
            return lambda asked: script.role(asked) == "research" and asked.offers("grep") and script.used(asked)
        case _:
            return script.of(role)


def a_good_day(api: MessagesApi) -> None:
    """What everybody says when nothing is wrong."""
    api.on(
        script.of("plan"),
        every=script.split(
            script.brief("handbook", "docs", "What the handbook says of retries", sources="1"),
            script.brief("source", "code", "How many seconds the code waits before a retry", sources="2"),
        ),
    )
    reads = script.works(
        Tool("search", query="retry"), then=script.findings(script.claim("It is 30 seconds.", ("retries.md", IN_DOCS)))
    )
    looks = script.works(
        Tool("read", path="relay.py"), then=script.findings(script.claim("It is 5 seconds.", ("relay.py", IN_CODE)))
    )
    api.on(lambda asked: script.role(asked) == "research" and asked.offers("list_documents"), every=reads)
    api.on(script.of("research"), every=looks)
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


@asynccontextmanager
async def models(
    api: MessagesApi, kind: str, stall: float, haste: Haste | None = None
) -> AsyncIterator[Callable[[str], Anthropic]]:
    """Who thinks for each kind; that of ``kind`` waits ``stall`` seconds for a sign of life."""
    made: list[Anthropic] = []
    haste = haste or Haste()
    world = World(clock=haste.now, sleep=haste.sleep, chance=lambda: 0.0)

    def model(of: str) -> Anthropic:
        patience = stall if of == kind else 30.0
        made.append(Anthropic(of, Config(), environment=api.environment(), world=world, stall=patience))
        return made[-1]

    yield model
    for one in made:
        await one.close()


async def ask(
    api: MessagesApi, role: Role, sources: list[Source], tmp_path: Path, stall: float, asked_for: str = ""
) -> TaskView:
    settings, haste = Settings(cache=str(tmp_path / "cache"), attempts=2), Haste()
    async with (
        models(api, KINDS[role], stall, haste) as model,
        Team(in_memory(settings, haste=haste), settings, [docs, code], model) as client,
    ):
        return await client.ask(REQUEST, sources=sources, limits=Limits(deadline=600, max_rounds=1, model=asked_for))


def stall(reply: Reply, seconds: float) -> float:
    """Short only where silence is the fault: a busy machine must not make one of the others."""
    return seconds if isinstance(reply, Hang) else 30.0


def quotes(view: TaskView) -> set[str]:
    assert view.report is not None
    return {citation.quote for citation in view.report.citations}


@pytest.mark.parametrize(("name", "role"), LASTING)
async def test_a_fault_that_lasts(name: str, role: Role, sources: list[Source], tmp_path: Path) -> None:
    case = FAULTS[name]
    async with MessagesApi() as api:
        api.on(asks_for(role), every=case.reply)
        a_good_day(api)
        view = await ask(api, role, sources, tmp_path, stall=stall(case.reply, 0.05))
    assert not api.unexpected
    assert not api.rejected
    assert view.status == "partial"
    assert re.search(case.words, view.reason), view.reason
    # Without the model a planner goes by rules, a worker quotes, and a report is made of quotes.
    assert quotes(view) == {IN_DOCS, IN_CODE}
    if KINDS[role] == "code":
        [subtask] = [subtask for subtask in view.subtasks if subtask.kind == "code"]
        assert subtask.model.endswith("extractive")
        assert "quoted, as no model read it" in subtask.error
    assert view.usage.model_calls == len(api.asked)


@pytest.mark.parametrize(("name", "role"), PASSING)
async def test_a_fault_that_passes(name: str, role: Role, sources: list[Source], tmp_path: Path) -> None:
    async with MessagesApi() as api:
        api.on(asks_for(role), FAULTS[name].reply)
        a_good_day(api)
        view = await ask(api, role, sources, tmp_path, stall=stall(FAULTS[name].reply, 0.3))
    assert not api.unexpected
    assert not api.rejected
    assert (view.status, view.reason) == ("answered", "2 subtasks done")
    assert quotes(view) == {IN_DOCS, IN_CODE}
    assert view.usage.model_calls == len(api.asked)


async def test_what_the_model_declines_its_fallback_is_asked(sources: list[Source], tmp_path: Path) -> None:
    async with MessagesApi() as api:
        api.on(lambda asked: asked.model in {"claude-opus-5-5", "claude-sonnet-5-5"}, every=Refuse())
        a_good_day(api)
        view = await ask(api, "plan", sources, tmp_path, stall=5.0)
    assert (view.status, quotes(view)) == ("answered", {IN_DOCS, IN_CODE})
    assert {subtask.model for subtask in view.subtasks} == {"claude-sonnet-5"}
    assert view.by_model["claude-opus-5-5"].model_calls == 2


async def test_without_a_key_that_is_accepted_the_end_says_so(sources: list[Source], tmp_path: Path) -> None:
    async with MessagesApi() as api:
        api.on("", every=FAULTS["invalid key"].reply)
        view = await ask(api, "plan", sources, tmp_path, stall=5.0)
    assert (view.status, quotes(view)) == ("partial", {IN_DOCS, IN_CODE})
    assert "does not accept the key" in view.reason
    assert "test" not in view.reason.split()


async def test_a_worker_that_is_still_waiting_at_the_deadline_costs_only_itself(sources: list[Source], tmp_path: Path) -> None:
    settings = Settings(cache=str(tmp_path / "cache"), attempts=2)
    async with MessagesApi() as api:
        api.on(asks_for("code"), every=Hang(after=5))
        a_good_day(api)
        async with (
            models(api, "code", stall=60.0) as model,
            Team(in_memory(settings), settings, [docs, code], model) as client,
        ):
            # A twentieth of a worker's time is left for quoting, however busy the machine is.
            view = await client.ask(REQUEST, sources=sources, limits=Limits(deadline=20, max_rounds=1))
            assert len(api.abandoned) == len([asked for asked in api.asked if asks_for("code")(asked)])
    assert (view.status, quotes(view)) == ("partial", {IN_DOCS, IN_CODE})
    assert re.search("time", view.reason), view.reason


async def test_a_task_that_is_cancelled_lets_go_of_the_model_at_once(sources: list[Source], tmp_path: Path) -> None:
    settings = Settings(cache=str(tmp_path / "cache"), attempts=2)
    async with MessagesApi() as api:
        api.on(script.of("research"), every=Hang(after=5))
        a_good_day(api)
        async with (
            models(api, "code", stall=60.0) as model,
            Team(in_memory(settings), settings, [docs, code], model) as client,
        ):
            task = await client.submit(REQUEST, sources=sources, limits=Limits(deadline=60))
            async with asyncio.timeout(20):
                while api.count(script.of("research")) < 2:
                    await asyncio.sleep(0)
                await client.cancel(task)
                view = await client.wait(task)
                while len(api.abandoned) < 2:
                    await asyncio.sleep(0)
                while (await client.show(task)).usage.model_calls < 3:
                    await asyncio.sleep(0)
    assert view.status == "cancelled"


async def test_a_task_has_the_model_that_it_asks_for(sources: list[Source], tmp_path: Path) -> None:
    async with MessagesApi() as api:
        a_good_day(api)
        view = await ask(api, "plan", sources, tmp_path, stall=5.0, asked_for="claude-haiku-4-5")
    assert (view.status, quotes(view)) == ("answered", {IN_DOCS, IN_CODE})
    assert {asked.model for asked in api.asked} == {"claude-haiku-4-5"} == set(view.by_model)
    assert not any(subtask.notes for subtask in view.subtasks)


async def test_a_model_that_the_api_does_not_know_is_named_with_its_option(sources: list[Source], tmp_path: Path) -> None:
    async with MessagesApi() as api:
        api.on(lambda asked: asked.model == "claude-nobody", every=Fault(404, message="model: claude-nobody"))
        a_good_day(api)
        view = await ask(api, "plan", sources, tmp_path, stall=5.0, asked_for="claude-nobody")
    assert {asked.model for asked in api.asked} == {"claude-nobody"}, "another model was asked in its place"
    assert view.status == "partial"
    assert all(re.search(r"claude-nobody: there is no such model.*--model", subtask.error) for subtask in view.subtasks)


async def test_where_no_model_is_a_result_says_that_one_was_asked_for(sources: list[Source], tmp_path: Path) -> None:
    settings = Settings(cache=str(tmp_path / "cache"), model="extractive")
    async with Team(in_memory(settings), settings, [docs, code]) as client:
        limits = Limits(deadline=60, max_rounds=1, model="claude-haiku-4-5")
        view = await client.ask(REQUEST, sources=sources, limits=limits)
    assert view.report is not None
    assert view.subtasks
    assert all("asked for the model claude-haiku-4-5" in " ".join(subtask.notes) for subtask in view.subtasks)
