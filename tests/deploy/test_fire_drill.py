"""Fire drills: something is really broken, an alert that ships fires in a real Prometheus, and is over once it is mended.

Expressions are as they ship. Only how long something must have been so is shorter than in production.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from watched import TROUBLE, Prometheus, Services

from concertino.client import Client, Plan, Subtask
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from kit.ports import free_port
from kit.waiting import until

pytestmark = [
    pytest.mark.nats,
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus, of the package of that name"),
]

SERVICES = {"orchestrator": ["-m", "concertino.orchestrator"], "trouble": [TROUBLE]}


class Drill:
    """An installation on a NATS server of its own. ``rings`` and ``is_over`` wait for an alert."""

    def __init__(self, server: NatsServer, services: Services, prometheus: Prometheus, client: Client) -> None:
        self.server, self.services, self.prometheus, self.client = server, services, prometheus, client

    async def rings(self, alert: str) -> dict[str, str]:
        """Its labels and annotations, once it fires."""

        async def fires() -> bool:
            return alert in await self.prometheus.firing()

        await until(fires, f"{alert} fires", seconds=90)
        return (await self.prometheus.firing()).get(alert, {})

    async def is_over(self) -> None:
        async def silent() -> bool:
            return not await self.prometheus.firing()

        await until(silent, "no alert fires", seconds=90)


@pytest.fixture
async def drill(subjects: Subjects, tmp_path: Path) -> AsyncIterator[Drill]:
    async with NatsServer(tmp_path / "nats", free_port()) as server:
        env = {"CTN_NATS_URL": server.url, "CTN_PREFIX": subjects.prefix, "CTN_LEASE": "3"}
        services = Services(SERVICES, env, tmp_path)
        with services.all(), Prometheus.watching(services.ports, tmp_path) as prometheus:
            await prometheus.sees(len(SERVICES))
            async with Client(config=Settings(nats_url=server.url, prefix=subjects.prefix)) as client:
                drill = Drill(server, services, prometheus, client)
                await drill.is_over()
                yield drill


async def test_work_whose_workers_died_rings_until_somebody_does_it(drill: Drill) -> None:
    plan = Plan(subtasks=(Subtask(id="s1", kind="trouble", objective="take its time"),), synthesize=False)
    task = await drill.client.submit("Something that takes long", plan=plan)

    async def begun() -> bool:
        return await drill.prometheus.value('concertino_in_flight{kind="trouble"}') == 1

    await until(begun, "it is worked on")
    drill.services.kill("trouble")
    alert = await drill.rings("ConcertinoNobodyServes")
    assert alert["kind"] == "trouble"
    assert alert["runbook_url"].endswith("/docs/operations.md#nobody-serves")
    drill.services.start("trouble")
    assert (await drill.client.wait(task, 60)).status == "answered"
    await drill.is_over()

    async def grown() -> bool:
        done = 'increase(concertino_results_total{kind="trouble", status="complete"}[5m])'
        return await drill.prometheus.value(done) == pytest.approx(1, rel=0.3)  # Prometheus extrapolates

    await until(grown, "what the process counts that came back grows, from the 0 that it shows at first")


async def test_a_server_that_is_away_rings_until_it_is_back(drill: Drill) -> None:
    drill.server.kill()
    alert = await drill.rings("ConcertinoOffTheBus")
    assert alert["severity"] == "critical"
    await drill.server.start()
    await drill.is_over()


async def test_the_last_orchestrator_that_leaves_rings_until_another_one_is_there(drill: Drill) -> None:
    drill.services.stop("orchestrator")
    await drill.rings("ConcertinoNobodyDecides")
    drill.services.start("orchestrator")
    await drill.is_over()
