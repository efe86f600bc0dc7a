"""One task at a time, as its caller sees it: against the skeleton and the bare bus, in turn, on one server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from tests.benchmark.effort import Effort
from tests.benchmark.figures import Figure, median, percentile
from tests.benchmark.limit import limit
from tests.benchmark.site import WORKERS, site

GOALS = {1: 2.0, 10: 2.0, 100: 1.5, 1000: 1.5}
"""The most that the median may be, in medians of the skeleton."""
UNITS, UNIT, OVERHEAD = 8, 0.5, 10.0
"""Subtasks, seconds of each, and the milliseconds that they may take longer together than one by itself."""
MOST = 500


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Sizes one after the other, those who are compared one task each in turn."""
    async with site() as ours, limit(ours.fleet.url, WORKERS) as skeleton:
        for k in effort.sizes:
            took: dict[str, list[float]] = {"ours": [], "limit": [], "bare": [], "whole": [], "report": []}
            for run in range(effort.warm + MOST):
                if run == effort.warm:
                    end = time.perf_counter() + effort.seconds
                    took = {name: [] for name in took}
                elif run >= effort.warm + effort.least and time.perf_counter() > end:
                    break
                took["ours"].append(await ours.task(k) * 1e3)
                took["limit"].append(await skeleton.task(k) * 1e3)
                took["bare"].append(await ours.bare(k) * 1e3)
                took["whole"].append(await ours.task(k, whole=True) * 1e3)
                took["report"].append(await ours.task(k, report=True) * 1e3)
            base, times = median(took["limit"]), len(took["ours"])
            yield Figure(f"k = {k}, p50", median(took["ours"]), "ms", base, "limit", GOALS.get(k), note=f"{times} runs")
            yield Figure(f"k = {k}, p99", percentile(took["ours"], 99), "ms", percentile(took["limit"], 99), "limit")
            yield Figure(f"k = {k}, p50, against the bus", median(took["ours"]), "ms", median(took["bare"]), "bare bus")
            yield Figure(f"k = {k}, p50 with what each found", median(took["whole"]), "ms", base, "limit")
            yield Figure(f"k = {k}, p50 with a report", median(took["report"]), "ms", base, "limit")
        runs = max(effort.least, int(effort.seconds))
        overheads = [(await ours.task(UNITS, seconds=[UNIT] * UNITS) - UNIT) * 1e3 for _ in range(runs)]
        yield Figure(f"{UNITS} subtasks of {UNIT:g} s: overhead, p50", median(overheads), "ms", goal=OVERHEAD, judged="value")
