"""A task on the web, from its request to its report: planner, worker and synthesizer, and a site on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from concertino.contracts.messages import OutcomeStatus, Source
from concertino.runtime.settings import Settings
from concertino.web.handler import worker
from kit.site import Site, running
from kit.team import Team, in_memory

HTML = {"Content-Type": "text/html"}


def page(title: str, text: str) -> bytes:
    return f"<html><head><title>{title}</title></head><body><main><h1>{title}</h1><p>{text}</p></main></body></html>".encode()


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as server:
        server.pages["/zones"] = (200, HTML, page("Garden zones", "Zone seven of the garden is shaded all day long."))
        server.pages["/metadata"] = (302, {"Location": "http://169.254.169.254/latest/"}, b"")
        server.pages["/robots.txt"] = (200, {}, b"User-agent: *\nDisallow: /private\n")
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(model="extractive", allow_networks="127.0.0.0/8", cache=str(tmp_path))


async def test_pages_that_are_named_are_read_cited_and_those_that_cannot_be_are_told(site: Site, settings: Settings) -> None:
    async with Team(in_memory(settings), settings, [worker]) as client:
        sources = [Source(kind="web", location=site.url(path)) for path in ("/zones", "/metadata", "/private")]
        outcome = await client.ask("Which zone of the garden is shaded?", sources=sources)
    assert outcome.status == OutcomeStatus.PARTIAL
    assert outcome.report is not None
    [citation, *_] = outcome.report.citations
    assert (citation.source, "shaded all day" in citation.quote) == (site.url("/zones"), True)
    assert "169.254.169.254 is a link-local or metadata address" in outcome.reason
    assert "robots.txt keeps robots out" in outcome.reason
    assert "/private" not in [path for path, _ in site.seen]


async def test_an_address_in_the_request_is_enough(site: Site, settings: Settings) -> None:
    async with Team(in_memory(settings), settings, [worker]) as client:
        outcome = await client.ask(f"Which zone of the garden is shaded? See {site.url('/zones')}.")
    assert outcome.status == OutcomeStatus.ANSWERED
    assert outcome.report is not None
    assert outcome.report.citations[0].source == site.url("/zones")


async def test_private_networks_are_not_read_unless_they_are_named(site: Site, tmp_path: Path) -> None:
    settings = Settings(model="extractive", cache=str(tmp_path))
    async with Team(in_memory(settings), settings, [worker]) as client:
        outcome = await client.ask("Which zone is shaded?", sources=[Source(kind="web", location=site.url("/zones"))])
    assert outcome.status == OutcomeStatus.FAILED
    assert "127.0.0.1 is no public address: CTN_ALLOW_NETWORKS can name" in outcome.reason
    assert site.seen == []
