"""A role with the tools that the plan names, over sources of several kinds, with nothing else in reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.contracts.errors import Invalid, Refused, SourceError
from concertino.contracts.messages import Announcement, Input, Result, ResultStatus, Source, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.general.handler import announced, handle
from concertino.model.extractive import Extractive
from concertino.model.port import Answer, Claim, Findings, Quote, Research
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.handlers import call

MANUAL = "# Pump\n\nThe pump runs at 40 bar.\n"
PUMP = "PRESSURE = 60\n\n\ndef run():\n    return PRESSURE\n"


class Model:
    """Thinks what a test says, with the tools that it is given."""

    name = "thinking"
    hosts: frozenset[Any] = frozenset()

    def __init__(self, think: Callable[[Research], Any]) -> None:
        self._think = think

    async def research(self, job: Research) -> Answer[Findings]:
        return Answer(await self._think(job), prompt=job.prompt.id if job.prompt else "")


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Source, ...]:
    for name, path, text in (("manual", "pump.md", MANUAL), ("plant", "pump.py", PUMP)):
        (tmp_path / name).mkdir()
        (tmp_path / name / path).write_text(text)
    return (
        Source(kind="docs", location=str(tmp_path / "manual")),
        Source(kind="code", location=str(tmp_path / "plant")),
    )


async def context(model: Any, tmp_path: Path, sources: Sequence[Source], **brief: Any) -> Context:
    subtask = Subtask(
        id="s1", kind="general", objective="At which pressure does the pump run?", sources=tuple(sources), **brief
    )
    before = Input(subtask=Subtask(id="s0", kind="docs", objective="Which pump?"), result=Result())
    inputs = (before,) if "s0" in subtask.depends_on else ()
    work = Work(
        task="t1", id="result.s1", attempt=1, request="?", brief=subtask, sources=tuple(sources), deadline=1.0, inputs=inputs
    )
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))

    async def say(_: str, __: str) -> None:
        return None

    return Context(work, bus=bus, model=model, settings=Settings(cache=str(tmp_path / "cache")), say=say)


async def settled(given: Context) -> Result:
    result = await call(handle, given, None)  # type: ignore[arg-type]  # no thread is needed
    assert isinstance(result, Result)
    return result


async def test_a_role_with_tools_of_two_kinds_quotes_from_both(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    jobs: list[Research] = []

    async def think(job: Research) -> Findings:
        jobs.append(job)
        manual = await job.tools.call("docs_search", query="pressure of the pump")
        code = await job.tools.call("code_grep", pattern="PRESSURE =")
        passages = [manual.hits[0].passage, code.passages[0]]
        quotes = ["The pump runs at 40 bar.", "PRESSURE = 60"]
        return Findings(tuple(Claim(q, (Quote(p.source, q, p.root),)) for p, q in zip(passages, quotes, strict=True)))

    tools = ("docs_search", "code_grep")
    given = await context(Model(think), tmp_path, sources, tools=tools, role="a plant engineer", instructions="Compare.")
    result = await settled(given)
    assert (result.status, result.error) == (ResultStatus.COMPLETE, None)
    assert [(e.root, e.source, e.quote) for f in result.findings for e in f.evidence] == [
        (sources[0].location, "pump.md", "The pump runs at 40 bar."),
        (sources[1].location, "pump.py", "PRESSURE = 60"),
    ]
    [job] = jobs
    assert [spec.name for spec in job.tools.specs] == ["code_grep", "docs_search"]
    assert job.prompt is not None
    assert job.prompt.text.endswith("Your role: a plant engineer\n\nCompare.")
    assert "general-1 role-" in result.prompt


async def test_a_tool_that_the_brief_does_not_name_cannot_be_called(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    tried: list[str] = []

    async def think(job: Research) -> Findings:
        for name in ("docs_read", "code_secrets", "search", "read", "web_fetch", "shell"):
            with pytest.raises(Invalid, match="there is no tool"):
                await job.tools.call(name, source="pump.md", url="http://127.0.0.1/", query="x")
            tried.append(name)
        return Findings()

    await settled(await context(Model(think), tmp_path, sources[:1], tools=("docs_search",)))
    assert len(tried) == 6


async def test_descriptions_name_tools_as_they_are_called_here(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    async def think(job: Research) -> Findings:
        [read] = [spec for spec in job.tools.specs if spec.name == "docs_read"]
        assert "`docs_search`" in read.description
        assert "`search`" not in read.description
        return Findings()

    await settled(await context(Model(think), tmp_path, sources[:1]))


async def test_private_sources_and_the_web_are_refused_before_anything_is_read(
    tmp_path: Path, sources: tuple[Source, ...]
) -> None:
    async def think(_: Research) -> Findings:
        raise AssertionError("nobody may think about this")

    with pytest.raises(Refused, match="Split it in two"):
        await settled(await context(Model(think), tmp_path, sources, tools=("docs_search", "web_fetch")))
    assert not (tmp_path / "cache").exists()


async def test_a_source_that_cannot_be_read_costs_that_source(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    async def think(_: Research) -> Findings:
        return Findings()

    gone = Source(kind="docs", location=str(tmp_path / "gone"))
    result = await settled(await context(Model(think), tmp_path, [gone, sources[1]]))
    assert result.status is ResultStatus.PARTIAL
    assert result.error is not None
    assert "gone" in result.error.message
    with pytest.raises(SourceError, match="gone"):
        await settled(await context(Model(think), tmp_path, [gone]))


async def test_with_nothing_to_work_on_it_says_so_and_with_results_it_works(tmp_path: Path) -> None:
    async def think(job: Research) -> Findings:
        assert job.tools.specs == []
        return Findings((Claim("So the older pump is meant."),))

    with pytest.raises(Invalid, match="names no tools and no sources"):
        await settled(await context(Model(think), tmp_path, [], tools=()))
    result = await settled(await context(Model(think), tmp_path, [], tools=(), depends_on=("s0",)))
    assert [f.claim for f in result.findings] == ["So the older pump is meant."]


async def test_without_a_model_that_thinks_it_searches_its_sources(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    result = await settled(await context(Extractive(), tmp_path, sources))
    assert {e.source for f in result.findings for e in f.evidence} == {"pump.md", "pump.py"}
    with pytest.raises(Invalid, match="without a model that thinks"):
        await settled(await context(Extractive(), tmp_path, [], tools=(), depends_on=("s0",)))


def test_it_announces_the_tools_of_what_is_installed() -> None:
    told = announced(Announcement(kind="general", description="", replica="r"), Settings(), Extractive())
    assert told.sources == ("code", "docs", "web")
    assert {"docs_search", "code_grep", "web_fetch", "web_find"} <= set(told.tools)
    assert set(told.tools) == set(told.abilities)
    assert all(told.abilities.values())
    assert {"web", "web_fetch", "web_find"} == set(told.public)
