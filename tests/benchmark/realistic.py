"""A task as tasks are: a plan, twelve subtasks whose model takes its time, a report; and one answer that takes far too long."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator
from itertools import count

from tests.benchmark import recorded
from tests.benchmark.effort import Effort
from tests.benchmark.figures import Figure
from tests.benchmark.recorded import Straggles, Timing
from tests.benchmark.scripted import Api
from tests.benchmark.site import SUBJECTS, Site, site

from concertino.cli.fleet.services import ALWAYS, Service
from concertino.client import Limits, Source
from concertino.contracts.codec import decode
from concertino.contracts.messages import Dispatched

GOAL = 1.15
_OTHERS = 1000
"""The number of the first question that is asked to warm up, or beside those with a straggler."""


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Against the critical path: the model's plan, the slowest part if none straggled, and the model's report."""
    needed = (service for service in ALWAYS if service.name != "code")
    of = (*needed, *(Service(f"docs-{n}", "concertino.docs") for n in range(2, effort.readers + 1)))
    with Api(functools.partial(recorded.rules, pace=effort.pace)) as api:
        told = {"CTN_MODEL": "anthropic", **api.environment}
        others = count(_OTHERS)
        async with site(of=of, environment=told) as ours:
            await _asked(ours, next(others), "hurried", effort.pace)  # with the first one processes load what they need
            for _ in range(effort.learned):
                await _asked(ours, next(others), "never", effort.pace)
            usual = list[Asked]()
            late: dict[Straggles, list[Asked]] = {"searching": [], "answering": []}
            for question in range(1, effort.runs + 1):
                for straggles, found in late.items():
                    found.append(await _asked(ours, question, straggles, effort.pace))
                    usual.append(await _asked(ours, next(others), "never", effort.pace))
        yield _figure("no straggler", usual)
        hedges = sum(asked.hedges for asked in usual) / len(usual) / recorded.PARTS
        yield Figure("subtasks hedged where none straggles", hedges * 100, "%")
        yield _figure("a straggler, hedged", [asked for found in late.values() for asked in found], GOAL)
        for straggles, found in late.items():
            yield _figure(f"of these: stuck while {straggles}", found)
        async with site(of=of, environment={**told, "CTN_HEDGE": "off"}) as ours:
            await _asked(ours, next(others), "hurried", effort.pace)
            again = range(effort.runs + 1, 2 * effort.runs + 1)  # of one that was asked before nothing straggles
            unhedged = [await _asked(ours, question, "answering", effort.pace) for question in again]
        yield _figure("a straggler, not hedged", unhedged)


class Asked:
    """A question, answered."""

    def __init__(self, took: float, path: float, hedges: int) -> None:
        self.took, self.path, self.hedges = took, path, hedges


def _figure(name: str, found: list[Asked], goal: float | None = None) -> Figure:
    took, path = (sum(values) / len(found) for values in ([a.took for a in found], [a.path for a in found]))
    return Figure(name, took, "s", path, "critical path", goal, note=f"mean of {len(found)}")


async def _asked(ours: Site, question: int, straggles: Straggles, pace: float) -> Asked:
    began = time.perf_counter()
    sources = [Source(kind="docs", location=str(Api.MATERIAL / "docs"))]
    view = await ours.client.ask(recorded.request(question, straggles), sources=sources, limits=Limits(max_rounds=1))
    took = time.perf_counter() - began
    if view.status != "answered" or len(view.subtasks) != recorded.PARTS:
        raise SystemExit(f"question {question} ended as {view.status} with {len(view.subtasks)} parts: {view.reason}")
    facts = await ours.bus.read(SUBJECTS.tasks_stream, SUBJECTS.task(view.task))
    sent = [fact for fact in facts if ".dispatched." in fact.subject]
    hedges = sum(attempt > 1 for fact in sent for _, attempt in decode(Dispatched, fact.data).work)
    return Asked(took, Timing.of(question, pace).path(pace), hedges)
