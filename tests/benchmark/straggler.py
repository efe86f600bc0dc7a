"""A task as tasks are: twelve subtasks whose models take their time, and one that takes ten times as long as it should."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.benchmark.figures import Figure, median
from tests.benchmark.site import site

TOOK = (0.62, 0.41, 0.88, 0.55, 1.34, 0.47, 0.73, 0.52, 0.95, 0.66, 0.44, 1.12)
"""Seconds of each: spread as answers of models are."""
LATE = 10
GOAL = 1.15
LEARNED, RUNS = 5, 5
"""Tasks without a straggler, from which it is known what is slow; tasks with one, after each of which there are as many
without again: one in twenty subtasks may be done twice."""
BETWEEN = 2


async def figures() -> AsyncIterator[Figure]:
    """Against the critical path, which is the slowest of the others."""
    path, late = max(TOOK), median(TOOK) * LATE
    for hedge, goal in (("auto", GOAL), ("off", None)):
        async with site(environment={"CTN_HEDGE": hedge}) as ours:
            for _ in range(LEARNED):
                await ours.task(len(TOOK), seconds=TOOK)
            took: list[float] = []
            for _ in range(RUNS):
                took.append(await ours.task(len(TOOK), seconds=TOOK, straggles=late))
                for _ in range(BETWEEN):
                    await ours.task(len(TOOK), seconds=TOOK)
        name = f"twelve subtasks, one of {late:.1f} s, {'hedged' if hedge == 'auto' else 'not hedged'}"
        yield Figure("straggler", name, median(took), "s", path, "critical path", goal)
