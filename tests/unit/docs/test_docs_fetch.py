from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from docs_site import Site, running

from concertino.contracts.errors import SourceError, Transient
from concertino.docs.addresses import is_refused
from concertino.docs.fetch import fetch


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as server:
        yield server


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
    certificate = Path(__file__).with_name("docs_invalid.pem")  # for docs.invalid, with a key that protects nothing
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


@pytest.mark.parametrize(
    "address",
    [
        "169.254.0.1",
        "fe80::1%eth0",
        "febf::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
    ],
)
def test_every_spelling_of_a_refused_address(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.7", "192.168.1.1", "93.184.216.34", "::1", "2606:2800:220::1", "fd00::1"]
)
def test_private_and_public_addresses_are_fine(address: str) -> None:
    assert not is_refused(address)


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


@pytest.mark.parametrize("url", ["ftp://example.org/a", "http://", "https:///x", "http://[::1", "javascript://x"])
async def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(SourceError, match="give it as https"):
        await fetch(url)


async def test_nobody_listens_and_no_such_host(site: Site) -> None:
    with pytest.raises(Transient, match="no connection"):
        await fetch("http://127.0.0.1:1/")
    with pytest.raises((SourceError, Transient), match=r"no host|could not be resolved"):
        await fetch("http://there-is-no-such-host.invalid/")
