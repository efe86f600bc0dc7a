"""A signal that the task is over ends what a handler has begun: processes, connections, and searches in threads."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from worker_stage import Stage

from concertino.code.base import Base
from concertino.code.code import Code
from concertino.code.history import History
from concertino.contracts.codec import encode
from concertino.contracts.messages import Signal, Source, Subtask
from concertino.docs.corpus import _indexing
from concertino.docs.tools import Docs
from concertino.documents.fetch import fetch
from concertino.retrieval.cache import Cache
from concertino.retrieval.index import INDEX, index_folder
from concertino.retrieval.tree import Tree
from concertino.worker import Context
from kit.waiting import until

LIBRARIES = Path(sysconfig.get_path("purelib"))
AT_ONCE = 5.0
"""Seconds, on a machine that has much else to do: far below what any of these would take."""
OF_COMPUTING = 20.0
"""The same for half a second of computing that nothing can interrupt, where ten would follow."""


class Trickle:
    """A server that begins to answer, and goes on for ever, a few bytes at a time. ``open`` connections are there now."""

    def __init__(self) -> None:
        self.open = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000000\r\n\r\n")
            while not reader.at_eof() and not writer.is_closing():
                writer.write(b"<")
                await writer.drain()
                await asyncio.sleep(0.01)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def trickle() -> AsyncIterator[Trickle]:
    trickle = Trickle()
    server = await asyncio.start_server(trickle.serve, "127.0.0.1", 0)
    trickle.port = server.sockets[0].getsockname()[1]
    yield trickle
    server.close()


def processes() -> list[str]:
    """What runs of what this process, or any child of it, has started as a group of its own: git, and its children."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in found.splitlines()]
    ours = {str(os.getpid())}
    for _ in range(5):
        ours |= {pid for pid, parent, _ in rows if parent in ours}
    return [name for pid, _, name in rows if pid in ours and "git" in name]


def in_threads(*names: str) -> bool:
    """Whether any thread is in a file of these names."""
    for frame in sys._current_frames().values():
        here: Any = frame
        while here:
            if here.f_code.co_filename.endswith(names):
                return True
            here = here.f_back
    return False


@asynccontextmanager
async def cancelled(
    stage: Stage, begin: Callable[[], Awaitable[Any]], begun: Callable[[], bool], seconds: float = AT_ONCE
) -> AsyncIterator[Callable[[Callable[[], bool]], Awaitable[None]]]:
    """Work that does ``begin`` is cancelled once it has ``begun``; what is given waits for it to be gone."""

    async def handler(_: Subtask, __: Context) -> None:
        await begin()

    await stage.replica(handler, slots=1)
    await stage.submit()
    await until(begun, "it has begun")
    at = time.monotonic()
    await stage.bus.publish(stage.subjects.signal("t1"), encode(Signal(reason="enough")))

    async def gone(condition: Callable[[], bool]) -> None:
        await until(condition, "it is gone", seconds=seconds)
        print(f"gone after {time.monotonic() - at:.3f} s")

    yield gone
    await stage.settled()
    assert await stage.log.read_one("t1", "result.echo.s1") is None


async def test_a_clone_its_children_and_their_connections(stage: Stage, trickle: Trickle, tmp_path: Path) -> None:
    source = Source(kind="code", location=f"http://127.0.0.1:{trickle.port}/endless.git")

    async def clone() -> None:
        await Code.open([source], Cache(tmp_path))

    async with cancelled(stage, clone, lambda: trickle.open > 0 and len(processes()) > 1) as gone:
        await gone(lambda: not processes() and not trickle.open)


async def test_a_look_into_history(stage: Stage, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    os.mkfifo(tmp_path / ".git/objects/info/alternates")  # git waits here for ever
    (tmp_path / ".git/HEAD").write_text("1" * 40 + "\n")
    history = History(tmp_path)
    async with cancelled(stage, lambda: history.log("", 5), lambda: bool(processes())) as gone:
        await gone(lambda: not processes())


async def test_a_fetch_of_what_never_ends(stage: Stage, trickle: Trickle) -> None:
    async def page() -> None:
        await fetch(f"http://127.0.0.1:{trickle.port}/", allowed=(ip_network("127.0.0.0/8"),))

    async with cancelled(stage, page, lambda: trickle.open > 0) as gone:
        await gone(lambda: not trickle.open)


def listed(tmp_path: Path) -> Code:
    """All that is installed here, without an index."""
    base = Base("libraries", LIBRARIES, tmp_path / "index.sqlite", history=None)
    base.files = {file.path: file for file in Tree(LIBRARIES).files()}
    return Code([base], [])


@pytest.mark.parametrize("tool", ["grep", "evil", "structural", "secrets"])
async def test_a_search_through_many_files(tool: str, stage: Stage, tmp_path: Path) -> None:
    code = listed(tmp_path)
    tools = {function.__name__: function for function in code.tools()}
    search: dict[str, Callable[[], Awaitable[Any]]] = {
        "grep": lambda: code.grep("no such words anywhere, or so one hopes"),
        "evil": lambda: code.grep(r"(\w|\w\w)+$(?<=there is no such line)"),
        "structural": lambda: code.structural("def $NAME($$$): return no_such_name_anywhere", "python"),
        "secrets": tools["secrets"],
    }
    files = (
        ("code/grep.py",)
        if tool == "evil"
        else ("code/grep.py", "code/structural.py", "code/checks/credentials.py", "retrieval/tree.py")
    )
    seconds = OF_COMPUTING if tool == "evil" else AT_ONCE
    async with cancelled(stage, search[tool], lambda: in_threads(*files), seconds) as gone:
        await gone(lambda: not in_threads(*files))
    await code.close()


async def test_an_index_of_many_files(stage: Stage, tmp_path: Path) -> None:
    source = Source(kind="code", location=str(LIBRARIES))
    files = ("retrieval/index.py", "retrieval/tree.py")

    async def index() -> None:
        await Code.open([source], Cache(tmp_path))

    async with cancelled(stage, index, lambda: in_threads("retrieval/index.py")) as gone:
        await gone(lambda: not in_threads(*files))


async def test_who_waits_for_the_index_of_another(stage: Stage, tmp_path: Path) -> None:
    """One at a time reads documents in a process, and one process at a time writes an index."""
    folder = tmp_path / "manual"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nText.\n")
    source = Source(kind="docs", location=str(folder))
    cache = Cache(tmp_path / "cache")
    await (await Docs.open([source], cache)).close()
    other = sqlite3.connect(index_folder(folder, cache.folder, "docs") / INDEX, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def read() -> None:
        await Docs.open([source], cache)

    async with cancelled(stage, read, lambda: in_threads("retrieval/database.py")) as gone:
        await gone(lambda: not in_threads("retrieval/database.py", "docs/corpus.py"))
    assert not _indexing.locked()
    other.close()


async def test_a_plain_function_that_reads_file_after_file(stage: Stage) -> None:
    tree = Tree(LIBRARIES)
    running = False

    def handler(_: Subtask, __: Context) -> None:
        nonlocal running
        running = True
        try:
            while True:
                tree.read("msgspec/__init__.py")
        finally:
            running = False

    await stage.replica(handler, slots=1)
    await stage.submit()
    await until(lambda: running, "it reads")
    await stage.bus.publish(stage.subjects.signal("t1"), encode(Signal(reason="enough")))
    await until(lambda: not running, "it has ended", seconds=AT_ONCE)
