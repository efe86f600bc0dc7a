"""A connection that is up and deaf: each service says so, comes back, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.bus.topology import installation
from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import Service
from concertino.contracts.messages import Plan, Submitted, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import settings
from kit.probing import ready
from kit.proxy import Proxy
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

ECHO = Service("echo", str(Path(__file__).parent.parent / "kit" / "echo.py"), ("echo",))
ORCHESTRATOR = Service("orchestrator", "concertino.orchestrator", ("plan",))
NOTICED = 90.0
"""Seconds for what is only found out by silence: 20 for a queue, 30 for a connection, on a machine with nothing else to do."""


@pytest.mark.parametrize("service", [ECHO, ORCHESTRATOR], ids=lambda service: service.name)
async def test_who_hears_nothing_says_so_and_goes_on_when_it_hears_again(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("CTN_PORT", str(unused_tcp_port))
    subjects = Subjects()
    async with NatsServer(tmp_path / "nats") as server, Proxy(server.url) as proxy:
        fleet = Fleet(settings(), lambda *_: None, url=proxy.url, store=tmp_path / "unused", services=(service,))
        bus = await JetStream.connect(server.url, "test", subjects)
        await bus.provision(installation(subjects))
        log = TaskLog(bus, subjects)
        await fleet.start(strict=True)
        try:
            before = fleet.pids[service.name]
            await until(lambda: ready(unused_tcp_port), "it is ready")
            proxy.mute = True

            async def noticed() -> bool:
                return not await ready(unused_tcp_port)

            await until(noticed, "the probe says that nothing comes", seconds=NOTICED)
            plan = Plan(subtasks=(Subtask(id="s1", kind="nobody", objective="say it"),))
            await log.write("t1", "submitted", Submitted(request="say it", plan=plan))
            brief = Subtask(id="s1", kind="echo", objective="say it")
            work = Work(task="t2", id="result.echo.s1", attempt=1, request="say it", brief=brief, deadline=4e9)
            await log.enqueue("interactive", work)
            proxy.mute = False

            async def done() -> bool:
                name, task = ("result.echo.s1", "t2") if service is ECHO else ("outcome", "t1")
                return await log.read_one(task, name) is not None

            await until(done, "what came meanwhile is done", seconds=NOTICED)
            await until(lambda: ready(unused_tcp_port), "the probe says that it is well", seconds=NOTICED)
            assert fleet.pids[service.name] == before, "nobody had to start it again"
        finally:
            await fleet.stop(15.0)
            await bus.close()
