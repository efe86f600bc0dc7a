"""A server that does one thing at a time is left to it: other work neither lists its tools meanwhile nor ends it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from concertino.contracts.errors import Transient
from concertino.runtime.config import McpServer
from concertino.worker.mcp.answers import Told
from concertino.worker.mcp.server import FRESH, Server
from kit.waiting import until

SINGLE = """
import json, pathlib, sys, time
for line in sys.stdin:
    asked, said = json.loads(line), None
    match asked["method"]:
        case "initialize":
            said = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                    "serverInfo": {"name": "single", "version": "1"}}
        case "tools/list":
            said = {"tools": [{"name": "wait", "inputSchema": {"type": "object"}}]}
        case "tools/call":
            pathlib.Path(sys.argv[1], "begun").touch()
            while not pathlib.Path(sys.argv[1], "end").exists():
                time.sleep(0.01)
            said = {"content": [{"type": "text", "text": "done"}]}
    answer = {"result": said} if said else {"error": {"code": -32601, "message": "no such method"}}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""
SECONDS = 60.0


class Single:
    """The server, with a call of it begun; ``now`` is its clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.folder = folder
        config = McpServer(command=(sys.executable, "-c", SINGLE, str(folder)), seconds=SECONDS)
        self.server = Server("single", config, {}, monotonic=lambda: self.now)

    async def begin(self) -> asyncio.Task[Told]:
        call = asyncio.create_task(self.server.call(self.server.tools[0], {}))
        await until((self.folder / "begun").exists)
        return call


@pytest.fixture
async def single(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Single]:
    made = Single(tmp_path)
    await made.server.refresh()
    assert [offer.tool for offer in made.server.tools] == ["wait"]
    monkeypatch.setattr("concertino.worker.mcp.server.LIST_WITHIN", 0.05)
    monkeypatch.setattr("concertino.worker.mcp.stdio.LEAVE_WITHIN", 0.05)
    yield made
    (tmp_path / "end").touch()
    await made.server.close()


async def test_other_work_has_its_tools_and_lets_it_work(single: Single) -> None:
    call = await single.begin()
    single.now += SECONDS - 1
    await single.server.refresh()
    assert [offer.tool for offer in single.server.tools] == ["wait"]
    assert single.server.problems == ()
    (single.folder / "end").touch()
    assert (await call).passages[0].text == "done"


async def test_a_listing_that_was_begun_before_a_call_does_not_end_it(single: Single, monkeypatch: pytest.MonkeyPatch) -> None:
    session = single.server._session
    assert session
    listing, over = asyncio.Event(), asyncio.Event()

    async def slow(**_: object) -> None:
        listing.set()
        await over.wait()
        raise TimeoutError

    monkeypatch.setattr(session.client, "list_tools", slow)
    monkeypatch.setattr("concertino.worker.mcp.server.LIST_WITHIN", SECONDS)
    single.now += 10 * FRESH
    refreshing = asyncio.create_task(single.server.refresh())
    await listing.wait()
    call = await single.begin()
    over.set()
    await refreshing
    (single.folder / "end").touch()
    assert (await call).passages[0].text == "done"


async def test_who_answers_nobody_for_as_long_as_a_call_may_take_is_ended_and_the_reason_is_true(single: Single) -> None:
    call = await single.begin()
    single.now += SECONDS
    await single.server.refresh()
    with pytest.raises(Transient, match=r"was lost while single_wait was called \(it does not list its tools within 0\.05 s\)"):
        await call
