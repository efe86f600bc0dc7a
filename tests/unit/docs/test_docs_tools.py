from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from concertino.contracts.errors import Invalid, SourceError, Transient
from concertino.contracts.messages import Locator, Passage, Source
from concertino.docs import corpus
from concertino.docs.tools import Docs
from concertino.documents.addresses import networks
from concertino.documents.fetch import Fetched
from concertino.documents.material import MOST_BYTES, Page
from concertino.retrieval import tree
from concertino.retrieval.cache import Cache
from concertino.worker.tools import Toolbox
from kit.disks import failing_at
from kit.samples import docx, pdf
from kit.site import Site, running
from kit.waiting import until

GUIDE = """# Guide

Read this first.

## Retries

A call that fails for a moment is tried again.
There are three attempts.

## Timeouts

Every call ends after thirty seconds.
"""


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    folder = tmp_path / "manual"
    (folder / "deep").mkdir(parents=True)
    (folder / "guide.md").write_text(GUIDE)
    (folder / "deep" / "policy.docx").write_bytes(docx([("Heading1", "Leave"), ("", "Holidays are booked in spring.")]))
    (folder / "deep" / "manual.pdf").write_bytes(pdf(["Cover", "The warranty lasts two years."]))
    (folder / "page.html").write_text("<main><h1 id=a>Zones</h1><p>Zone seven is shaded.</p></main>")
    (folder / "README").write_text("Suffixless, but text.\n")
    return folder


async def open_(cache: Path, *locations: Path | str) -> Docs:
    sources = [Source(kind="docs", location=str(location)) for location in locations]
    return await Docs.open(sources, Cache(cache / "cache"), networks("127.0.0.0/8"))


async def test_search_finds_each_format_with_its_locator(manual: Path, tmp_path: Path) -> None:
    docs = await open_(tmp_path, manual)
    expected = {
        "how often is a failed call tried": ("guide.md", Locator(lines=(5, 9))),
        "warranty": ("deep/manual.pdf", Locator(page=2)),
        "holidays": ("deep/policy.docx", Locator(fragment="Leave")),
        "shaded zone": ("page.html", Locator(fragment="a")),
        "suffixless": ("README", Locator(lines=(1, 1))),
    }
    for query, (source, locator) in expected.items():
        passage = (await docs.search(query)).hits[0].passage
        assert (passage.source, passage.locator.page, passage.locator.fragment) == (source, locator.page, locator.fragment)
        if locator.lines:
            assert passage.locator.lines
            assert passage.locator.lines[0] == locator.lines[0]
    assert docs.problems == []
    await docs.close()


async def test_reading_by_lines_heading_page_and_fragment(manual: Path, tmp_path: Path) -> None:
    docs = await open_(tmp_path, manual)
    assert (await docs.read("guide.md", 7, 8)).text == "\n".join(GUIDE.split("\n")[6:8])
    assert (await docs.read("guide.md")).locator.lines == (1, 12)
    assert (await docs.read("guide.md", 11, 500)).text == "\nEvery call ends after thirty seconds."
    timeouts = await docs.read("guide.md", fragment="timeouts")
    assert timeouts.locator.lines
    assert timeouts.text == "\n".join(GUIDE.split("\n")[timeouts.locator.lines[0] - 1 : timeouts.locator.lines[1]])
    assert (await docs.read("deep/manual.pdf", page=2)).text == "The warranty lasts two years."
    assert (await docs.read("page.html", fragment="#a")).text == "Zones\n\nZone seven is shaded."
    await docs.close()


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"source": "nope.md"}, "list_documents"),
        ({"source": "../guide.md"}, "list_documents"),
        ({"source": "guide.md", "first": 90}, "lines 1 to 12"),
        ({"source": "guide.md", "fragment": "Nothing"}, "lines 1 to 12"),
        ({"source": "deep/manual.pdf"}, "pages 1 to 2"),
        ({"source": "deep/manual.pdf", "page": 9}, "pages 1 to 2"),
        ({"source": "page.html"}, "'a'"),
        ({"source": "page.html", "fragment": "b"}, "'a'"),
        ({"source": "guide.md", "root": "/elsewhere"}, "no source is called '/elsewhere'"),
    ],
)
async def test_what_cannot_be_read_says_what_can(manual: Path, tmp_path: Path, arguments: dict[str, str], advice: str) -> None:
    docs = await open_(tmp_path, manual)
    toolbox = Toolbox()
    toolbox.add(*docs.tools())
    with pytest.raises(Invalid, match=advice):
        await toolbox.call("read", **arguments)
    await docs.close()


async def test_outline_and_list(manual: Path, tmp_path: Path) -> None:
    docs = await open_(tmp_path, manual)
    assert [h.title for h in await docs.outline("guide.md")] == ["Guide", "Guide > Retries", "Guide > Timeouts"]
    assert {h.source for h in await docs.outline()} == {"guide.md", "page.html", "deep/policy.docx"}
    assert [(d.source, d.parts) for d in await docs.list_documents("deep/*")] == [
        ("deep/manual.pdf", "pages 1 to 2"),
        ("deep/policy.docx", "fragments 'Leave'"),
    ]
    await docs.close()


async def test_two_sources_are_searched_together_and_told_apart_by_root(manual: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "guide.md").write_text("# Other\n\nAttempts are unlimited here.\n")
    docs = await open_(tmp_path, manual, other, manual)
    result = await docs.search("attempts")
    assert len(result.hits) == 2
    assert {hit.passage.title for hit in result.hits} == {"Guide > Retries", "Other"}
    assert "Other" in (await docs.read("guide.md", root=str(other))).text
    assert "Guide" in (await docs.read("guide.md")).text
    await docs.close()


async def test_a_changed_file_is_read_anew_and_a_gone_one_forgotten(manual: Path, tmp_path: Path) -> None:
    await (await open_(tmp_path, manual)).close()
    (manual / "guide.md").write_text("# Guide\n\nNow it is about quokkas.\n")
    (manual / "page.html").unlink()
    docs = await open_(tmp_path, manual)
    assert (await docs.search("quokkas")).hits
    assert not (await docs.search("shaded")).hits
    await docs.close()


async def test_problems_of_single_files_are_named_every_time_and_the_rest_is_read(manual: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("The launch code is 0000.")
    (manual / "broken.pdf").write_bytes(pdf(["x"])[:200])
    (manual / "binary.md").write_bytes(b"\0\1\2" * 100)
    (manual / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0")
    (manual / "latin.txt").write_bytes("Die Grüße kommen spät.".encode("latin-1"))
    (manual / "wide.txt").write_text("Das Känguru hüpft.", encoding="utf-16")
    (manual / "empty.md").write_bytes(b"")
    (manual / "config.json").write_text('{"not": "openapi"}')
    (manual / "link.md").symlink_to(secret)
    os.mkfifo(manual / "pipe.md")
    with (manual / "huge.txt").open("wb") as file:
        file.truncate(50_000_000)
    for name in ("broken.pdf", "binary.md", "old.doc"):
        os.utime(manual / name, (1, 1))  # long settled: the index need not look at it again
    for _ in ("first read", "from the index"):
        docs = await open_(tmp_path, manual)
        problems = dict(docs.problems)
        assert set(problems) == {"broken.pdf", "binary.md", "old.doc", "link.md", "pipe.md", "huge.txt"}
        assert "save it anew" in problems["broken.pdf"]
        assert "save it as .docx" in problems["old.doc"]
        assert str(MOST_BYTES) in problems["huge.txt"]
        assert not (await docs.search("launch code")).hits
        assert (await docs.search("Grüße")).hits[0].passage.source == "latin.txt"
        assert (await docs.search("Känguru")).hits[0].passage.source == "wide.txt"
        with pytest.raises(Invalid, match="could not be read"):
            await docs.read("broken.pdf")
        await docs.close()


async def test_what_could_not_be_read_for_a_moment_is_read_next_time(
    manual: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells that it can be read now: size and time stamp are as they were."""
    os.utime(manual / "deep" / "policy.docx", (1_700_000_000, 1_700_000_000))
    with monkeypatch.context() as patched:
        patched.setattr(tree, "_read", failing_at(b"PK"))
        docs = await open_(tmp_path, manual)
        assert "Too many open files" in dict(docs.problems)["deep/policy.docx"]
        assert not [hit for hit in (await docs.search("holidays")).hits if hit.passage.source == "deep/policy.docx"]
        await docs.close()
    for _ in range(2):
        docs = await open_(tmp_path, manual)
        assert docs.problems == []
        assert (await docs.search("holidays")).hits[0].passage.source == "deep/policy.docx"
        await docs.close()


async def test_one_file_is_a_source_under_its_own_name(manual: Path, tmp_path: Path) -> None:
    docs = await open_(tmp_path, manual / "guide.md")
    assert (await docs.search("attempts")).hits[0].passage.source == "guide.md"
    assert not (await docs.search("warranty")).hits
    await docs.close()


async def test_sources_that_cannot_be_opened_say_what_to_do(manual: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 no")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("x = 1")
    os.mkfifo(tmp_path / "pipe")
    for location, advice in {
        tmp_path / "missing": "exists and may be read",
        tmp_path / "empty": "holds no documents",
        tmp_path / "code": "holds no documents",
        tmp_path / "broken.pdf": "broken.pdf: it is a broken PDF",
        tmp_path / "pipe": "neither a file nor a folder",
        "a\0b": "exists and may be read",
        "gopher://x/": "https",
    }.items():
        with pytest.raises(SourceError, match=advice):
            await open_(tmp_path, manual, location)


@pytest.mark.parametrize(
    ("path", "content_type", "data", "title"),
    [
        ("guide", "text/html", b"<main><h1>Zones</h1><p>text</p></main>", "Zones"),
        ("guide.md", "text/plain", b"# Zones\n\ntext", "Zones"),
        ("guide", "text/markdown", b"# Zones\n\ntext", "Zones"),
        ("notes", "text/plain", b"text", ""),
        ("", "application/octet-stream", b"<!doctype html><main><h1>Zones</h1><p>text</p></main>", "Zones"),
        ("api", "application/json", b'{\n"openapi": "3.0.0",\n"info": {}\n}', "openapi"),
        ("get.php", "application/pdf", pdf(["text"]), ""),
        ("page.php", "text/html", b"<main><h1>Zones</h1><p>text</p></main>", "Zones"),
        ("v1.2", "", b"text", ""),
    ],
)
def test_a_page_is_read_by_what_the_server_says_else_by_its_name(path: str, content_type: str, data: bytes, title: str) -> None:
    url = f"https://docs.example/{path}"
    page = Page(f"https://me:pw@docs.example/{path}", Fetched(url, data, content_type, None))
    [file] = page.files()
    assert file.path == url
    first = page.passages(file.path)[0]
    assert (first.source, first.title) == (url, title)


def test_a_picture_is_no_page() -> None:
    page = Page("https://x.example/a.png", Fetched("https://x.example/a.png", b"\x89PNG\r\n\0\0", "image/png", None))
    with pytest.raises(SourceError, match="it is image/png"):
        page.passages("https://x.example/a.png")


async def test_a_url_is_fetched_indexed_and_quoted_under_its_own_address(tmp_path: Path) -> None:
    site = Site()
    site.pages["/guide.html"] = (
        200,
        {"Content-Type": "text/html"},
        b"<main><h2 id=z>Zones</h2><p>Zone seven is shaded.</p></main>",
    )
    with running(site):
        docs = await open_(tmp_path, site.url("/guide.html"))
        passage = (await docs.search("shaded")).hits[0].passage
        assert (passage.source, passage.locator.fragment) == (site.url("/guide.html"), "z")
        assert (await docs.read(site.url("/guide.html"), fragment="z")).text == passage.text
        await docs.close()
        site.pages["/guide.html"] = (
            200,
            {"Content-Type": "text/html"},
            b"<main><h2 id=z>Zones</h2><p>Zone eight is sunny..</p></main>",
        )
        docs = await open_(tmp_path, site.url("/guide.html"))
        assert (await docs.search("sunny")).hits
        await docs.close()
        with pytest.raises(SourceError, match="404"):
            await open_(tmp_path, site.url("/gone.html"))
    with pytest.raises(Transient, match="no connection"):
        await open_(tmp_path, site.url("/guide.html"))


async def test_cancelled_in_mid_reading_it_stops_and_leaves_no_half_an_index(manual: Path, tmp_path: Path) -> None:
    started, resume = threading.Event(), threading.Event()
    read: list[str] = []

    def slow(path: str, data: bytes) -> list[Passage]:
        read.append(path)
        started.set()
        resume.wait()
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus.formats, "read", slow)
        opening = asyncio.create_task(open_(tmp_path, manual))
        assert await asyncio.to_thread(started.wait, 10)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        resume.set()
        await until(lambda: not corpus._indexing.locked(), "whoever read has ended")
    assert len(read) == 1
    docs = await open_(tmp_path, manual)
    assert (await docs.search("warranty")).hits
    await docs.close()


async def test_every_tool_can_be_offered_to_a_model(manual: Path, tmp_path: Path) -> None:
    docs = await open_(tmp_path, manual)
    toolbox = Toolbox()
    toolbox.add(*docs.tools())
    assert [spec.name for spec in toolbox.specs] == ["search", "read", "outline", "list_documents"]
    assert all(len(spec.description) > 100 for spec in toolbox.specs)
    assert (await toolbox.call("search", query="attempts", limit=1)).hits[0].passage.source == "guide.md"
    await docs.close()
