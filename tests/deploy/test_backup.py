"""A copy of the server's volume, taken while it works, brings back what was acknowledged: as docs/operations.md says."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from watched import TROUBLE, Services

from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from kit.waiting import until

SERVICES = {"orchestrator": ["-m", "concertino.orchestrator"], "trouble": [TROUBLE]}


def plan(what: str) -> Plan:
    return Plan(subtasks=(Subtask(id="s0", kind="trouble", objective=what),), synthesize=False)


@contextmanager
def still(server: NatsServer) -> Iterator[None]:
    """A snapshot is of one moment. What is copied while the server writes may be gone before it is reached."""
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.nats
@pytest.mark.processes
@pytest.mark.timeout(180)
async def test_tasks_are_there_again_and_those_that_ran_go_on(subjects: Subjects, tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        env = {"CTN_NATS_URL": server.url, "CTN_PREFIX": subjects.prefix, "CTN_LEASE": "3", "CTN_GRACE": "0"}
        services = Services(SERVICES, env, tmp_path)
        with services.all():
            await services.ready()
            async with Client(config=Settings(nats_url=server.url, prefix=subjects.prefix)) as client:
                ended = await client.ask("Soon done", plan=plan("go well"))
                running = await client.submit("Takes long", plan=plan("take long"))
                late = await client.submit("Too long", plan=plan("take no notice of the time"), limits=Limits(deadline=3))

                async def both_at_work() -> bool:
                    facts = [fact for task in (running, late) for fact in await client.facts(task)]
                    return sum(fact.name.type == "begun" for fact in facts) >= 2

                await until(both_at_work, "both are worked on")
                with still(server):
                    shutil.copytree(tmp_path / "nats", tmp_path / "copy")
    async with NatsServer(tmp_path / "copy") as server:
        services = Services(SERVICES, {**env, "CTN_NATS_URL": server.url}, tmp_path)
        async with Client(config=Settings(nats_url=server.url, prefix=subjects.prefix)) as client:
            before = await client.show(ended.task)
            assert before == ended
            with services.all():
                assert (await client.wait(running, 60)).status == "answered"
                assert (await client.wait(late, 60)).status == "failed"
