"""What the services need of the server is deleted under them: they go on, and nobody has to start them again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client as Nats

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import Service
from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import settings
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

SERVICES = (
    Service("orchestrator", "concertino.orchestrator", ("plan",)),
    Service("echo", str(Path(__file__).parent.parent / "kit" / "echo.py"), ("echo",)),
)
PLAN = Plan(subtasks=(Subtask(id="s1", kind="echo", objective="say it"),), synthesize=False)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """One piece of work at a time, and short leases."""
    monkeypatch.setenv("CTN_SLOTS", "1")
    monkeypatch.setenv("CTN_LEASE", "2")


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=SERVICES)
    await fleet.start(strict=True)
    yield fleet
    await fleet.stop(15.0)


@pytest.fixture
async def admin(fleet: Fleet) -> AsyncIterator[Nats]:
    """Who deletes."""
    nc = await nats.connect(fleet.url)
    yield nc
    await nc.close()


async def test_every_consumer_of_every_service(fleet: Fleet, admin: Nats) -> None:
    async with Client(fleet.url) as client:
        before = dict(fleet.pids)
        first = await client.wait(await client.submit("before", plan=PLAN, limits=Limits(deadline=60)), timeout=60)
        assert first.status == "answered"
        deleted = []
        for stream in await admin.jetstream().streams_info():
            for consumer in await admin.jetstream().consumers_info(stream.config.name or ""):
                await admin.jetstream().delete_consumer(stream.config.name or "", consumer.name)
                deleted.append(consumer.name)
        assert len(deleted) >= 3, "of the orchestrator, and of both lanes of the worker"
        after = await client.wait(await client.submit("after", plan=PLAN, limits=Limits(deadline=90)), timeout=100)
        assert after.status == "answered"
        assert dict(fleet.pids) == before


@pytest.mark.usefixtures("hurry")
async def test_every_stream_one_after_another(fleet: Fleet, admin: Nats) -> None:
    """What was in it is lost, and said to be; what is submitted afterwards is answered."""
    async with Client(fleet.url) as client:
        before = dict(fleet.pids)
        names = [stream.config.name or "" for stream in await admin.jetstream().streams_info()]
        assert len(names) == 9

        async def announced() -> bool:
            return "echo" in {worker.kind for worker in await client.workers()}

        for name in names:
            await admin.jetstream().delete_stream(name)
            if name == f"KV_{Subjects().workers_bucket}":
                await until(announced, "who is there says so again", seconds=60)
            task = await client.submit(f"after {name}", plan=PLAN, limits=Limits(deadline=90))
            assert (await client.wait(task, timeout=100)).status == "answered", name
        there = {stream.config.name for stream in await admin.jetstream().streams_info()}
        assert there == set(names), "those that nobody needed just then, too, once somebody did"
        assert dict(fleet.pids) == before


@pytest.mark.usefixtures("hurry")
async def test_the_queues_with_work_in_them_and_under_way(fleet: Fleet, admin: Nats) -> None:
    async with Client(fleet.url) as client:

        async def submitted(request: str, seconds: float, deadline: float) -> str:
            brief = Subtask(id="s1", kind="echo", objective="say it", params={"seconds": seconds})
            plan = Plan(subtasks=(brief,), synthesize=False)
            return await client.submit(request, plan=plan, limits=Limits(deadline=deadline))

        running = await submitted("under way", 5.0, 90)
        work = Subjects().work_stream

        async def depth(wanted: int) -> bool:
            return (await admin.jetstream().stream_info(work)).state.messages == wanted

        await until(lambda: depth(1))
        waiting = await submitted("in the queue", 0.0, 90)
        await until(lambda: depth(2))
        await admin.jetstream().delete_stream(work)
        after = await submitted("after", 0.0, 90)
        assert (await client.wait(running, timeout=100)).status == "answered"
        assert (await client.wait(after, timeout=100)).status == "answered"
        sent_again = await client.wait(waiting, timeout=100)
        assert sent_again.status == "answered", "what waited there is sent again"
        state = await client.state(running)
        assert (state.results["result.echo.s1"].attempts, len(state.begun)) == (1, 1), "and what was under way is not"


async def test_deadlines_are_kept_after_the_timers_were_deleted(fleet: Fleet, admin: Nats) -> None:
    async with Client(fleet.url) as client:
        for number in range(3):  # the log has taken something from the timers
            await client.wait(await client.submit(str(number), plan=PLAN, limits=Limits(deadline=60)), timeout=60)
        await admin.jetstream().delete_stream(Subjects().timers_stream)
        brief = Subtask(id="s1", kind="echo", objective="say it", params={"seconds": 600})
        plan = Plan(subtasks=(brief,), synthesize=False)
        task = await client.submit("endless", plan=plan, limits=Limits(deadline=3))
        assert (await client.wait(task, timeout=100)).status == "failed"
