"""Finish and the deadline, with the real services as processes on a real server, and a model that is scripted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS, own_workers
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.messages import WRITING_UP
from concertino.runtime.settings import settings
from concertino.testing import Asked, Hang, MessagesApi, Reply, Tool, UseTools
from kit import script
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

ECHO = Path(__file__).parent.parent / "kit" / "echo.py"
QUOTE = "the pause doubles each time"


@pytest.fixture
async def api() -> AsyncIterator[MessagesApi]:
    async with MessagesApi() as api:
        yield api


@pytest.fixture
async def fleet(api: MessagesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """One slot for each worker: what is behind another waits in the queue."""
    environment = {**api.environment(), "CTN_SLOTS": "1", "CTN_CACHE": str(tmp_path / "cache")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=(*ALWAYS, *own_workers([str(ECHO)])))
    await fleet.start(strict=True)
    yield fleet
    await fleet.stop(10.0)


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[Client]:
    async with Client(fleet.url) as client:

        async def there() -> bool:
            return {"echo", "docs", "code"} <= {worker.kind for worker in await client.workers()}

        await until(there, "the workers announce themselves")
        yield client


def researching(asked: Asked) -> Reply:
    """Looks once, then thinks without end; and writes up what there is when it is told that no more calls can be made."""
    if "is wanted now" in asked.text:
        return script.findings(script.claim("The pause doubles.", ("retries.md", QUOTE)))
    return Hang() if script.used(asked) else UseTools(Tool("search", query="retry pause"))


async def test_what_is_at_work_writes_up_what_it_read_and_the_rest_is_missing(
    api: MessagesApi, fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "retries.md").write_text(f"# Retries\n\nA failed request is retried; {QUOTE}.\n")
    api.on(script.of("research"), every=researching)
    source = Source(kind="docs", location=str(tmp_path / "retries.md"))
    docs = [Subtask(id=id_, kind="docs", objective=f"Find {id_}.", sources=(source,)) for id_ in ("first", "second")]
    after = Subtask(id="after", kind="echo", objective="say it", depends_on=("second",))
    task = await client.submit("How long is the pause?", sources=[source], plan=Plan(subtasks=(*docs, after)))
    await until(lambda: any(script.used(asked) for asked in api.asked), "the model thinks about what it read")

    began = time.monotonic()
    asked = subprocess.run(
        [sys.executable, "-m", "concertino.cli", "finish", task, "--reason", "enough", "--nats", fleet.url],
        capture_output=True,
        text=True,
        check=True,
    )
    seen = await client.wait(task, timeout=60)

    assert asked.stdout == f"task {task} is being finished\n"
    assert time.monotonic() - began < WRITING_UP
    assert seen.status == "partial"
    assert "and the caller asked to finish (enough)" in seen.reason
    by_id = {subtask.id: subtask for subtask in seen.subtasks}
    done = [subtask for subtask in by_id.values() if subtask.findings]
    assert [(subtask.status, subtask.kind) for subtask in done] == [("partial", "docs")]
    assert done[0].error.startswith("the caller asked to finish: what had been read after 1 calls was written up")
    assert sum(subtask.status == "missing" for subtask in by_id.values()) == 2
    assert seen.report is not None
    assert {citation.quote for citation in seen.report.citations} == {QUOTE}
    assert any("no worker had begun it" in gap for gap in seen.report.gaps)
    assert not await client.finish(task)
    assert sum(script.role(asked) == "research" for asked in api.asked) == 3  # two turns, and the write-up


async def test_at_the_deadline_what_is_missing_is_named_though_nobody_lived_to_see_it(fleet: Fleet, client: Client) -> None:
    """The orchestrator is dead, and so is a worker; the server dies too, and comes back. Then another orchestrator starts."""

    def echo(id_: str, seconds: float, *depends_on: str) -> Subtask:
        return Subtask(id=id_, kind="echo", objective=f"say {id_}", params={"seconds": seconds}, depends_on=depends_on)

    subtasks = (echo("one", 600), echo("two", 600), echo("after", 0, "one", "two"))  # one of them has the slot
    plan = Plan(subtasks=(*subtasks, Subtask(id="free", kind="code", objective="nothing", sources=())), synthesize=False)
    task = await client.submit("echo", plan=plan, limits=Limits(deadline=20))

    async def begun() -> bool:
        names = {str(fact.name) for fact in await client.facts(task)}
        return any(name.startswith("begun.result.echo") for name in names) and "result.code.free" in names

    await until(begun, "one is at work, and one is done")
    for service in ("orchestrator", "echo"):
        os.kill(fleet.pids[service], signal.SIGSTOP)
    os.kill(fleet.pids["nats"], signal.SIGKILL)
    state = await client.state(task)
    await until(lambda: time.time() > state.submitted_at + 17, "the time for results is up")
    os.kill(fleet.pids["orchestrator"], signal.SIGKILL)

    seen = await client.wait(task, timeout=60)

    assert seen.status in ("partial", "failed"), seen.reason
    assert "and did not end: it took too long, or its worker was lost" in seen.reason
    assert "no worker had begun it" in seen.reason
    assert "it depends on one, two, which did not come either" in seen.reason
