"""Every panel of every dashboard shows something, and what is true: real services, real tasks, a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import operator
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import reduce
from pathlib import Path

import pytest
from deploy.dashboards.boards import BOARDS
from watched import TROUBLE, Prometheus, Services

from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.messages import Result, Usage
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from concertino.testing import MessagesApi, Tool
from kit import script
from kit.site import Site, running
from kit.waiting import until

pytestmark = [
    pytest.mark.nats,
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus, of the package of that name"),
]

SERVICES = {
    "orchestrator": ["-m", "concertino.orchestrator"],
    "orchestrator-2": ["-m", "concertino.orchestrator"],
    "synthesizer": ["-m", "concertino.synthesizer"],
    "docs": ["-m", "concertino.docs"],
    "trouble": [TROUBLE],
}
QUOTE = "The relay waits 30 seconds before each retry."
MCP = Path(__file__).parents[1] / "integration" / "mcp" / "mcp_server.py"


def scripted(api: MessagesApi) -> None:
    """A task of one subtask, whose worker also asks for what is not there, and quotes something that nobody wrote."""
    api.on(script.of("plan"), every=script.split(script.brief("handbook", "docs", "How long it waits", sources="1 2")))
    api.on(
        script.of("research"),
        every=script.works(
            Tool("search", query="retry"),
            Tool("read", source="nothing.md"),
            Tool("tickets_search_tickets", query="relay"),
            then=script.findings(script.claim("It is 30 seconds.", ("retries.md", QUOTE))),
        ),
    )
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as site:
        site.pages["/relay.md"] = (200, {"Content-Type": "text/markdown"}, b"# Relay\n\nIt is grey.\n")
        yield site


@pytest.fixture
async def installation(nats_server: NatsServer, subjects: Subjects, tmp_path: Path) -> AsyncIterator[tuple[Client, Prometheus]]:
    """Two orchestrators, and one of everything else."""
    config = f'[mcp.tickets]\ncommand = [{json.dumps(sys.executable)}, {json.dumps(str(MCP))}]\nkinds = ["docs"]\n'
    (tmp_path / "concertino.toml").write_text(config)
    async with MessagesApi() as api:
        scripted(api)
        env = {
            **api.environment(),
            "CTN_NATS_URL": nats_server.url,
            "CTN_PREFIX": subjects.prefix,
            "CTN_CACHE": str(tmp_path / "cache"),
            "CTN_CONFIG": str(tmp_path / "concertino.toml"),
            "CTN_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        services = Services(SERVICES, env, tmp_path)
        with services.all(), Prometheus.watching(services.ports, tmp_path) as prometheus:
            await prometheus.sees(len(SERVICES))
            async with Client(config=Settings(nats_url=nats_server.url, prefix=subjects.prefix)) as client:
                yield client, prometheus
        assert not api.unexpected


class Tasks:
    """Tasks that come out well and badly. ``names`` are those that were asked for."""

    def __init__(self, client: Client, log: TaskLog, sources: list[Source]) -> None:
        self._client, self._log, self._sources = client, log, sources
        self.names: list[str] = []

    async def run(self) -> None:
        await asyncio.gather(
            self._ask("How long does the relay wait?", sources=self._sources, limits=Limits(max_rounds=1)),
            self._ask("Trouble", plan=_plan("fail", "fail once", "go well")),
            self._ask("Too little time", plan=_plan("take no notice of the time"), limits=Limits(deadline=3)),
            self._late(),
        )

    async def states(self) -> list[State]:
        """What the log says of each."""
        return [fold(name, await self._log.read(name)) for name in self.names]

    async def _ask(
        self, request: str, plan: Plan | None = None, limits: Limits | None = None, sources: Sequence[Source] = ()
    ) -> str:
        task = await self._client.submit(request, plan=plan, limits=limits or Limits(), sources=sources)
        self.names.append(task)
        await self._client.wait(task, 60)
        return task

    async def _late(self) -> None:
        task = await self._client.submit("Too late", plan=_plan("take long"))
        self.names.append(task)

        async def begun() -> bool:
            return any(fact.name.type == "begun" for fact in await self._log.read(task))

        await until(begun, "a worker has begun")
        await self._log.write(task, "result.trouble.s0", Result(worker="faster"))
        await self._client.wait(task, 60)


def _plan(*objectives: str) -> Plan:
    subtasks = (Subtask(id=f"s{i}", kind="trouble", objective=what) for i, what in enumerate(objectives))
    return Plan(subtasks=tuple(subtasks), synthesize=False)


@pytest.mark.timeout(300)
async def test_every_panel_shows_something_and_what_is_true(
    installation: tuple[Client, Prometheus], nats_server: NatsServer, subjects: Subjects, site: Site, tmp_path: Path
) -> None:
    client, prometheus = installation
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "retries.md").write_text(f"# Retries\n\n{QUOTE}\n")
    locations = (str(tmp_path / "handbook"), site.url("/relay.md"))
    bus = await JetStream.connect(nats_server.url, "test", subjects)
    tasks = Tasks(client, TaskLog(bus, subjects), [Source(kind="docs", location=location) for location in locations])
    for _ in range(2):  # what was never seen before cannot have grown
        await tasks.run()
        await prometheus.looks_again()
    states = await tasks.states()
    await bus.close()
    queries = [(b.title, p.title, q.expr) for b in BOARDS for p in b.panels for q in p.queries]

    async def empty() -> list[tuple[str, str, str]]:
        return [query for query in queries if not await prometheus.values(query[-1])]

    async def all_filled() -> bool:
        return not await empty()

    with contextlib.suppress(AssertionError):  # a worker that comes too late may not have ended yet
        await until(all_filled)
    assert not await empty()
    await as_the_logs_say(prometheus, states)


async def as_the_logs_say(prometheus: Prometheus, states: list[State]) -> None:
    """What is counted, over all processes, is what stands in the logs of the tasks."""
    spent = reduce(operator.add, (state.usage for state in states), Usage())
    results = [*(r for s in states for r in (*s.results.values(), *s.plans.values(), *s.syntheses.values()))]
    of_ours = [result for result in results if result.worker not in ("", "faster")]
    reports = [s.outcome.report for s in states if s.outcome and s.outcome.report]
    missing = [t for s in states for t in s.subtasks if t.work_id not in s.results]
    said = {
        "sum(concertino_tasks_total)": len(states),
        'sum(concertino_tasks_total{outcome="answered"})': sum(s.outcome.status == "answered" for s in states if s.outcome),
        'sum(concertino_task_seconds_count{outcome!="x"})': len(states),
        "sum(concertino_results_total)": len(of_ours),
        "sum(concertino_failed_results_total)": sum(result.status == "failed" for result in of_ours),
        "sum(concertino_missing_results_total)": len(missing),
        "sum(concertino_rounds_total)": sum(len(state.rounds) for state in states),
        "sum(concertino_model_calls_total)": spent.model_calls,
        'sum(concertino_tokens_total{type="input"})': spent.input_tokens,
        'sum(concertino_tokens_total{type="output"})': spent.output_tokens,
        'sum(concertino_tokens_total{type="cache_read"})': spent.cache_read_tokens,
        "sum(concertino_cost_dollars_total)": pytest.approx(spent.cost_usd),
        'sum(concertino_citations_total{check="passed"})': sum(report.checked for report in reports),
        'sum(concertino_citations_total{check="failed"})': sum(report.dropped for report in reports),
        "sum(concertino_task_seconds_sum)": pytest.approx(
            sum(state.times["outcome"] - state.submitted_at for state in states), abs=0.5 * len(states)
        ),
        # Nothing waits any more, however many orchestrators say so; and nobody is at work.
        "sum(max by (kind, lane) (concertino_pending + concertino_ack_pending))": 0,
        "sum(concertino_in_flight)": 0,
    }
    assert spent.cost_usd > 0
    assert missing

    async def agreed() -> bool:
        return [await prometheus.value(expr) for expr in said] == list(said.values())

    try:
        await until(agreed)  # of the last second it has not heard yet
    except AssertionError:
        assert {expr: await prometheus.value(expr) for expr in said} == said
