"""What workers that read sources share: a source that cannot be read costs that source, and is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.code.toolset import CODE
from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Locator, Passage, ResultStatus, Source, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.docs.toolset import DOCS
from concertino.model.extractive import Extractive
from concertino.model.port import Answer, Claim, Findings, Quote, Research
from concertino.retrieval.cache import NoRoomTogether
from concertino.runtime.settings import Settings
from concertino.worker import Context, Worker
from concertino.worker.reading import NAMED, Reading, folders, research
from concertino.worker.toolsets import Toolset


class Quoting(Extractive):
    """Claims whatever the tool returns."""

    async def research(self, job: Research) -> Answer[Findings]:
        passages = await job.tools.call("lines")
        return Answer(Findings(claims=tuple(Claim(p.text, (Quote(p.source, p.text),)) for p in passages)))


class Opened:
    closed = 0

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self.problems = [(f"{i}.bin", "binary") for i in range(NAMED + 2)]

    def tools(self) -> Sequence[Any]:
        async def lines() -> list[Passage]:
            """Everything."""
            return [Passage(source=s.location, text=f"in {s.location}", locator=Locator(lines=(1, 1))) for s in self._sources]

        return [lines]

    async def close(self) -> None:
        Opened.closed += 1


async def _open(_: Context, sources: Sequence[Source]) -> Opened:
    broken = [s.location for s in sources if "broken" in s.location]
    if broken:
        raise SourceError(f"{broken[0]} cannot be read")
    return Opened(sources)


TOOLSET = Toolset("code", sources=("code",), open=_open, abilities=lambda *_: {"lines": ""})


async def context(*locations: str, roots: str = "/", **settings: Any) -> Context:
    sources = tuple(Source(kind="code", location=location) for location in locations)
    brief = Subtask(id="s1", kind="code", objective="what?", sources=sources)
    work = Work(task="t1", id="result.code.s1", attempt=1, request="what?", brief=brief, sources=sources, deadline=1.0)
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))

    async def say(_: str, __: str) -> None:
        return None

    return Context(work, bus=bus, model=Quoting(), settings=Settings(source_roots=roots, **settings), say=say)


async def test_findings_are_grounded_and_unreadable_files_named_and_counted() -> None:
    result = await research(await context("/a", "/b"), TOOLSET)
    assert [f.claim for f in result.findings] == ["in /a", "in /b"]
    assert (result.status, result.error, result.model) == (ResultStatus.COMPLETE, None, "extractive")
    assert result.notes[-1] == "not read: 2 more files"
    assert len(result.notes) == NAMED + 1


async def test_one_source_that_cannot_be_read_does_not_cost_the_others() -> None:
    result = await research(await context("/a", "/broken", "/b"), TOOLSET)
    assert [f.claim for f in result.findings] == ["in /a", "in /b"]
    assert result.error is not None
    assert (result.status, result.error.code, result.error.message) == (
        ResultStatus.PARTIAL,
        "source",
        "/broken cannot be read",
    )


@pytest.mark.parametrize(
    ("locations", "says"),
    [
        ((), "names no source"),
        (("/broken",), "/broken cannot"),
        (("/broken1", "/broken2"), "/broken1 cannot.*; /broken2 cannot"),
    ],
)
async def test_without_any_source_that_can_be_read_it_fails(locations: tuple[str, ...], says: str) -> None:
    with pytest.raises(SourceError, match=says):
        await research(await context(*locations), TOOLSET)


async def test_sources_outside_of_the_roots_are_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    roots = f"{inside}:{tmp_path / 'other'}"
    result = await research(await context(str(inside), str(outside), "https://example.org/x.git", roots=roots), TOOLSET)
    assert [f.claim for f in result.findings] == [f"in {inside}", "in https://example.org/x.git"]
    assert result.error is not None
    assert "CTN_SOURCE_ROOTS" in result.error.message
    for refused in (outside, inside / "link", inside / ".." / "out"):
        with pytest.raises(SourceError, match="CTN_SOURCE_ROOTS"):
            folders(await context(str(refused), roots=roots))
    with pytest.raises(SourceError, match="on its own machine only"):
        folders(await context("https://example.org/x.git"))
    assert [tree.root for tree in folders(await context(str(inside), roots=roots))] == [inside]


async def test_sources_are_closed_whatever_happens() -> None:
    class Failing(Quoting):
        async def research(self, job: Research) -> Answer[Findings]:
            raise SourceError("no")

    given = await context("/a")
    given.model = Failing()
    before = Opened.closed
    with pytest.raises(SourceError):
        await research(given, TOOLSET)
    assert Opened.closed == before + 1


async def test_a_worker_without_a_handler_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match=r"decorate one with @worker\.handle"):
        await Worker("legal", "Reads contracts.").start(MemoryBus(), Settings())


async def test_replicas_of_one_worker_have_names_of_their_own() -> None:
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))
    worker = Worker("legal", "Reads contracts.", sources=["contracts"], slots=3)
    worker.handle(lambda brief, context: None)
    first, second = [await worker.start(bus, Settings()) for _ in range(2)]
    keys = await bus.keys("ctn_workers")
    assert len(keys) == 2
    assert all(key.startswith("legal.") for key in keys)
    await first.drain(0)
    await second.drain(0)


@pytest.mark.parametrize("kinds", [(CODE, CODE), (DOCS, DOCS), (DOCS, CODE)])
async def test_sources_that_have_room_alone_and_not_together_are_an_error_that_names_the_setting(
    kinds: tuple[Toolset, Toolset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where two toolsets are used together. Nobody waits, and nothing is opened once more."""
    monkeypatch.setattr("concertino.retrieval.cache.WAITS", 600.0)
    places = [tmp_path / name for name in ("one", "two")]
    for number, place in enumerate(places):
        place.mkdir()
        for page in range(30):
            said = " ".join(f"word{number}x{page}x{i}" for i in range(1500))
            (place / f"page{page}.md").write_text(f"# Page {page}\n\n{said}\n")
    made = await context(*map(str, places), cache=str(tmp_path / "cache"), cache_bytes=5 << 20)
    sources = [Source(kind=toolset.name, location=str(place)) for toolset, place in zip(kinds, places, strict=True)]
    async with asyncio.timeout(100):
        for toolset, source in zip(kinds, sources, strict=True):
            await (await toolset.open(made, [source])).close()  # alone there is room
        if kinds[0] is kinds[1]:
            opened = []

            async def open_(context: Context, given: Sequence[Source]) -> Any:
                opened.append(given)
                return await kinds[0].open(context, given)

            with pytest.raises(NoRoomTogether, match="CTN_CACHE_BYTES"):
                await Reading.of(made, structs.replace(kinds[0], open=open_), sources)
            assert len(opened) == 1
        else:
            first = await kinds[0].open(made, sources[:1])
            with pytest.raises(NoRoomTogether, match="CTN_CACHE_BYTES"):
                await kinds[1].open(made, sources[1:])
            await first.close()
