"""A copy of the server's volume, taken while it works, brings back what was acknowledged: as docs/operations.md says."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from watched import TROUBLE, Services

from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings

SERVICES = {"orchestrator": ["-m", "concertino.orchestrator"], "trouble": [TROUBLE]}


def plan(what: str) -> Plan:
    return Plan(subtasks=(Subtask(id="s0", kind="trouble", objective=what),), synthesize=False)


@pytest.mark.nats
@pytest.mark.processes
@pytest.mark.timeout(180)
async def test_tasks_are_there_again_and_those_that_ran_go_on(subjects: Subjects, tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        env = {"CTN_NATS_URL": server.url, "CTN_PREFIX": subjects.prefix, "CTN_LEASE": "3"}
        services = Services(SERVICES, env, tmp_path)
        with services.all():
            await services.ready()
            async with Client(config=Settings(nats_url=server.url, prefix=subjects.prefix)) as client:
                ended = await client.ask("Soon done", plan=plan("go well"))
                running = await client.submit("Takes long", plan=plan("take long"))
                late = await client.submit("Too long", plan=plan("take no notice of the time"), limits=Limits(deadline=3))
                await asyncio.sleep(0.5)
                shutil.copytree(tmp_path / "nats", tmp_path / "copy")
    async with NatsServer(tmp_path / "copy") as server:
        services = Services(SERVICES, {**env, "CTN_NATS_URL": server.url}, tmp_path)
        async with Client(config=Settings(nats_url=server.url, prefix=subjects.prefix)) as client:
            before = await client.show(ended.task)
            assert before == ended
            with services.all():
                assert (await client.wait(running, 60)).status == "answered"
                assert (await client.wait(late, 60)).status == "failed"
