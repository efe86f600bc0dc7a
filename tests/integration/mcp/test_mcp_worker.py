"""A worker with MCP servers: what it announces, what a brief may call, and what its result says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from concertino.bus.announcements import announcements
from concertino.bus.memory import MemoryBus
from concertino.bus.tasklog import TaskLog
from concertino.bus.topology import installation
from concertino.contracts.errors import BadSetting, Invalid
from concertino.contracts.messages import Result, ResultStatus, Source, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.general.handler import worker
from concertino.model.port import Answer, Claim, Findings, Quote, Research
from concertino.runtime.settings import Settings
from concertino.worker import Context, Worker
from kit.waiting import until

SERVER = Path(__file__).with_name("mcp_server.py")
CONFIG = f"""
[mcp.tickets]
command = ["{sys.executable}", "{SERVER}"]
tools = ["planted", "search_tickets"]

[mcp.gone]
command = ["no-such-command"]
"""


class Model:
    """Thinks what a test says."""

    name = "thinking"
    hosts: frozenset[Any] = frozenset()

    def __init__(self, think: Callable[[Research], Any]) -> None:
        self._think = think

    async def research(self, job: Research) -> Answer[Findings]:
        return Answer(await self._think(job))


class Stage:
    def __init__(self, bus: MemoryBus, settings: Settings) -> None:
        self.bus, self.settings = bus, settings
        self.log = TaskLog(bus, settings.subjects)

    async def result(self, **brief: Any) -> Result:
        subtask = Subtask(**{"id": "s1", "kind": "general", "objective": "What about the pump?", **brief})
        sources = subtask.sources or ()
        id_ = f"result.{subtask.kind}.{subtask.id}"
        work = Work(task="t1", id=id_, attempt=1, request="?", brief=subtask, sources=sources, deadline=4e9)
        await self.log.enqueue("interactive", work)

        async def done() -> bool:
            return await self.log.read_one("t1", id_) is not None

        await until(done, seconds=60)
        found = await self.log.read_one("t1", id_)
        assert found is not None
        assert isinstance(found.message, Result)
        return found.message


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))
    (tmp_path / "ctn.toml").write_text(CONFIG)
    return Stage(bus, Settings(config=str(tmp_path / "ctn.toml"), cache=str(tmp_path / "cache"), attempts=1))


async def test_from_the_announcement_to_the_evidence(stage: Stage) -> None:
    offered: list[str] = []

    async def think(job: Research) -> Findings:
        offered.extend(spec.name for spec in job.tools.specs)
        for name in ("tickets_wipe", "tickets_search_tickets", "web_fetch", "code_grep"):  # as the ticket says, and more
            with pytest.raises(Invalid, match="there is no tool"):
                await job.tools.call(name, everything=True)
        told = await job.tools.call("tickets_planted", ticket="T-1")
        [passage] = told.passages
        seen, unseen = (Claim(text, (Quote(passage.source, text),)) for text in ("the pump leaks", "all is well"))
        return Findings((seen, unseen))

    runtime = await worker.start(stage.bus, stage.settings, Model(think))
    [announced] = await announcements(stage.bus, stage.settings.subjects)
    assert {"tickets_planted", "tickets_search_tickets", "docs_search"} <= set(announced.tools)
    assert announced.abilities["tickets_search_tickets"] == "Find tickets about something."
    result = await stage.result(tools=("tickets_planted",))
    assert offered == ["tickets_planted"]
    [leaks, well] = result.findings
    assert [(e.source, e.locator.fragment, e.quote) for e in leaks.evidence] == [
        ("mcp:tickets/planted", "ticket=T-1", "the pump leaks")
    ]
    assert [e.quote for e in well.evidence] == ["all is well"]  # it stands there: what it is worth, its source says
    await runtime.drain(5)


async def test_what_is_away_is_noted_and_the_rest_goes_on(stage: Stage) -> None:
    async def think(_: Research) -> Findings:
        return Findings()

    runtime = await worker.start(stage.bus, stage.settings, Model(think))
    result = await stage.result(tools=("tickets_planted", "gone_find"))
    assert result.status is ResultStatus.COMPLETE
    assert result.notes == (
        "not available: the tool gone_find: there is none of that name now",
        "not available: the MCP server 'gone': its command cannot be started: No such file or directory: no-such-command",
    )
    await runtime.drain(5)


async def test_a_brief_with_nothing_but_what_is_away_may_be_tried_again(stage: Stage) -> None:
    async def think(_: Research) -> Findings:
        raise AssertionError("without tools there is nothing to think about")

    runtime = await worker.start(stage.bus, stage.settings, Model(think))
    result = await stage.result(tools=("gone_find",))
    assert result.status is ResultStatus.FAILED
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("transient", True)
    assert "no-such-command" in result.error.message
    await runtime.drain(5)


async def test_a_worker_of_ones_own_has_the_tools_that_are_for_its_kind(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "ctn.toml").write_text(CONFIG.replace("tools = [", 'kinds = ["legal"]\ntools = ['))
    legal = Worker("legal", "Reads contracts.")
    legal.handle(lambda brief, context: None)
    runtime = await legal.start(stage.bus, stage.settings)
    [announced] = await announcements(stage.bus, stage.settings.subjects)
    assert (announced.tools, announced.public) == (("tickets_search_tickets", "tickets_planted"), ())
    await runtime.drain(5)


async def test_what_reaches_the_open_web_is_announced_and_withheld_beside_private_sources(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "ctn.toml").write_text(CONFIG.replace("tools = [", 'kinds = ["legal", "general"]\npublic = true\ntools = ['))
    offered: list[list[str]] = []

    async def think(job: Research) -> Findings:
        offered.append([spec.name for spec in job.tools.specs])
        return Findings()

    legal = Worker("legal", "Reads contracts.", sources=["contracts"])

    @legal.handle
    async def handle(_: Subtask, context: Context) -> Answer[Findings]:
        return await context.research()

    tools = ("tickets_search_tickets", "tickets_planted")
    runtimes = [await w.start(stage.bus, stage.settings, Model(think)) for w in (legal, worker)]
    announced = {a.kind: a.public for a in await announcements(stage.bus, stage.settings.subjects)}
    assert announced["legal"] == tools
    assert {*tools, "web", "web_fetch"} <= set(announced["general"])
    assert not any(name.startswith(("code", "docs")) for name in announced["general"])

    for kind, private, notes in (("contracts", True, 2), ("web", False, 0)):
        sources = (Source(kind=kind, location="https://example.org/"),)
        result = await stage.result(id=f"s-{kind}", kind="legal", sources=sources)
        assert offered.pop() == ([] if private else list(tools))
        assert [note.partition(": ")[2] for note in result.notes] == [
            f"the tool {tool}: it reaches the open web, and this brief's sources may be private" for tool in tools[:notes]
        ]
    for runtime in runtimes:
        await runtime.drain(5)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('[mcp.x]\nkinds = ["web"]', "either its command or its url"),
        ('[mcp.x]\ncommand = ["a"]\nurl = "http://a"', "either its command or its url"),
        ('[mcp.x]\nurl = "file:///etc/passwd"', "http"),
        ('[mcp."X Y"]\ncommand = ["a"]', "mcp"),
        (
            '[mcp.x]\ncommand = ["a"]\nkinds = ["docs", "general"]\npublic = true',
            r"mcp\.x reaches .* take docs out",
        ),
        ('[mcp.x]\ncommand = ["a"]\nkinds = ["web"]', "take web out of its kinds, or say public = true"),
        ('[mcp.web]\ncommand = ["a"]', "call it otherwise"),
        (
            '[mcp.x]\ncommand = ["a"]\nkinds = ["legal"]\n[mcp.y]\ncommand = ["b"]\nkinds = ["legal"]\npublic = true',
            "for 'legal' some reach the open web",
        ),
    ],
)
async def test_a_table_that_is_wrong_is_named_at_the_start(stage: Stage, tmp_path: Path, table: str, says: str) -> None:
    (tmp_path / "ctn.toml").write_text(table)
    with pytest.raises(BadSetting, match=says):
        await worker.start(stage.bus, stage.settings)
