"""A task with less money than it needs: a partial report with citations that says why, and never more spent than allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from concertino.cli.show.closing import closing
from concertino.client import Limits, Plan, Source, Subtask
from concertino.contracts.view import TaskView
from concertino.docs.handler import worker as docs
from concertino.model.anthropic import Anthropic
from concertino.model.anthropic.world import World
from concertino.model.port import Model
from concertino.runtime.config import Config, ModelChoice
from concertino.runtime.settings import Settings
from concertino.testing import MessagesApi, Tool
from kit import script
from kit.team import Team, in_memory

REQUEST = "How long does the relay wait before a retry?"
QUOTE = "The relay waits 30 seconds before each retry."
CONFIG = Config(models={"default": ModelChoice(fallback="", max_tokens=4_000)})


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "retries.md").write_text(f"# Retries\n\n{QUOTE}\n")
    (folder / "large.md").write_text("# Large\n\n" + "The relay has many parts. " * 800)
    return [Source(kind="docs", location=str(folder))]


def a_good_day(api: MessagesApi) -> None:
    api.on(script.of("plan"), every=script.split(script.brief("handbook", "docs", REQUEST, sources="1")))
    found = script.findings(script.claim("It is 30 seconds.", ("retries.md", QUOTE)))
    api.on(
        script.of("research"), every=script.works(Tool("search", query="retry"), Tool("read", source="large.md"), then=found)
    )
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


async def ask(
    api: MessagesApi,
    sources: Sequence[Source],
    tmp_path: Path,
    limits: Limits,
    plan: Plan | None = None,
    max_cost: float = 0.0,
) -> TaskView:
    settings = Settings(cache=str(tmp_path / "cache"), attempts=2, max_cost=max_cost)
    made: list[Anthropic] = []

    def model(kind: str) -> Model:
        made.append(Anthropic(kind, CONFIG, environment=api.environment(), world=World(chance=lambda: 0.0)))
        return made[-1]

    async with Team(in_memory(settings), settings, [docs], model) as client:
        return await client.ask(REQUEST, sources=sources, limits=limits, plan=plan)


def quotes(view: TaskView) -> set[str]:
    assert view.report is not None
    return {citation.quote for citation in view.report.citations}


def tokens(view: TaskView) -> int:
    used = view.usage
    return used.input_tokens + used.output_tokens + used.cache_read_tokens + used.cache_write_tokens


def refused(kind: str) -> float:
    found = (
        REGISTRY.get_sample_value("concertino_budget_refusals_total", {"kind": kind, "lacking": why})
        for why in ("tokens", "cost")
    )
    return sum(value or 0.0 for value in found)


def roles(api: MessagesApi) -> list[str]:
    return [script.role(asked) for asked in api.asked]


async def test_enough_is_as_good_as_no_limit(sources: list[Source], tmp_path: Path) -> None:
    async with MessagesApi() as api:
        a_good_day(api)
        view = await ask(api, sources, tmp_path, Limits(deadline=60, max_tokens=200_000, max_cost=10.0, max_rounds=1))
    assert (view.status, view.reason) == ("answered", "1 subtask done")
    assert quotes(view) == {QUOTE}
    assert (view.max_tokens, view.max_cost) == (200_000, 10.0)
    assert " of 200,000 tokens" in closing(view, 1.0)[1]
    assert " of $10.00 · task " in closing(view, 1.0)[1]


async def test_a_tiny_budget_gives_a_partial_report_with_citations_and_the_reason(
    sources: list[Source], tmp_path: Path
) -> None:
    before = {kind: refused(kind) for kind in ("plan", "docs", "synthesize")}
    async with MessagesApi() as api:
        a_good_day(api)
        view = await ask(api, sources, tmp_path, Limits(deadline=60, max_tokens=1_000, max_rounds=1))
    assert view.status == "partial"
    assert "the budget is spent: 0 of the 1,000 tokens of the task are gone" in view.reason
    assert quotes(view)
    assert view.report is not None
    assert any("the budget is spent" in gap for gap in view.report.gaps)
    assert "no model wrote it" in view.report.text
    assert [subtask.status for subtask in view.subtasks] == ["partial"] * len(view.subtasks)
    assert not api.asked
    assert all(refused(kind) > count for kind, count in before.items())


async def test_a_worker_at_the_limit_writes_up_what_it_has_and_the_report_is_written(
    sources: list[Source], tmp_path: Path
) -> None:
    plan = Plan(subtasks=(Subtask(id="handbook", kind="docs", objective="What the handbook says", sources=tuple(sources)),))
    async with MessagesApi() as api:
        a_good_day(api)
        view = await ask(api, sources, tmp_path, Limits(deadline=60, max_tokens=22_000, max_rounds=1), plan)
    assert view.status == "partial", view.reason
    assert "was written up: the budget is spent" in view.subtasks[0].error
    assert view.subtasks[0].error in view.reason
    assert quotes(view) == {QUOTE}
    assert roles(api) == ["research", "research", "weigh", "write"]
    assert [asked.body.get("tool_choice") for asked in api.asked] == [None, {"type": "none"}, None, None]
    assert tokens(view) <= 22_000


async def test_a_subtask_with_a_budget_of_its_own_leaves_the_rest_to_the_others(sources: list[Source], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "other.md").write_text("# Other\n\nA retry is another try.\n")
    elsewhere = (Source(kind="docs", location=str(other)),)
    plan = Plan(
        subtasks=(
            Subtask(id="poor", kind="docs", objective="What retries are", sources=elsewhere, max_tokens=1_000),
            Subtask(id="rich", kind="docs", objective="What the handbook says", sources=tuple(sources)),
        )
    )
    async with MessagesApi() as api:
        a_good_day(api)
        view = await ask(api, sources, tmp_path, Limits(deadline=60, max_tokens=300_000, max_rounds=1), plan)
    poor, rich = view.subtasks
    assert (rich.status, rich.error) == ("complete", ""), rich.error
    assert "0 of the 1,000 tokens of the subtask are gone" in poor.error
    assert poor.usage.model_calls == 0


async def test_dollars_by_the_installation_bound_a_caller_who_sets_none(sources: list[Source], tmp_path: Path) -> None:
    async with MessagesApi() as api:
        a_good_day(api)
        view = await ask(api, sources, tmp_path, Limits(deadline=60, max_rounds=1), max_cost=0.001)
    assert (view.status, view.max_cost) == ("partial", 0.001)
    assert view.usage.cost_usd <= 0.001
    assert "max_cost" in view.reason
    assert quotes(view)


async def test_no_call_is_longer_than_the_budget_allows(sources: list[Source], tmp_path: Path) -> None:
    """Over a range of budgets: never more than the limit, always a report."""
    for limit in (8_000, 16_000, 24_000, 40_000, 64_000):
        async with MessagesApi() as api:
            a_good_day(api)
            view = await ask(api, sources, tmp_path / str(limit), Limits(deadline=60, max_tokens=limit, max_rounds=2))
        assert tokens(view) <= limit
        assert quotes(view), (limit, view.reason)
        assert view.status in ("partial", "answered")
