from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from concertino.contracts.errors import SourceError, Transient
from concertino.documents import fetch as fetching
from concertino.documents.addresses import networks
from concertino.documents.fetch import Fetched
from kit.site import Site, running


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as server:
        yield server


async def fetch(url: str, **limits: Any) -> Fetched:
    return await fetching.fetch(url, allowed=networks("127.0.0.0/8,::1/128"), **limits)


def at(*addresses: str):  # type: ignore[no-untyped-def]
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def test_a_page_with_its_type_and_charset(site: Site) -> None:
    site.pages["/a"] = (200, {"Content-Type": "Text/HTML; charset=ISO-8859-1"}, b"<p>x")
    got = await fetch(site.url("/a#part"))
    assert (got.url, got.data, got.content_type) == (site.url("/a"), b"<p>x", "text/html")
    assert (got.charset or "").lower() == "iso-8859-1"


async def test_it_connects_to_the_address_it_checked_and_asks_for_the_name(site: Site) -> None:
    site.pages["/a"] = (200, {}, b"here")
    url = site.url("/a", host="docs.invalid")
    assert (await fetch(url, resolve=at("127.0.0.1"))).data == b"here"
    assert site.seen[0][1]["Host"] == f"docs.invalid:{site.server_address[1]}"


async def test_the_next_address_is_tried_where_one_does_not_answer(site: Site) -> None:
    site.pages["/a"] = (200, {}, b"here")
    assert (await fetch(site.url("/a", host="two.invalid"), resolve=at("::1", "127.0.0.1"))).data == b"here"


async def test_the_certificate_is_checked_against_the_name_not_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = Path(__file__).with_name("invalid.pem")  # for docs.invalid, with a key that protects nothing
    with running(Site(certificate=certificate)) as site:
        site.pages["/a"] = (200, {}, b"here")
        url = site.url("/a", host="docs.invalid").replace("http:", "https:")
        with pytest.raises(SourceError, match="certificate is not valid"):
            await fetch(url, resolve=at("127.0.0.1"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert (await fetch(url, resolve=at("127.0.0.1"))).data == b"here"
        with pytest.raises(SourceError, match="certificate is not valid"):
            await fetch(url.replace("docs.", "other."), resolve=at("127.0.0.1"))


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (404, SourceError, "check the address"),
        (410, SourceError, "check the address"),
        (401, SourceError, "save it and give the file"),
        (403, SourceError, "save it and give the file"),
        (418, SourceError, "open it in a browser"),
        (204, SourceError, "open it in a browser"),
        (429, Transient, "try again later"),
        (503, Transient, "try again later"),
    ],
)
async def test_every_status_says_what_to_do(site: Site, status: int, error: type[Exception], advice: str) -> None:
    site.pages["/s"] = (status, {}, b"")
    with pytest.raises(error, match=f"{status}.*{advice}"):
        await fetch(site.url("/s"))


async def test_redirects_are_followed_but_not_for_ever(site: Site) -> None:
    site.pages["/old"] = (301, {"Location": "/new"}, b"")
    site.pages["/new"] = (200, {}, b"new")
    site.pages["/loop"] = (302, {"Location": "/loop"}, b"")
    assert (await fetch(site.url("/old"))).url == site.url("/new")
    with pytest.raises(SourceError, match="redirects"):
        await fetch(site.url("/loop"))


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/"])
async def test_metadata_is_refused_after_a_redirect(site: Site, target: str) -> None:
    site.pages["/a"] = (302, {"Location": target}, b"")
    with pytest.raises(SourceError, match="link-local or metadata"):
        await fetch(site.url("/a"))


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/"])
async def test_a_redirect_does_not_leave_the_web(site: Site, location: str) -> None:
    site.pages["/a"] = (302, {"Location": location}, b"")
    with pytest.raises(SourceError, match="cannot be fetched"):
        await fetch(site.url("/a"))


async def test_metadata_is_refused_behind_a_name_even_beside_good_addresses() -> None:
    with pytest.raises(SourceError, match="link-local or metadata"):
        await fetch("http://metadata.invalid/", resolve=at("127.0.0.1", "169.254.169.254"))
    with pytest.raises(SourceError, match="link-local or metadata"):
        await fetch("http://2852039166/")  # the same address as a number


async def test_the_second_answer_of_a_name_is_never_asked_for(site: Site) -> None:
    site.pages["/a"] = (200, {}, b"here")
    answers = [["127.0.0.1"], ["169.254.169.254"]]

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    assert (await fetch(site.url("/a", host="rebinding.invalid"), resolve=rebinding)).data == b"here"
    assert len(answers) == 1
    with pytest.raises(SourceError, match="link-local or metadata"):
        await fetch(site.url("/a", host="rebinding.invalid"), resolve=rebinding)


async def test_a_redirect_to_its_own_name_is_checked_anew(site: Site) -> None:
    site.pages["/a"] = (302, {"Location": "/b"}, b"")
    site.pages["/b"] = (200, {}, b"secret")
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    with pytest.raises(SourceError, match=r"is at 10\.0\.0\.1, no public address"):
        await fetch(site.url("/a", host="rebinding.invalid"), resolve=rebinding)


async def test_behind_a_proxy_what_is_known_here_is_refused_here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is the site: it answers whatever is asked of it."""
    monkeypatch.setenv("http_proxy", site.url(""))
    monkeypatch.setenv("no_proxy", "")

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise SourceError(f"there is no host {host!r}")

    site.pages["http://public.example/a"] = (200, {}, b"by proxy")
    assert (await fetching.fetch("http://public.example/a", resolve=unknown)).data == b"by proxy"
    for url in ("http://127.0.0.1/a", "http://2130706433/a", "http://0x7f.1/a", "http://[::ffff:10.0.0.1]/a"):
        with pytest.raises(SourceError, match="no public address"):
            await fetching.fetch(url)
    for host in ("intranet", "metadata.google.internal", "LOCALHOST.", "db.corp"):
        with pytest.raises(SourceError, match="private network"):
            await fetching.fetch(f"http://{host}/a", resolve=unknown)
    with pytest.raises(SourceError, match="no public address"):
        await fetching.fetch("http://public.example/a", resolve=at("192.168.0.1"))
    assert [path for path, _ in site.seen] == ["http://public.example/a"]


async def test_nothing_is_set_and_nothing_kept_between_two_hops(site: Site) -> None:
    site.pages["/a"] = (302, {"Location": "/b", "Set-Cookie": "who=you; Path=/"}, b"")
    site.pages["/b"] = (200, {}, b"")
    await fetch(site.url("/a"))
    assert "Cookie" not in site.seen[1][1]


async def test_credentials_stay_with_their_origin(site: Site) -> None:
    with running(Site()) as other:
        site.pages["/a"] = (302, {"Location": "/b"}, b"")
        site.pages["/b"] = (302, {"Location": other.url("/c").replace("http://", "http://server:choice@")}, b"")
        other.pages["/c"] = (200, {}, b"there")
        got = await fetch(site.url("/a").replace("http://", "http://user:geheim@"))
        assert (got.url, got.data) == (other.url("/c"), b"there")
        assert [("Authorization" in headers) for _, headers in site.seen] == [True, True]
        assert "Authorization" not in other.seen[0][1]


async def test_a_slow_body_is_given_up(site: Site) -> None:
    site.pages["/slow"] = (200, {}, b"")
    with pytest.raises(Transient, match=r"within 0\.2 s"):
        await fetch(site.url("/slow"), seconds=0.2)


async def test_too_much_is_refused(site: Site) -> None:
    site.pages["/big"] = (200, {}, b"x" * 2_000)
    with pytest.raises(SourceError, match="limit of 1999 bytes"):
        await fetch(site.url("/big"), most_bytes=1_999)
    assert len((await fetch(site.url("/big"), most_bytes=2_000)).data) == 2_000


async def test_gzip_is_unpacked_and_a_gzip_bomb_is_not(site: Site) -> None:
    gzipped = {"Content-Encoding": "gzip"}
    site.pages["/good"] = (200, gzipped, gzip.compress(b"text" * 1_000))
    site.pages["/bomb"] = (200, gzipped, gzip.compress(b"\0" * 30_000_000))
    site.pages["/cut"] = (200, gzipped, gzip.compress(b"text" * 1_000)[:-20])
    site.pages["/no"] = (200, gzipped, b"not gzip at all")
    site.pages["/br"] = (200, {"Content-Encoding": "br"}, b"x")
    assert (await fetch(site.url("/good"))).data == b"text" * 1_000
    tracemalloc.start()
    with pytest.raises(SourceError, match="over the limit"):
        await fetch(site.url("/bomb"), most_bytes=10_000)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    for path, advice in (("/cut", "cut off"), ("/no", "damaged")):
        with pytest.raises(Transient, match=advice):
            await fetch(site.url(path))
    with pytest.raises(SourceError, match="'br'"):
        await fetch(site.url("/br"))


async def test_credentials_are_used_and_never_shown(site: Site) -> None:
    site.pages["/a"] = (200, {}, b"here")
    url = site.url("/a").replace("http://", "http://user:geheim@")
    assert (await fetch(url)).url == site.url("/a")
    assert site.seen[0][1]["Authorization"].startswith("Basic ")
    with pytest.raises(SourceError) as e:
        await fetch(url.replace("/a", "/gone"))
    assert "geheim" not in str(e.value)


@pytest.mark.parametrize(
    "url", ["ftp://example.org/a", "http://", "https:///x", "http://[::1", "javascript://x", "http://127.0.0.1:99999/"]
)
async def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(SourceError, match="give it as https"):
        await fetch(url)


async def test_nobody_listens_and_no_such_host(site: Site) -> None:
    with pytest.raises(Transient, match="no connection"):
        await fetch("http://127.0.0.1:1/")
    with pytest.raises((SourceError, Transient), match=r"no host|could not be resolved"):
        await fetch("http://there-is-no-such-host.invalid/")
