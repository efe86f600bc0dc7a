"""A worker process that is slow, or stands still, and another that is not: what a second attempt brings, and what it leaves."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tracing_stage import Installation

from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Begun, Result, Spent, Usage
from concertino.contracts.state import State
from kit.otlp import Collector
from kit.waiting import until

pytestmark = [pytest.mark.nats, pytest.mark.processes, pytest.mark.timeout(180)]

WORK = "result.shaky.s1"
SPENT = Usage(model_calls=1, input_tokens=100, output_tokens=10)


async def begin(installation: Installation, client: Client, tmp_path: Path, port: int, **env: str) -> tuple[str, Fact]:
    """Two workers, and a task whose subtask the first of them to get it is slow with: the task, and that it has begun."""
    await installation.start("orchestrator", CTN_HEDGE="off,shaky=2", CTN_PORT=str(port))
    await installation.start("shaky", "shaky too", **env)

    async def both() -> bool:
        return sum(worker.replicas for worker in await client.workers() if worker.kind == "shaky") == 2

    await until(both)
    slow = Subtask(id="s1", kind="shaky", objective="slow at first", params={"mark": str(tmp_path / "mark")})
    task = await client.submit("slow", plan=Plan(subtasks=(slow,), synthesize=False), limits=Limits(deadline=100))
    return task, await fact(client, task, f"begun.{WORK}.1")


async def fact(client: Client, task: str, name: str) -> Fact:
    found: list[Fact] = []

    async def there() -> bool:
        found[:] = [fact for fact in await client.facts(task) if str(fact.name) == name]
        return bool(found)

    await until(there, name)
    return found[0]


def hedges(port: int) -> dict[str, float]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return {
        name: float(value)
        for line in lines
        if line.startswith("concertino_hedges")
        for name, _, value in [line.rpartition(" ")]
    }


async def test_the_slow_attempt_is_aborted_and_booked_apart_and_all_can_be_told(
    installation: Installation, spans: Collector, client: Client, tmp_path: Path, unused_tcp_port: int
) -> None:
    task, first = await begin(installation, client, tmp_path, unused_tcp_port)
    seen = await client.wait(task, 60)
    assert seen.status == "answered"
    lost = await fact(client, task, f"spent.{WORK}.1")
    state: State = await client.state(task)
    result = state.results[WORK]
    assert isinstance(first.message, Begun)
    assert isinstance(lost.message, Spent)
    assert result.hedge
    assert result.worker != first.message.worker == lost.message.worker
    assert (result.usage, lost.message.usage, lost.message.why) == (SPENT, SPENT, "another attempt was first")
    assert state.usage == SPENT + SPENT
    assert lost.time - state.times[WORK] < 1.0
    began = first.time - first.message.seconds
    assert 2.0 <= state.times[WORK] - began < 10.0
    assert state.sent == {WORK: 2}

    async def counted() -> bool:
        ended = hedges(unused_tcp_port)
        return ended.get('concertino_hedges_ended_total{hedge="won",kind="shaky"}', 0) >= 1

    await until(counted)
    assert hedges(unused_tcp_port)['concertino_hedges_total{kind="shaky"}'] >= 1

    # The trace has both, each linked to the other.
    process = f"process {installation.config.prefix}.work.interactive.shaky"

    def attempts() -> list[Any]:
        return [span for span in spans.named(process) if span.attributes.get("concertino.work") == WORK]

    def lost_and_won() -> tuple[list[Any], list[Any]]:
        """A hedge that was offered to whoever is slow, and handed back, has a span that says so."""
        slow = [span for span in attempts() if "another attempt was first" in span.events]
        return slow, [span for span in attempts() if span.attributes.get("concertino.before") == "slow" and not span.events]

    await until(lambda: all(lost_and_won()), "spans of both")
    [slow], [won] = lost_and_won()
    assert slow.trace == won.trace
    assert won.links == (slow.id,)
    assert slow.links == (won.id,)
    assert not slow.error

    # So has the timeline.
    status, _ = await installation.run("-m", "concertino.cli", "trace", task, "--html", str(tmp_path / "page.html"))
    assert status == 0
    assert "a second attempt on" in (tmp_path / "page.html").read_text()


async def test_a_process_that_stands_still_is_not_waited_for(
    installation: Installation, client: Client, tmp_path: Path, unused_tcp_port: int
) -> None:
    task, first = await begin(installation, client, tmp_path, unused_tcp_port, CTN_LEASE="60")
    assert isinstance(first.message, Begun)
    pid = int(first.message.worker.split("-")[-2])
    os.kill(pid, signal.SIGSTOP)
    try:
        result = await fact(client, task, WORK)
        assert isinstance(result.message, Result)
        assert result.message.hedge
        assert result.message.worker != first.message.worker
    finally:
        os.kill(pid, signal.SIGCONT)
    lost = await fact(client, task, f"spent.{WORK}.1")  # it hears what was said while it stood still
    assert isinstance(lost.message, Spent)
    assert (lost.message.worker, lost.message.usage) == (first.message.worker, SPENT)
    assert (await client.wait(task, 60)).status == "answered"
