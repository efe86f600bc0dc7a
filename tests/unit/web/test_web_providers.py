"""The search engines, against a server that answers in their formats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from concertino.contracts.errors import BadSetting, ConcertinoError, Invalid, Transient
from concertino.web.providers import Hit, Provider, provider
from concertino.web.providers.port import LONGEST_QUERY, MOST_BYTES
from kit.site import Site, running

KEYS = {"BRAVE_API_KEY": "brave-key", "TAVILY_API_KEY": "tavily-key"}
PATHS = {"searxng": "/search", "brave": "/res/v1/web/search", "tavily": "/search"}
ANSWERS: dict[str, dict[str, Any]] = {
    "searxng": {
        "query": "q",
        "number_of_results": 0,
        "results": [
            {
                "url": "https://a.example/",
                "title": "A",
                "content": "about a",
                "publishedDate": "2024-05-01T00:00:00",
                "score": 1.0,
            },
            {"url": "https://b.example/", "title": None, "content": None, "publishedDate": None, "engines": ["x"]},
            {"title": "an answer without an address"},
        ],
        "unresponsive_engines": [["x", "timeout"]],
    },
    "brave": {
        "type": "search",
        "web": {
            "type": "search",
            "results": [
                {
                    "url": "https://a.example/",
                    "title": "A",
                    "description": "<strong>about</strong> a",
                    "age": "May 1, 2024",
                    "page_age": "2024-05-01T00:00:00",
                    "profile": {"name": "x"},
                },
                {"url": "https://b.example/", "title": "", "is_live": False},
            ],
        },
    },
    "tavily": {
        "query": "q",
        "answer": None,
        "results": [
            {
                "url": "https://a.example/",
                "title": "A",
                "content": "about a",
                "published_date": "2024-05-01T00:00:00",
                "score": 0.9,
            },
            {"url": "https://b.example/", "title": "", "content": "", "score": 0.1, "raw_content": None},
        ],
        "response_time": 1.2,
    },
}


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as server:
        yield server


def engine(site: Site, name: str) -> Provider:
    made = provider(f"{name}:{site.url('')}", KEYS)
    assert made is not None
    return made


def answers(site: Site, name: str, data: bytes | None = None, status: int = 200) -> None:
    body = json.dumps(ANSWERS[name]).encode() if data is None else data
    site.pages[PATHS[name]] = (status, {"Content-Type": "application/json"}, body)


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_an_engine_says_becomes_hits(site: Site, name: str) -> None:
    answers(site, name)
    hits = await engine(site, name).search("q", 10)
    assert hits == [Hit("https://a.example/", "A", "about a", "2024-05-01T00:00:00"), Hit("https://b.example/")]
    assert await engine(site, name).search("q", 1) == hits[:1]


async def test_each_is_asked_in_its_own_way(site: Site) -> None:
    for name in ANSWERS:
        answers(site, name)
        await engine(site, name).search("  one \n two ", 7)
    (searxng, _), (brave, brave_headers), (tavily, tavily_headers) = site.seen
    assert parse_qs(urlsplit(searxng).query) == {"q": ["one two"], "format": ["json"]}
    assert parse_qs(urlsplit(brave).query) == {"q": ["one two"], "count": ["7"]}
    assert brave_headers["X-Subscription-Token"] == "brave-key"
    assert (tavily, tavily_headers["Authorization"]) == ("/search", "Bearer tavily-key")
    assert json.loads(site.bodies[0]) == {"query": "one two", "max_results": 7, "search_depth": "basic"}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(
    ("status", "error"), [(429, Transient), (503, Transient), (401, BadSetting), (403, BadSetting), (302, BadSetting)]
)
async def test_an_engine_that_turns_it_down(site: Site, name: str, status: int, error: type[ConcertinoError]) -> None:
    answers(site, name, b"", status)
    with pytest.raises(error, match=str(status)) as e:
        await engine(site, name).search("q", 10)
    assert not any(key in str(e.value) for key in KEYS.values())


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(
    "data", [b"<html>no json</html>", b"", b"[1]", b'{"results": 1, "web": 1}', b'{"a": "' + b"x" * MOST_BYTES]
)
async def test_what_is_not_its_format_is_told(site: Site, name: str, data: bytes) -> None:
    answers(site, name, data)
    with pytest.raises(BadSetting, match="does not answer in its format"):
        await engine(site, name).search("q", 10)


async def test_no_results_is_no_error(site: Site) -> None:
    for name in ANSWERS:
        answers(site, name, b"{}")
        assert await engine(site, name).search("q", 10) == []


async def test_nobody_there_and_nothing_asked() -> None:
    gone = provider("searxng:http://127.0.0.1:1")
    assert gone is not None
    with pytest.raises(Transient, match="SearXNG cannot be reached"):
        await gone.search("q", 10)
    with pytest.raises(Invalid, match="give the words"):
        await gone.search(" \n", 10)


async def test_long_queries_and_long_hits_are_bounded(site: Site) -> None:
    page = {
        "results": [{"url": "https://a.example/", "title": "t" * 9_000, "content": "c" * 9_000, "publishedDate": "d" * 900}]
    }
    answers(site, "searxng", json.dumps(page).encode())
    [hit] = await engine(site, "searxng").search("word " * 1_000, 10)
    assert len(hit.title) + len(hit.snippet) + len(hit.published) < 1_000
    assert len(parse_qs(urlsplit(site.seen[0][0]).query)["q"][0]) <= LONGEST_QUERY


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ("google", "names no search engine"),
        ("searxng", "names no search engine"),
        ("searxng:ftp://x", "CTN_SEARCH: .*is no web address"),
        ("brave", "set BRAVE_API_KEY"),
        ("tavily", "set TAVILY_API_KEY"),
    ],
)
def test_a_setting_that_names_none_says_what_to_do(search: str, says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        provider(search, {})


def test_none_where_none_is_set() -> None:
    assert provider("", KEYS) is None
    assert provider("brave", KEYS) is not None
