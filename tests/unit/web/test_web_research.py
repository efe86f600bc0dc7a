"""A brief on the web, from its pages to its result: with a model that quotes, and with one that thinks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.contracts.errors import BadSetting, SourceError, Transient
from concertino.contracts.messages import Announcement, Result, ResultStatus, Source, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.model.extractive import Extractive
from concertino.model.extractive.readers import readers
from concertino.model.port import Answer, Claim, Findings, Hosted, Quote, Research
from concertino.runtime.settings import Settings
from concertino.web import handler
from concertino.web.politeness import Hosts
from concertino.web.seeds import MOST
from concertino.worker import Context
from kit.site import Site, running

HTML = {"Content-Type": "text/html"}
ZONES = b"<html><head><title>Zones</title></head><main><h1>Zones</h1><p>Zone seven is shaded all day long.</p></main></html>"
SOIL = b"<html><head><title>Soil</title></head><main><h1>Soil</h1><p>The soil of zone seven is sandy loam.</p></main></html>"


class Thinking:
    """A model that fetches what it likes and quotes the first passage of it."""

    name = "thinking"

    def __init__(self, *urls: str, hosts: frozenset[Hosted] = frozenset()) -> None:
        self.urls, self.hosts = urls, hosts
        self.jobs: list[Research] = []

    async def plan(self, job: Any) -> Any:
        raise NotImplementedError

    async def write(self, job: Any) -> Any:
        raise NotImplementedError

    async def research(self, job: Research) -> Answer[Findings]:
        self.jobs.append(job)
        claims = []
        for url in self.urls:
            try:
                passage = (await job.tools.call("fetch", url=url)).passages[0]
            except SourceError:
                continue
            claims.append(Claim("read", (Quote(passage.source, passage.text),), quality=1.0))
        return Answer(Findings(tuple(claims)))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("concertino.web.fetcher.Hosts", lambda: Hosts(0.0))
    with running(Site()) as server:
        server.pages["/zones"] = (200, HTML, ZONES)
        server.pages["/soil"] = (200, HTML, SOIL)
        yield server


async def ask(
    objective: str, *sources: str, request: str = "", model: Any = None, search: str = "", last: bool = False, **brief: Any
) -> Result:
    given = tuple(Source(kind="web", location=location) for location in sources)
    subtask = Subtask(id="s1", kind="web", objective=objective, **brief)
    work = Work(
        task="t1", id="result.web.s1", attempt=1, request=request or objective, brief=subtask, sources=given, deadline=1.0
    )
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))

    async def say(_: str, __: str) -> None:
        return None

    settings = Settings(allow_networks="127.0.0.0/8", search=search)
    context = Context(work, bus=bus, model=model or Extractive(), settings=settings, say=say, last_attempt=last)
    result = await handler.handle(subtask, context)
    assert isinstance(result, Result)
    return result


def searxng(site: Site, *paths: str) -> str:
    found = {"results": [{"url": site.url(path), "title": path, "content": "shaded"} for path in paths]}
    site.pages["/search"] = (200, {}, json.dumps(found).encode())
    return f"searxng:{site.url('')}"


async def test_pages_that_the_task_names_are_read_and_quoted(site: Site) -> None:
    result = await ask("Which zone is shaded?", site.url("/zones"), site.url("/soil"))
    finding = result.findings[0]
    assert "shaded all day" in finding.evidence[0].quote
    assert finding.evidence[0].source == site.url("/zones")
    assert finding.quality <= 0.7  # a place of unknown standing
    assert (result.status, result.notes, result.error) == (ResultStatus.COMPLETE, (), None)


@pytest.mark.parametrize("where", ["request", "objective", "starting_points"])
async def test_so_are_addresses_in_the_text(site: Site, where: str) -> None:
    address = site.url("/zones")
    brief: dict[str, Any] = {"request": "Which zone is shaded?"}
    objective = "Which zone is shaded?"
    match where:
        case "request":
            brief["request"] += f" See {address}."
        case "objective":
            objective += f" See {address}."
        case _:
            brief["starting_points"] = (f"begin at {address}",)
    result = await ask(objective, **brief)
    assert result.findings[0].evidence[0].source == address


async def test_a_named_page_that_cannot_be_read_makes_it_partial_and_is_told(site: Site) -> None:
    result = await ask("Which zone is shaded?", site.url("/zones"), site.url("/gone"))
    assert result.findings
    assert result.status is ResultStatus.PARTIAL
    assert result.error is not None
    assert (result.error.code, "/gone: the server says 404" in result.error.message) == ("source", True)
    assert result.notes == (f"not read: {site.url('/gone')}: the server says 404 Not Found: check the address",)


async def test_a_page_that_only_the_plan_suggested_is_a_note(site: Site) -> None:
    result = await ask("Which zone is shaded?", site.url("/zones"), starting_points=(site.url("/gone"),))
    assert (result.status, result.error) == (ResultStatus.COMPLETE, None)
    assert "/gone" in result.notes[0]


async def test_where_nothing_can_be_read_it_fails_and_is_tried_again_only_if_that_may_help(site: Site) -> None:
    site.pages["/no.png"] = (200, {"Content-Type": "image/png"}, b"\x89PNG\0")
    with pytest.raises(SourceError, match=r"/gone.*404.*; .*/no\.png: "):
        await ask("Which zone is shaded?", site.url("/gone"), site.url("/no.png"))
    site.pages["/busy"] = (503, {}, b"")
    with pytest.raises(Transient, match=r"/busy.*503"):
        await ask("Which zone is shaded?", site.url("/gone"), site.url("/busy"))
    with pytest.raises(SourceError, match=r"10\.0\.0\.1 is no public address"):
        await ask("Which zone is shaded?", "http://10.0.0.1/")


async def test_without_addresses_and_without_a_search_it_says_what_is_missing() -> None:
    for model in (Extractive(), Thinking()):
        with pytest.raises(SourceError, match=r"names no web address.*--url.*CTN_SEARCH"):
            await ask("Which zone is shaded?", model=model)


async def test_a_search_engine_finds_pages_for_a_model_that_does_not_search(site: Site) -> None:
    result = await ask("Which zone is shaded?", search=searxng(site, "/zones", "/gone", "/soil"))
    assert result.findings[0].evidence[0].source == site.url("/zones")
    assert result.status is ResultStatus.COMPLETE
    assert "/gone" in result.notes[0]


async def test_a_search_that_fails_costs_the_search(site: Site) -> None:
    search = searxng(site)
    site.pages["/search"] = (503, {}, b"")
    result = await ask("Which zone is shaded?", site.url("/zones"), search=search)
    assert result.findings
    assert result.notes == ("the web was not searched: SearXNG answers 503 Service Unavailable: the search may work later",)
    with pytest.raises(Transient, match="SearXNG answers 503"):
        await ask("Which zone is shaded?", search=search)
    site.pages["/search"] = (403, {}, b"")
    with pytest.raises(BadSetting, match=r"settings\.yml"):
        await ask("Which zone is shaded?", search=search)
    with pytest.raises(SourceError, match="the search named no page"):
        await ask("Which zone is shaded?", search=searxng(site))


async def test_a_model_that_thinks_has_the_tools_and_the_prompt(site: Site) -> None:
    model = Thinking(site.url("/soil"))
    result = await ask("Which zone is shaded?", model=model, search=searxng(site))
    [job] = model.jobs
    assert [spec.name for spec in job.tools.specs] == ["web_search", "fetch", "search"]
    assert job.hosted == frozenset()
    assert job.prompt is not None
    assert job.prompt.name.endswith("web")
    assert "never the only support" in job.prompt.text
    assert result.findings[0].evidence[0].source == site.url("/soil")
    assert result.findings[0].quality == 1.0  # it judged for itself


async def test_the_search_of_the_models_own_provider_comes_before_ours(site: Site) -> None:
    model = Thinking(site.url("/soil"), hosts=frozenset({"web_search"}))
    await ask("Which zone is shaded?", model=model, search=searxng(site))
    [job] = model.jobs
    assert (job.hosted, [spec.name for spec in job.tools.specs]) == (frozenset({"web_search"}), ["fetch", "search"])
    await ask("Which zone is shaded?", site.url("/zones"), model=model, tools=("fetch",))
    assert (model.jobs[1].hosted, [spec.name for spec in model.jobs[1].tools.specs]) == (frozenset(), ["fetch"])


async def test_a_model_that_searches_and_reads_nothing_says_why(site: Site) -> None:
    model = Thinking(site.url("/gone"), hosts=frozenset({"web_search"}))
    result = await ask("Which zone is shaded?", model=model)
    assert (result.status, result.findings) == (ResultStatus.PARTIAL, ())
    assert result.error is not None
    assert "404" in result.error.message


async def test_more_pages_than_a_brief_begins_with_are_told(site: Site) -> None:
    result = await ask("Which zone is shaded?", *[site.url(f"/zones?{i}") for i in range(MOST + 3)])
    assert result.findings
    assert result.error is not None
    assert "3 of the pages that were named were not fetched" in result.error.message


async def test_content_farms_are_worth_little_to_a_model_that_does_not_think(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concertino.web.pages.standing", lambda _: "content farm")
    result = await ask("Which zone is shaded?", site.url("/zones"))
    assert result.findings[0].quality == 0.2


# ------------------------------------------------------------------------------------------------------- what it announces


def announced(settings: Settings, model: Any) -> Announcement:
    basic = Announcement(kind="web", description=handler.READS, replica="r", tools=("fetch", "search"), sources=("web",))
    return handler.announced(basic, settings, model)


def test_it_announces_what_it_can_do_here(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = announced(Settings(), Extractive())
    assert "cannot search" in alone.description
    assert (alone.sources, alone.tools, set(alone.abilities)) == (("web",), ("fetch", "search"), {"fetch", "search"})
    assert alone.public == ("web", "fetch", "search")
    monkeypatch.setenv("BRAVE_API_KEY", "k")
    for able in (
        announced(Settings(search="brave"), Extractive()),
        announced(Settings(), Thinking(hosts=frozenset({"web_search"}))),
    ):
        assert "Searches the public web" in able.description
        assert (able.sources, able.tools, set(able.abilities)) == ((), ("web_search", "fetch", "search"), set(able.tools))


@pytest.mark.parametrize(
    ("settings", "says"),
    [(Settings(search="google"), "CTN_SEARCH"), (Settings(allow_networks="here"), "CTN_ALLOW_NETWORKS")],
)
def test_a_wrong_setting_is_told_at_the_start(settings: Settings, says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        announced(settings, Extractive())


# -------------------------------------------------------------------------------------------- whom the rules send to the web


def sent(request: str, *sources: Source, able: Announcement) -> dict[str, bool]:
    docs = Announcement(kind="docs", description="Reads documents.", replica="r", sources=("docs",))
    return {reader.kind: reader.natural for reader in readers([docs, able], sources, request)}


def test_the_rules_send_to_the_web_what_it_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAVE_API_KEY", "k")
    alone, able = announced(Settings(), Extractive()), announced(Settings(search="brave"), Extractive())
    page, manual = Source(kind="web", location="https://a.example/"), Source(kind="docs", location="/manual")
    assert sent("what?", able=alone) == {}
    assert sent("what?", able=able) == {"web": True}
    assert sent("what?", manual, able=alone) == {"docs": True}
    assert sent("what?", manual, able=able) == {"docs": True, "web": False}
    for one in (alone, able):
        assert sent("what does https://a.example/x say?", able=one) == {"web": True}
        assert sent("does https://a.example/x say so?", manual, able=one) == {"docs": True, "web": True}
        assert sent("what?", page, able=one) == {"web": True}
