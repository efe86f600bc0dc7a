"""What the services need of the server is deleted under them: they go on, and nobody has to start them again."""

from __future__ import annotations

from pathlib import Path

import nats
import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import Service
from concertino.client import Client, Limits, Plan, Subtask
from concertino.runtime.settings import settings

pytestmark = [pytest.mark.processes, pytest.mark.nats]

SERVICES = (
    Service("orchestrator", "concertino.orchestrator", ("plan",)),
    Service("echo", str(Path(__file__).parent.parent / "kit" / "echo.py"), ("echo",)),
)
PLAN = Plan(subtasks=(Subtask(id="s1", kind="echo", objective="say it"),), synthesize=False)


async def test_every_consumer_of_every_service(tmp_path: Path) -> None:
    fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=SERVICES)
    await fleet.start(strict=True)
    try:
        async with Client(fleet.url) as client:
            before = dict(fleet.pids)
            first = await client.wait(await client.submit("before", plan=PLAN, limits=Limits(deadline=60)), timeout=60)
            assert first.status == "answered"
            admin = await nats.connect(fleet.url)
            deleted = []
            for stream in await admin.jetstream().streams_info():
                for consumer in await admin.jetstream().consumers_info(stream.config.name or ""):
                    await admin.jetstream().delete_consumer(stream.config.name or "", consumer.name)
                    deleted.append(consumer.name)
            await admin.close()
            assert len(deleted) >= 3, "of the orchestrator, and of both lanes of the worker"
            after = await client.wait(await client.submit("after", plan=PLAN, limits=Limits(deadline=90)), timeout=100)
            assert after.status == "answered"
            assert dict(fleet.pids) == before
    finally:
        await fleet.stop(15.0)
