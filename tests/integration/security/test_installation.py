"""The real services, each with its own user on a strict server: everything works, and nobody is refused anything."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from concertino.bus import calls
from concertino.bus.access import Access
from concertino.bus.connection import dial
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.errors import Refused
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Progress
from concertino.contracts.subjects import CLIENT, MONITOR, ORCHESTRATOR, PROVISION, SYNTHESIZE, Subjects
from concertino.runtime.settings import Settings, settings
from kit.ports import free_port
from kit.secured import Secured, Service, secured
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

KINDS = ("code", "docs", "echo")
ECHO = str(Path(__file__).parent.parent.parent / "kit" / "echo.py")
FILE = """
[kinds.code]
description = "Reads code."
sources = ["code"]

[kinds.docs]
description = "Reads documents."
sources = ["docs"]

[kinds.echo]
description = "Repeats its objective."
"""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    with secured(tmp_path, Subjects("ctn"), KINDS) as server:
        (tmp_path / "concertino.toml").write_text(FILE)
        made = server.run(PROVISION, "-m", "concertino.runtime.provision", CTN_CONFIG=str(tmp_path / "concertino.toml"))
        assert made.returncode == 0, made.stderr
        async with AsyncExitStack() as stack:
            stage = Stage(server, stack, free_port())
            await stage.start()
            yield stage


class Stage:
    """Every service as a process of its own."""

    def __init__(self, server: Secured, stack: AsyncExitStack, port: int) -> None:
        self.server, self.stack, self.port = server, stack, port
        self.services: dict[str, Service] = {}

    async def start(self) -> None:
        self.begin(ORCHESTRATOR, "-m", "concertino.orchestrator", CTN_PORT=str(self.port))
        self.begin(SYNTHESIZE, "-m", "concertino.synthesizer")
        self.begin("code", "-m", "concertino.code")
        self.begin("docs", "-m", "concertino.docs")
        self.begin("echo", ECHO)
        await until(lambda: all(service.ready() for service in self.services.values()), "every service is ready", 60)

    def begin(self, role: str, *command: str, **more: str) -> Service:
        self.services[role] = self.stack.enter_context(
            self.server.service(role, *command, CTN_LEASE="1", CTN_LOG_FORMAT="json", **more)
        )
        return self.services[role]

    def settings(self) -> Settings:
        return settings({**self.server.environment(CLIENT), "CTN_LEASE": "1"})


async def test_a_whole_installation_runs_on_exactly_its_permissions(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "retries.md").write_text("# Retries\n\nA failed request is retried five times.\n")
    (tmp_path / "handbook" / "client.py").write_text('def pause(attempt):\n    """Before a failed request is retried."""\n')
    sources = [Source(kind=kind, location=str(tmp_path / "handbook")) for kind in ("code", "docs")]
    async with Client(config=stage.settings()) as client:
        assert {kind.kind for kind in await client.workers()} == {"plan", "synthesize", *KINDS}

        # A plan, two kinds, a report with evidence.
        said: set[str] = set()
        async with asyncio.timeout(60), client.follow("asked") as events:
            limits = Limits(deadline=60)
            await client.submit("How often is a failed request retried?", sources=sources, limits=limits, task="asked")
            async for event in events:
                if isinstance(event, Progress):
                    said.add(event.work.partition(".")[0])
                elif event.name.type == "outcome":
                    break
        assert said == {"plan", "result", "synthesis"}
        found = await client.show("asked")
        assert found.status == "answered", found.reason
        assert found.report is not None
        assert "five times" in found.report.citations[0].quote
        assert {subtask.kind for subtask in found.subtasks} == {"code", "docs"}

        # One part is run again, with the result of the other, whose evidence is found; and nothing failed.
        again = await client.redrive("asked", [found.subtasks[0].id], max_tokens=100_000)
        seen = await client.wait(again.task, 60)
        assert (seen.status, len(again.run), len(again.kept)) == ("answered", 1, 1), seen.reason
        assert seen.report is not None
        assert seen.report.dropped == 0
        assert (await client.failures()).work == ()
        assert (await client.show("asked")).redriven == (again.task,)

        # What is too large for a message, both ways, and what depends on it; a worker that dies in the middle.
        long = "x" * 19_000
        parts = [Subtask(id=f"s{i}", kind="echo", objective=f"{i} {long}") for i in range(40)]
        slow = Subtask(id="slow", kind="echo", objective="slow", params={"seconds": 8}, depends_on=("s0",))
        plan = Plan(subtasks=(*parts, slow), synthesize=False)
        task = await client.submit("large", plan=plan, limits=Limits(deadline=60))
        await _begun(client, task, "result.echo.slow")
        stage.services["echo"].process.send_signal(signal.SIGKILL)
        stage.services["dead"] = stage.services.pop("echo")
        stage.begin("echo", ECHO)
        found = await client.wait(task, 90)
        assert (found.status, len(found.subtasks)) == ("answered", 41)
        assert [s.attempts for s in found.subtasks if s.id == "slow"] == [2]

        # Work that is cancelled ends at once.
        endless = Subtask(id="endless", kind="echo", objective="endless", params={"seconds": 600})
        task = await client.submit("endless", plan=Plan(subtasks=(endless,), synthesize=False))
        await _begun(client, task, "result.echo.endless")
        assert await client.cancel(task, "enough")
        assert (await client.wait(task, 30)).status == "cancelled"
        assert len(await client.tasks()) == 4

        async def nobody_works() -> bool:
            return sum(kind.running for kind in await client.workers()) == 0

        await until(nobody_works, "the cancelled work is let go")

    # The command line, which shows progress and writes the report; gauges of the queues; who is there.
    asked = stage.server.run(CLIENT, "-m", "concertino.cli", "ask", "How often is it retried?", "--docs", sources[0].location)
    assert asked.returncode == 0, asked.stderr
    assert "five times" in asked.stdout
    assert await asyncio.to_thread(_gauges, stage.port) == {"code", "docs", "echo", "plan", "synthesize"}
    assert await _discovered(stage.server) == {"orchestrator", "synthesizer", *KINDS}

    # A worker that leaves hands back what it holds; nobody was refused anything, and no secret is in any log.
    del stage.services["dead"]
    for service in stage.services.values():
        service.stop()
        assert service.process.returncode == 0, service.log.read_text()
    assert stage.server.violations() == []
    for log in stage.server.folder.glob("*.log"):
        assert "secret-of" not in log.read_text()


async def test_a_service_says_what_it_lacks_and_leaves(tmp_path: Path) -> None:
    """A wrong password, a certificate of nobody's, streams that nobody made: a clear word each, at once, and no secret."""
    with secured(tmp_path, Subjects("ctn"), KINDS) as server:
        password, wrong = tmp_path / "wrong.password", "not-the-password"
        password.write_text(wrong)
        tried: list[tuple[dict[str, str], str]] = [
            ({"CTN_NATS_PASSWORD_FILE": str(password)}, "refuses the user"),
            ({"CTN_NATS_PASSWORD_FILE": str(tmp_path / "none")}, "CTN_NATS_PASSWORD_FILE: "),
            ({"CTN_NATS_CA": str(tmp_path / "none")}, "cannot be used"),
            ({"CTN_NATS_CA": str(tmp_path / "cert.pem")}, "no TLS with the NATS server"),
            ({"CTN_NATS_TOKEN": wrong}, "user and token"),
            ({}, "run `python -m concertino.runtime.provision`"),
        ]
        for environment, reason in tried:
            began = time.monotonic()
            ended = server.run("echo", ECHO, **environment)
            assert ended.returncode in (1, 2), (environment, ended.stderr)
            assert reason in ended.stderr
            assert "Traceback" not in ended.stderr
            assert wrong not in ended.stderr + ended.stdout
            assert "secret-of" not in ended.stderr + ended.stdout
            assert time.monotonic() - began < 15, environment


async def _begun(client: Client, task: str, work: str) -> None:
    """Until the log says that somebody is at ``work``."""
    async with asyncio.timeout(60), client.follow(task) as events:
        async for event in events:
            if isinstance(event, Fact) and str(event.name) == f"begun.{work}.1":
                return
            assert not isinstance(event, Fact) or event.name.type != "outcome"


def _gauges(port: int) -> set[str]:
    """The kinds whose queue the orchestrator tells of."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = [line for line in page.read().decode().splitlines() if line.startswith("concertino_pending{")]
    return {line.partition('kind="')[2].partition('"')[0] for line in lines}


async def _discovered(server: Secured) -> set[str]:
    names: set[str] = set()

    async def on_answer(message: Msg) -> None:
        names.add(json.loads(message.data)["name"])

    nc = await dial(server.url, "monitor", patience=5.0, access=server.access(MONITOR))
    inbox = nc.new_inbox()
    await nc.subscribe(inbox, cb=on_answer)
    await nc.publish(calls.DISCOVERY[0].replace("*", "PING"), b"", reply=inbox)
    await until(lambda: len(names) == 5, "all services answer")
    await nc.close()
    return names


async def test_where_tls_is_asked_for_nobody_is_told_the_password_without(tmp_path: Path) -> None:
    """A server that offers none, or somebody between who takes the offer out: nats-py alone would go on in plain text."""
    heard: list[bytes] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"X","version":"2.15.1","max_payload":1048576,"auth_required":true}\r\n')
        heard.append(await reader.read(1024))
        writer.close()

    async with await asyncio.start_server(on_connection, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(Refused, match="the server offers no TLS"):
            await dial(f"tls://127.0.0.1:{port}", "x", patience=5.0, access=Access(user="me", password="secret-word"))
        await until(lambda: bool(heard))
    assert b"secret-word" not in b"".join(heard)
