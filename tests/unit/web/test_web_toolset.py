"""The web's tools as other workers take them up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from concertino.bus.memory import MemoryBus
from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Source, Subtask, Work
from concertino.model.extractive import Extractive
from concertino.runtime.settings import Settings
from concertino.web.politeness import Hosts
from concertino.web.tools import Web
from concertino.web.toolset import WEB
from concertino.worker import Context
from concertino.worker.toolsets import installed
from kit.site import Site, running


class Searching(Extractive):
    """Has a search of its provider's."""

    hosts = frozenset({"web_search"})


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("concertino.web.fetcher.Hosts", lambda: Hosts(0.0))
    with running(Site()) as server:
        server.pages["/zones"] = (200, {"Content-Type": "text/html"}, b"<main><h1>Zones</h1><p>Seven is shaded.</p></main>")
        yield server


def context(**brief: object) -> Context:
    subtask = Subtask(id="s1", kind="general", **{"objective": "Which is shaded?", **brief})  # type: ignore[arg-type]
    work = Work(task="t1", id="result.web.s1", attempt=1, request="?", brief=subtask, deadline=1.0)

    async def say(_: str, __: str) -> None:
        return None

    return Context(work, bus=MemoryBus(), model=Extractive(), settings=Settings(allow_networks="127.0.0.0/8"), say=say)


def pages(*urls: str) -> Sequence[Source]:
    return [Source(kind="web", location=url) for url in urls]


def test_it_is_installed_public_and_its_names_are_apart() -> None:
    assert installed()["web"] is WEB
    assert (WEB.public, WEB.sources) == (True, ("web",))
    names = [WEB.qualified(tool) for tool in WEB.abilities(Settings(search="searxng:https://s.example"), Extractive())]
    assert names == ["web_search", "web_fetch", "web_find"]
    assert list(WEB.abilities(Settings(), Extractive())) == ["fetch", "search"]
    assert list(WEB.abilities(Settings(), Searching())) == ["web_search", "fetch", "search"]


async def test_opened_it_holds_the_pages_that_are_named(site: Site) -> None:
    opened = await WEB.open(context(), pages(site.url("/zones"), site.url("/gone")))
    assert isinstance(opened, Web)
    assert [hit.passage.source for hit in (await opened.search("shaded")).hits] == [site.url("/zones")]
    assert [name for name, _ in opened.problems] == [site.url("/gone")]
    await opened.close()


async def test_what_holds_nothing_is_closed_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Web] = []
    close = Web.close

    async def told(web: Web) -> None:
        closed.append(web)
        await close(web)

    monkeypatch.setattr(Web, "close", told)
    with pytest.raises(SourceError, match="404"):
        await WEB.open(context(), pages(site.url("/gone")))
    assert len(closed) == 1
