from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from concertino.contracts.errors import ConcertinoError, Invalid, Refused, SourceError
from concertino.contracts.messages import Passage
from concertino.documents.addresses import networks
from concertino.documents.fetch import Fetched
from concertino.web import pages, tools
from concertino.web.fetcher import Fetcher
from concertino.web.pages import LONGEST_PASSAGE, MOST_CHARACTERS, read
from concertino.web.politeness import Hosts
from concertino.web.providers import Hit
from concertino.web.tools import MOST_PAGES, Web
from concertino.worker.tools import Toolbox
from kit.samples import pdf
from kit.site import Site, running

HTML = {"Content-Type": "text/html"}
GUIDE = b"""<html><head><title>Zones</title><meta property="article:published_time" content="2023-11-01"></head>
<body><main><h1>Zones</h1><h2 id=z>Seven</h2><p>Zone seven is shaded all day.</p></main></body></html>"""
NOW = datetime(2026, 11, 21, tzinfo=UTC).timestamp()


class Engine:
    name = "engine"

    def __init__(self, *hits: Hit) -> None:
        self.hits = hits

    async def search(self, query: str, limit: int) -> list[Hit]:
        return list(self.hits[:limit])


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as server:
        server.pages["/guide"] = (200, HTML, GUIDE)
        yield server


def made(*hits: Hit) -> Web:
    fetcher = Fetcher(networks("127.0.0.0/8"), hosts=Hosts(0.0))
    return Web(fetcher, Engine(*hits) if hits else None, now=lambda: NOW)


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    web = made()
    yield web
    await web.close()


async def test_a_page_comes_as_passages_with_what_is_to_be_known_of_it(site: Site, web: Web) -> None:
    found = await web.fetch(site.url("/guide#z"))
    about = found.page
    assert (about.url, about.title, about.published, about.age) == (site.url("/guide"), "Zones", "2023-11-01", "3 years old")
    assert (about.standing, found.part, found.parts, found.more) == ("unknown", 1, 1, "")
    [passage] = found.passages
    assert (passage.source, passage.locator.fragment) == (site.url("/guide"), "z")
    assert "shaded all day" in passage.text


async def test_search_looks_into_what_was_fetched_and_says_where_it_is_from(site: Site, web: Web) -> None:
    assert (await web.search("shaded")).hits == ()
    site.pages["/b.md"] = (200, {}, b"# Other\n\nNothing of that sort.\n")
    await web.get_all([site.url("/guide"), site.url("/b.md")])
    found = await web.search("shaded zone")
    assert found.hits[0].passage.source == site.url("/guide")
    assert found.pages[0].age == "3 years old"
    assert len(web) == 2


async def test_long_pages_are_read_on_part_by_part(site: Site, web: Web) -> None:
    site.pages["/long"] = (200, HTML, b"<main>" + b"".join(b"<h2>H%d</h2><p>%s</p>" % (i, b"word " * 300) for i in range(60)))
    first = await web.fetch(site.url("/long"))
    assert first.parts > 2
    assert first.more == f"part 2 of {first.parts}: fetch(url={site.url('/long')!r}, part=2)"
    parts = [first, *[await web.fetch(site.url("/long"), part=n) for n in range(2, first.parts + 1)]]
    assert parts[-1].more == ""
    assert [p.title for part in parts for p in part.passages] == [f"H{i}" for i in range(60)]
    with pytest.raises(Invalid, match="parts 1 to"):
        await web.fetch(site.url("/long"), part=99)
    assert [path for path, _ in site.seen].count("/long") == 1


async def test_where_a_redirect_ends_is_the_source_and_one_page(site: Site, web: Web) -> None:
    site.pages["/old"] = (301, {"Location": "/guide"}, b"")
    for path in ("/old", "/guide", "/old"):
        assert (await web.fetch(site.url(path))).page.url == site.url("/guide")
    assert len(web) == 1


async def test_what_cannot_be_read_is_remembered_with_its_reason(site: Site, web: Web) -> None:
    site.pages["/drawn"] = (200, HTML, b"<html><body><div id=app></div><script>draw()</script></body></html>")
    site.pages["/png"] = (200, {"Content-Type": "image/png"}, b"\x89PNG\r\n\0\0")
    await web.get_all([site.url("/gone"), site.url("/drawn"), site.url("/png"), "gopher://x/", site.url("/guide")])
    problems = dict(web.problems)
    assert "404" in problems[site.url("/gone")]
    assert "drawn by scripts" in problems[site.url("/drawn")]
    assert "it is image/png" in problems[site.url("/png")]
    assert "no web address" in problems["gopher://x/"]
    assert len(web) == 1
    site.pages["/gone"] = site.pages["/guide"]
    await web.get(site.url("/gone"))
    assert site.url("/gone") not in dict(web.problems)


async def test_pages_that_come_too_late_are_left_behind(site: Site, web: Web) -> None:
    site.pages["/slow"] = (200, {}, b"")
    with running(Site()) as other:
        other.pages["/guide"] = site.pages["/guide"]
        await web.get(other.url("/guide"))
        await web.get_all([other.url("/guide"), site.url("/slow")], seconds=0.3)
        assert web.problems == [
            (site.url("/slow"), "it did not come within 0.3 s, together with the others: try it again by itself")
        ]
        assert len(web) == 1


async def test_a_brief_asks_for_so_many_pages_and_no_more(site: Site, web: Web) -> None:
    await web.get_all(site.url(f"/none{i}") for i in range(MOST_PAGES))
    with pytest.raises(Refused, match="may ask for no more"):
        await web.fetch(site.url("/guide"))
    assert len([path for path, _ in site.seen if path != "/robots.txt"]) == MOST_PAGES


async def test_addresses_with_secrets_are_not_the_models_to_use(site: Site, web: Web) -> None:
    with pytest.raises(Invalid, match="leave user and password out"):
        await web.fetch(site.url("/guide").replace("//", "//me:geheim@"))
    assert not site.seen


async def test_credentials_of_a_source_are_used_and_shown_nowhere(site: Site, web: Web) -> None:
    await web.get(site.url("/guide").replace("//", "//me:geheim@"))
    assert site.seen[-1][1]["Authorization"].startswith("Basic ")
    assert (await web.fetch(site.url("/guide"))).page.url == site.url("/guide")
    assert "geheim" not in repr(await web.search("zone"))


async def test_a_page_that_takes_for_ever_to_read_costs_that_page(
    site: Site, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "READING_SECONDS", 0.0)
    with pytest.raises(Refused, match="no page made for reading"):
        await web.fetch(site.url("/guide"))


async def test_the_web_is_searched_only_where_something_searches(site: Site) -> None:
    farm, page = Hit("https://www.ehow.com/x", "X", "all about x", "2019"), Hit(site.url("/guide"), "Zones")
    web = made(farm, page, farm, Hit("javascript:alert(1)", "no"))
    await web.get(page.url)
    found = await web.web_search("x")
    assert [(f.url, f.standing, f.fetched) for f in found] == [(farm.url, "content farm", False), (page.url, "unknown", True)]
    assert [tool.__name__ for tool in web.tools()] == ["web_search", "fetch", "search"]
    await web.close()
    none = made()
    assert [tool.__name__ for tool in none.tools()] == ["fetch", "search"]
    await none.close()


async def test_snippets_are_not_seen_and_pages_are(site: Site) -> None:
    seen: list[Passage] = []
    web = made(Hit(site.url("/guide"), "Zones", "Zone seven is shaded"))
    toolbox = Toolbox(on_seen=seen.append)
    toolbox.add(*web.tools())
    await toolbox.call("web_search", query="zone")
    assert seen == []
    await toolbox.call("fetch", url=site.url("/guide"))
    assert [p.source for p in seen] == [site.url("/guide")]
    assert all(len(spec.description) > 100 for spec in toolbox.specs)
    await web.close()


# ---------------------------------------------------------------------------------------------------------------- pages


def fetched(data: bytes, content_type: str, path: str = "x", charset: str | None = None) -> Fetched:
    return Fetched(f"https://x.example/{path}", data, content_type, charset)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (fetched(pdf(["The warranty lasts two years."]), "application/pdf"), "warranty lasts two years"),
        (fetched(b"# Zones\n\nShaded.\n", "text/markdown"), "Shaded."),
        (fetched(b'{"version":"1.2","of":["a"]}', "application/json"), '"version": "1.2",'),
        (fetched(b'{"version":', "application/json"), '{"version":'),
        (fetched(b"<feed><title>News</title></feed>", "application/atom+xml"), "<title>News</title>"),
        (fetched(b"name,age\nA,3\n", "text/csv", "x.csv"), "A,3"),
        (fetched("Größe".encode("latin-1"), "text/html", charset="iso-8859-1"), "Größe"),
        (fetched(b"<meta charset=latin1><p>Gr\xf6\xdfe", "text/html", charset="no-such-charset"), "Größe"),
        (fetched("<p>Größe".encode(), "text/html", charset="punycode"), "Größe"),
        (fetched("<p>Größe".encode(), "text/html", charset="undefined"), "Größe"),
        (fetched("<p>Größe".encode("utf-16"), "text/html", charset="utf-16"), "Größe"),
    ],
)
def test_every_kind_of_page_is_read(page: Fetched, text: str) -> None:
    found = read(page)
    assert any(text in p.text for p in found.passages)
    assert {p.source for p in found.passages} == {page.url}


def test_one_endless_line_is_cut_and_its_places_stay_true() -> None:
    found = read(fetched(b"a\n\nb " + b"x" * 50_000 + b"\n\nend", "text/plain"))
    assert max(len(p.text) for p in found.passages) <= LONGEST_PASSAGE
    assert {p.locator.lines for p in found.passages if "xxx" in p.text} <= {(1, 3), (3, 3), (3, 5)}
    html = read(fetched(b"<p>" + b"word " * 1_000_000, "text/html"))
    assert max(len(p.text) for p in html.passages) <= LONGEST_PASSAGE
    assert sum(len(p.text) for p in html.passages) <= MOST_CHARACTERS + LONGEST_PASSAGE


def test_huge_documents_are_cut_and_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_CHARACTERS", 20_000)
    monkeypatch.setattr(pages, "MOST_PASSAGES", 50)
    for data, kind in (
        (b"word\n" * 6_000, "text/plain"),
        (b"# a\n" * 6_000, "text/markdown"),
        (b'{"a":[' + b'{"b":1},' * 3_000 + b"1]}", "application/json"),
        (b"<p>" + b"word " * 6_000, "text/html"),
        (b"<h2>a</h2><p>b</p>" * 100, "text/html"),
    ):
        found = read(fetched(data, kind))
        assert found.cut
        assert len(found.passages) <= 50
        assert sum(len(p.text) for p in found.passages) <= 20_000 + LONGEST_PASSAGE
    assert not read(fetched(b"word\n" * 1_000, "text/plain")).cut
    assert not read(fetched(b"[" * 19_000, "application/json")).cut  # too deep for a parser, and still text


@pytest.mark.parametrize(
    "page",
    [
        fetched(b"", "text/html"),
        fetched(b"   \n", "text/plain"),
        fetched(b"\x00\x01\x02" * 100, "application/octet-stream"),
        fetched(b"\x00\x01\x02" * 100, "text/html"),
        fetched(b"%PDF-1.4 broken", "application/pdf"),
        fetched(b"<div>" * 5_000 + b"deep", "text/html"),
        fetched(b"<html><head><meta http-equiv=refresh content='0; url=/b'></head></html>", "text/html"),
    ],
)
def test_what_holds_nothing_to_read_is_named(page: Fetched) -> None:
    with pytest.raises(SourceError, match=r"https://x\.example/x: "):
        read(page)


async def test_every_failure_is_one_that_a_model_can_be_told(site: Site, web: Web) -> None:
    for url in ("", " ", "x", "http://[", "http://a b/", "http://\x00/", "https://" + "a" * 5_000, "http://127.0.0.1:99999/"):
        with pytest.raises(ConcertinoError):
            await web.fetch(url)
