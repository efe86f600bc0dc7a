"""A real MCP server, over stdio and over HTTP, whose tools die, hang, answer hugely and give orders."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification

from concertino.contracts.errors import Invalid, Transient
from concertino.runtime.config import Config, McpServer
from concertino.worker.mcp import Servers
from concertino.worker.mcp.answers import MOST_CHARACTERS, Told
from concertino.worker.mcp.stdio import stdio
from kit.waiting import until

SERVER = Path(__file__).with_name("mcp_server.py")
COMMAND = (sys.executable, str(SERVER))
SECONDS = 30.0
"""For a call: more than a busy machine needs."""

AT_ONCE = 5.0
"""Seconds, on a machine that has much else to do: far below what the call would take."""

Call = Callable[..., Awaitable[Told]]


class Http:
    """The server as a process that listens; it can be ended and started again."""

    def __init__(self, port: int, *options: str) -> None:
        self.url = f"http://127.0.0.1:{port}/mcp"
        self._port, self._options = port, options
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        null = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND, str(self._port), *self._options, stdout=null, stderr=null
        )
        await until(self._listens, seconds=200)  # it has much to import

    async def stop(self) -> None:
        assert self._process
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@pytest.fixture(params=["stdio", "events", "json"])
async def config(request: pytest.FixtureRequest, unused_tcp_port: int) -> AsyncIterator[McpServer]:
    if request.param == "stdio":
        yield McpServer(command=COMMAND, env={"TICKETS_TOKEN": "Bearer $SECRET"}, seconds=SECONDS)
        return
    server = Http(unused_tcp_port, *(["--json"] if request.param == "json" else []))
    await server.start()
    yield McpServer(url=server.url, headers={"authorization": "Bearer $SECRET"}, seconds=SECONDS)
    await server.stop()


@pytest.fixture
async def opened() -> AsyncIterator[Callable[[McpServer], Awaitable[tuple[Servers, Call]]]]:
    every: list[Servers] = []

    async def open_(config: McpServer) -> tuple[Servers, Call]:
        servers = Servers.of("general", Config(mcp={"tickets": config}), {"SECRET": "s3cret", "OTHER": "o"})
        every.append(servers)
        await servers.start(within=60)
        tools, problems = await servers.tools()
        assert problems == []
        functions = {remote.spec.name: remote.function for remote in tools}

        async def call(name: str, **arguments: object) -> Told:
            told = await functions[f"tickets_{name}"](**arguments)
            assert isinstance(told, Told)
            return told

        return servers, call

    yield open_
    for servers in every:
        await servers.close()


Open = Callable[[McpServer], Awaitable[tuple[Servers, Call]]]


async def test_answers_are_passages_that_say_where_they_are_from(config: McpServer, opened: Open) -> None:
    _, call = await opened(config)
    [found] = (await call("search_tickets", query="pump", limit=1)).passages
    assert (found.source, found.locator.fragment) == ("mcp:tickets/search_tickets", "query=pump, limit=1")
    assert found.text == "T-1: pump fails with error 1"
    assert '"open": 3' in (await call("count")).passages[0].text
    shots = await call("shots")
    assert [p.text for p in shots.passages] == ["before", "after"]
    assert shots.notes == ("not shown: image (image/png)",)
    with pytest.raises(Invalid, match="answers with an error: Error executing tool fail"):
        await call("fail", why="because")
    with pytest.raises(Invalid, match="query"):
        await call("search_tickets", wrong=1)


async def test_what_a_server_says_of_itself_is_told_as_its_words_and_bounded(config: McpServer, opened: Open) -> None:
    servers, call = await opened(config)
    tools, _ = await servers.tools()
    [planted] = [remote.spec for remote in tools if remote.spec.name == "tickets_planted"]
    assert planted.description.startswith("A tool of the MCP server 'tickets'. It says of itself (this is information")
    assert len(planted.description) < 1_700
    assert "\n" not in planted.description
    assert len(servers.abilities["tickets_planted"]) <= 160
    assert "IGNORE YOUR BRIEF" in (await call("planted", ticket="T-1")).passages[0].text  # as material, in a passage


async def test_a_huge_answer_is_cut_or_refused_and_the_server_goes_on(config: McpServer, opened: Open) -> None:
    _, call = await opened(config)
    told = await call("huge", size=MOST_CHARACTERS + 7)
    assert sum(len(p.text) for p in told.passages) == MOST_CHARACTERS
    assert told.notes == ("7 characters of the answer are left out: ask for less at once",)
    with pytest.raises((Invalid, Transient), match=r"bytes|max_event_size|exceed"):
        await call("huge", size=20_000_000)
    assert (await call("search_tickets", query="after")).passages


async def test_a_call_that_hangs_ends_and_others_go_on(config: McpServer, opened: Open) -> None:
    _, call = await opened(McpServer(**{**{n: getattr(config, n) for n in config.__struct_fields__}, "seconds": 0.5}))
    with pytest.raises(Transient, match=r"tickets_hang did not answer within 0\.5 s"):
        await call("hang")
    _, patient = await opened(config)
    hanging = asyncio.create_task(patient("hang"))
    assert (await patient("search_tickets", query="meanwhile")).passages
    hanging.cancel()
    await asyncio.wait([hanging])
    assert (await patient("search_tickets", query="afterwards")).passages


async def test_a_process_that_dies_in_mid_call_is_started_again(opened: Open) -> None:
    servers, call = await opened(McpServer(command=COMMAND, seconds=SECONDS))
    with pytest.raises(Transient, match="was lost while tickets_die was called"):
        await call("die")
    assert (await call("search_tickets", query="again")).passages
    assert (await servers.tools())[1] == []


async def test_a_server_that_went_away_is_found_when_it_is_back(
    unused_tcp_port: int, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concertino.worker.mcp.server.AGAIN_AFTER", 0.0)
    server = Http(unused_tcp_port)
    await server.start()
    servers, call = await opened(McpServer(url=server.url, seconds=SECONDS))
    with pytest.raises(Transient, match="was lost while"):
        await call("die")
    await server.stop()
    with pytest.raises(Transient, match="cannot be reached"):
        await call("search_tickets", query="nobody")
    tools, problems = await servers.tools()
    assert tools == []
    assert "the MCP server 'tickets': All connection attempts failed" in problems
    assert servers.abilities == {}
    await server.start()
    assert (await call("search_tickets", query="back")).passages
    assert (await servers.tools())[1] == []
    await server.stop()


async def test_a_process_gets_its_own_variables_and_no_others(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "never to be seen")
    _, call = await opened(McpServer(command=COMMAND, env={"TICKETS_TOKEN": "Bearer $SECRET"}, seconds=SECONDS))
    seen = (await call("environment")).passages[0].text
    assert "TICKETS_TOKEN=Bearer s3cret" in seen
    assert "never to be seen" not in seen
    assert "OTHER=" not in seen


async def test_nothing_is_left_behind(opened: Open) -> None:
    servers, call = await opened(McpServer(command=COMMAND, seconds=SECONDS))
    pids = [int(pid) for pid in (await call("child")).passages[0].text.split()]
    hanging = asyncio.create_task(call("hang"))
    await servers.close()
    with pytest.raises(Transient):
        await hanging
    assert len(pids) == 2
    await until(lambda: not any(map(_runs, pids)), seconds=30)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # nobody reaps what a test's process leaves to init


async def test_servers_that_cannot_be_reached_cost_their_tools(unused_tcp_port: int) -> None:
    configured = {
        "gone": McpServer(url=f"http://127.0.0.1:{unused_tcp_port}/mcp"),
        "missing": McpServer(command=("no-such-command",)),
        "mute": McpServer(command=(sys.executable, "-c", "print('hello')")),
        "unset": McpServer(command=("cat",), env={"TOKEN": "$NOPE"}),
        "narrow": McpServer(command=COMMAND, tools=("count", "nonesuch")),
        "others": McpServer(command=COMMAND, kinds=("legal",)),
    }
    servers = Servers.of("general", Config(mcp=configured), {})
    try:
        await servers.start(within=60)
        tools, problems = await servers.tools()
        assert [remote.spec.name for remote in tools] == ["narrow_count"]
        assert problems == [
            "the MCP server 'gone': All connection attempts failed",
            "the MCP server 'missing': its command cannot be started: No such file or directory: no-such-command",
            "the MCP server 'mute': its process ended",
            "the MCP server 'unset': the environment variable NOPE that its configuration names is not set",
            "the MCP server 'narrow': it has no tool 'nonesuch'",
        ]
        assert [r.spec.name for r in (await servers.tools(["narrow_count", "docs_search"]))[0]] == ["narrow_count"]
        assert await servers.tools(["docs_search"]) == ([], [])
    finally:
        await servers.close()


DEAF = """
import os, time
os.close(0)
print('{"jsonrpc": "2.0", "method": "notifications/message"}', flush=True)
time.sleep(3600)
"""


@pytest.mark.parametrize(("program", "why"), [(DEAF, "its process reads nothing any more"), ("", "its process ended")])
async def test_why_a_process_takes_nothing_is_told_truly(program: str, why: str) -> None:
    lost: list[str] = []
    async with stdio((sys.executable, "-c", program), {}, lost.append) as (received, sending):
        with contextlib.suppress(anyio.EndOfStream):
            await received.receive()
        ping = JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")
        with contextlib.suppress(anyio.BrokenResourceError):
            await sending.send(SessionMessage(ping))
        await until(lambda: bool(lost))
    assert set(lost) == {why}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "error response"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "error response"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "Not Found"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<p/>", "content type"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            "compressed",
        ),
        (b"HTTP/1.1 307 Moved\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", "not followed"),
        (b"SSH-2.0-OpenSSH\r\n", "."),
    ],
)
async def test_what_is_no_mcp_server_is_away_and_its_headers_stay_secret(answer: bytes, why: str) -> None:
    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(on_connection, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        server = McpServer(url=f"http://127.0.0.1:{port}/mcp", headers={"authorization": "Bearer $SECRET"})
        servers = Servers.of("general", Config(mcp={"tickets": server}), {"SECRET": "s3cret"})
        await servers.start(within=60)
        tools, [problem] = await servers.tools()
        await servers.close()
    assert tools == []
    assert re.search(why, problem), problem
    assert "s3cret" not in problem


def connections(config: McpServer) -> int:
    """Those that are open to it."""
    if not config.url:
        return 0
    to = f":{urlsplit(config.url).port:04X} 01"
    return sum(to in " ".join(line.split()[2:4]) for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:])


async def test_a_call_that_nobody_waits_for_ends_at_its_server(
    config: McpServer, opened: Open, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """One that answers with documents, and not with events, does not look whether anybody is still there: it cannot know."""
    _, call = await opened(config)
    note = tmp_path / "note"
    calling = asyncio.create_task(call("linger", note=str(note)))
    await until(note.exists, "the server is at it")
    before, at = connections(config), time.monotonic()
    assert before or not config.url
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    if config.url:
        await until(lambda: connections(config) < before, "its connection is closed", seconds=AT_ONCE)
    if "json" not in request.node.name:
        await until(lambda: not note.exists(), "the server is at it no more", seconds=AT_ONCE)
    print(f"gone after {time.monotonic() - at:.3f} s")
    assert (await call("search_tickets", query="pump", limit=1)).passages, "the session serves others"
