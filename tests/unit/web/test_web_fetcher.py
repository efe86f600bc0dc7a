"""Against a real server: what it lets robots read, how it wants to be treated, and what hostile ones try."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Sequence

import pytest

from concertino.contracts.errors import SourceError, Transient
from concertino.documents.addresses import networks
from concertino.web.fetcher import AGENT, Fetcher
from concertino.web.politeness import Hosts
from concertino.web.robots import KEPT_UNREACHABLE
from kit.site import Site, running

LOCAL = networks("127.0.0.0/8")


class Time:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Made:
    """A fetcher whose pauses take no time, and what they were."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.pauses: list[float] = []
        self.clock = Time()

        async def sleep(pause: float) -> None:
            self.pauses.append(round(pause, 2))
            self.clock.now += pause

        hosts = Hosts(0.0, self.clock, sleep)
        self.fetcher = Fetcher(LOCAL, hosts=hosts, seconds=seconds, most_bytes=100_000, clock=self.clock, resolve=local)

    async def fetch(self, url: str) -> bytes:
        return (await self.fetcher.fetch(url)).data


async def local(host: str, port: int) -> Sequence[str]:
    """Names are at home here, addresses are what they are."""
    return ["127.0.0.1"] if host.endswith(".example") else [host]


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as server:
        server.pages["/a"] = (200, {"Content-Type": "text/plain"}, b"a")
        yield server


def robots(site: Site, text: str, status: int = 200) -> None:
    site.pages["/robots.txt"] = (status, {}, text.encode())


def asked(site: Site) -> list[str]:
    return [path for path, _ in site.seen]


async def test_it_names_itself_and_asks_for_robots_txt_once(site: Site) -> None:
    made = Made()
    site.pages["/b"] = site.pages["/a"]
    assert await asyncio.gather(made.fetch(site.url("/a")), made.fetch(site.url("/b"))) == [b"a", b"a"]
    assert asked(site).count("/robots.txt") == 1
    assert {headers["User-Agent"] for _, headers in site.seen} == {AGENT}
    assert AGENT.startswith("Concertino/")


async def test_what_robots_may_not_read_is_not_asked_for(site: Site) -> None:
    robots(site, "User-agent: *\nDisallow: /\n\nUser-agent: concertino\nDisallow: /a\nAllow: /a/open\n")
    made = Made()
    with pytest.raises(SourceError, match=r"/a: its host's robots\.txt keeps robots out"):
        await made.fetch(site.url("/a"))
    site.pages["/a/open"] = site.pages["/b"] = site.pages["/a"]
    assert await made.fetch(site.url("/a/open")) == await made.fetch(site.url("/b")) == b"a"
    assert "/a" not in asked(site)


async def test_a_redirect_into_what_robots_may_not_read_is_not_followed(site: Site) -> None:
    robots(site, "User-agent: *\nDisallow: /a\n")
    site.pages["/go"] = (302, {"Location": "/a"}, b"")
    with pytest.raises(SourceError, match=r"/go: .*/a: its host's robots\.txt"):
        await Made().fetch(site.url("/go"))
    assert "/a" not in asked(site)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_no_robots_txt_forbids_nothing(site: Site, status: int) -> None:
    robots(site, "User-agent: *\nDisallow: /", status)
    assert await Made().fetch(site.url("/a")) == b"a"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_host_that_cannot_say_is_left_alone_for_a_while(site: Site, status: int) -> None:
    robots(site, "", status)
    made = Made()
    for _ in range(2):
        with pytest.raises(Transient, match=rf"/a: what its host lets robots read cannot be seen.*{status}"):
            await made.fetch(site.url("/a"))
    assert asked(site) == ["/robots.txt"]
    robots(site, "")
    made.clock.now += KEPT_UNREACHABLE
    assert await made.fetch(site.url("/a")) == b"a"


async def test_robots_txt_may_be_elsewhere_huge_or_rubbish(site: Site) -> None:
    site.pages["/robots.txt"] = (301, {"Location": "/r"}, b"")
    site.pages["/r"] = (200, {}, b"User-agent: *\nDisallow: /a\n" + b"# \xff\x00 padding\n" * 100_000)
    with pytest.raises(SourceError, match="keeps robots out"):
        await Made().fetch(site.url("/a"))
    site.pages["/r"] = (302, {"Location": "/r"}, b"")
    assert await Made().fetch(site.url("/a")) == b"a"


async def test_rules_of_hosts_not_met_for_long_are_forgotten(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr("concertino.web.robots._MANY", 2)
    made = Made()
    for host in ("a.example", "b.example", "c.example", "c.example", "a.example"):
        made.clock.now += 301
        await made.fetch(site.url("/a", host=host))
    assert asked(site).count("/robots.txt") == 4
    assert len(made.fetcher._robots._asking) <= 3


async def test_hosts_set_the_pace(site: Site) -> None:
    robots(site, "User-agent: *\nCrawl-delay: 3\n")
    site.pages["/b"] = site.pages["/a"]
    made = Made()
    await made.fetch(site.url("/a"))
    await made.fetch(site.url("/b"))
    assert made.pauses == [3.0]


async def test_retry_after_is_kept_to(site: Site) -> None:
    site.pages["/busy"] = (429, {"Retry-After": "7"}, b"")
    site.pages["/long"] = (503, {"Retry-After": "3600"}, b"")
    made = Made()
    with pytest.raises(Transient, match="429"):
        await made.fetch(site.url("/busy"))
    assert await made.fetch(site.url("/a")) == b"a"
    assert made.pauses == [7.0]
    with pytest.raises(Transient, match="503"):
        await made.fetch(site.url("/long"))
    site.pages["/b"] = site.pages["/a"]
    with pytest.raises(Transient, match="left alone for another 3600 s"):
        await made.fetch(site.url("/b"))
    assert "/b" not in asked(site)


async def test_a_page_is_fetched_once_in_some_minutes(site: Site) -> None:
    made = Made()
    for _ in range(2):
        assert await made.fetch(site.url("/a#part")) == b"a"
    assert asked(site).count("/a") == 1
    made.clock.now += 301
    await made.fetch(site.url("/a"))
    assert asked(site).count("/a") == 2


@pytest.mark.parametrize(
    "target",
    [
        *("http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://10.0.0.1/", "http://[::1]/"),
        *("http://100.100.100.200/", "http://0.0.0.0/"),
    ],
)
async def test_a_redirect_leads_nowhere_private(site: Site, target: str) -> None:
    site.pages["/a"] = (302, {"Location": target}, b"")
    with pytest.raises(SourceError, match=r"link-local or metadata|no public address"):
        await Made().fetch(site.url("/a"))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:text/html,x", "javascript:1", "//127.0.0.1/a", "http://"]
)
async def test_only_the_web_is_fetched(url: str) -> None:
    with pytest.raises(SourceError, match="give it as https"):
        await Made().fetch(url)


async def test_redirects_without_end(site: Site) -> None:
    for i in range(10):
        site.pages[f"/r{i}"] = (302, {"Location": f"/r{i + 1}"}, b"")
    with pytest.raises(SourceError, match="/r0: over 5 redirects"):
        await Made().fetch(site.url("/r0"))


async def test_a_bomb_and_a_page_that_never_ends(site: Site) -> None:
    site.pages["/bomb"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 20_000_000))
    site.pages["/slow"] = (200, {}, b"")
    with pytest.raises(SourceError, match="over the limit"):
        await Made().fetch(site.url("/bomb"))
    with pytest.raises(Transient, match=r"/slow: no whole answer within 0\.3 s"):
        await Made(seconds=0.3).fetch(site.url("/slow"))


async def test_no_cookie_is_kept_and_no_credential_goes_astray(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", __file__)
    site.pages["/in"] = (302, {"Location": site.url("/a", host="other.example"), "Set-Cookie": "a=b"}, b"")
    made = Made()
    await made.fetch(site.url("/in", host="some.example").replace("http://", "http://me:geheim@"))
    authorised = {(headers["Host"].partition(":")[0], path) for path, headers in site.seen if "Authorization" in headers}
    assert authorised <= {("some.example", "/robots.txt"), ("some.example", "/in")}
    assert ("some.example", "/in") in authorised
    assert not any("Cookie" in headers for _, headers in site.seen)


async def test_nobody_there(site: Site) -> None:
    with pytest.raises(Transient, match="no connection"):
        await Made().fetch("http://127.0.0.1:1/a")


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (b"\x00\xff rubbish\r\n\r\n", Transient, "no whole answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut", Transient, "no whole answer"),
        (b"", Transient, "no whole answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 500_000, Transient, "no whole answer"),
        (b"HTTP/1.1 302 x\r\nLocation: http://[::1\r\n\r\n", SourceError, "no address"),
        (b"HTTP/1.1 302 x\r\nLocation: https:\r\n\r\n", SourceError, "cannot be fetched"),
        (b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:99999/\r\n\r\n", SourceError, "cannot be fetched"),
        (b"HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n", SourceError, "the server says 302"),
        (b"HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", Transient, "the server says 999"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Transient, "no whole answer"),
    ],
)
async def test_a_server_that_speaks_strangely(answer: bytes, error: type[Exception], says: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n" if asked.startswith(b"GET /robots") else answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        with pytest.raises(error, match=says):
            await Made().fetch(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a")
