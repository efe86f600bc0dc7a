"""As much as there can be: many tasks at once, in slices, with the skeleton in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.benchmark.effort import Effort
from tests.benchmark.figures import Figure
from tests.benchmark.limit import limit
from tests.benchmark.scripted import Api, quickly
from tests.benchmark.site import SUBJECTS, WORKERS, Site, site

from concertino.cli.fleet.services import ALWAYS
from concertino.client import Limits, Source

GOAL = {100: 0.7}
"""The least that the rate of subtasks may be, in rates of the skeleton."""
AT_ONCE, IN_ALL = 64, 2000
"""The most tasks at once, and the most subtasks of all of them."""


async def rate(one: Callable[[], Awaitable[object]], at_once: int, seconds: float) -> float:
    """Of ``one``, so many a second while ``at_once`` are under way: none is begun after ``seconds``, and all are waited for."""
    done, began = 0, time.perf_counter()

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await one()
            done += 1

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return done / (time.perf_counter() - began)


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Each size in slices, and tasks as they are without a ready plan."""
    async with site() as ours, limit(ours.fleet.url, WORKERS) as skeleton:
        for k in effort.sizes:
            at_once = max(1, min(AT_ONCE, IN_ALL // k))
            mine: list[float] = []
            base: list[float] = []
            bare: list[float] = []
            for _ in range(effort.slices):
                mine.append(await rate(lambda k=k: ours.task(k), at_once, effort.seconds))  # type: ignore[misc]
                base.append(await rate(lambda k=k: skeleton.task(k), at_once, effort.seconds))  # type: ignore[misc]
                bare.append(await rate(lambda k=k: ours.bare(k), at_once, effort.seconds))  # type: ignore[misc]
            rates = [sum(found) / effort.slices * k for found in (mine, base, bare)]
            yield Figure(f"k = {k}", rates[0], "subtasks/s", rates[1], "limit", GOAL.get(k), least=True)
            yield Figure(f"k = {k}, against the bus", rates[0], "subtasks/s", rates[2], "bare bus")
    with Api(quickly) as api:
        async with site(of=ALWAYS, environment={"CTN_MODEL": "anthropic", **api.environment}) as ours:
            await question(ours)  # with the first one each process loads the SDK
            asked = await rate(lambda: question(ours), effort.questions, effort.seconds * effort.slices)
    note = "a plan, two workers with four calls of tools, a report; the scripted API shares the machine"
    yield Figure("planned and written by a model that takes no time", asked, "tasks/s", note=note)


async def question(ours: Site) -> None:
    """A task with all that belongs to it."""
    root = Api.MATERIAL
    sources = [Source(kind=kind, location=str(root / folder)) for kind, folder in (("docs", "docs"), ("code", "libs"))]
    view = await ours.client.ask("How long is work leased?", sources=sources, limits=Limits(max_rounds=1))
    if view.status not in ("answered", "partial"):
        raise SystemExit(f"a question on {SUBJECTS.prefix} ended as {view.status}: {view.reason}")
