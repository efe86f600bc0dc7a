"""Where the time goes: what each process takes of the processor for one task, and what its counterpart in the skeleton takes.

Seconds of the processor are told apart by process, whatever else the machine does meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from tests.benchmark.effort import Effort
from tests.benchmark.figures import Figure
from tests.benchmark.limit import limit
from tests.benchmark.processes import Taken
from tests.benchmark.site import WORKERS, site

CLIENT, SERVER, ORCHESTRATOR, WORKERS_TOGETHER = "client", "nats", "orchestrator", "workers"


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """One task after the other, of each size, in slices. The clients are one process, which is idle but for them."""
    async with site() as ours, limit(ours.fleet.url, WORKERS) as skeleton:
        pids = ours.fleet.pids
        echoes = [pid for name, pid in pids.items() if name.startswith("echo-")]
        shared = {SERVER: [pids[SERVER]], CLIENT: [os.getpid()]}
        processes = {**shared, ORCHESTRATOR: [pids[ORCHESTRATOR]], WORKERS_TOGETHER: echoes}
        beside = {**shared, **skeleton.pids}
        for k in effort.sizes:
            runs = max(2, round(400 * effort.seconds / 4 / k**0.5))
            mine = dict.fromkeys(processes, 0.0)
            base = dict.fromkeys(beside, 0.0)
            for _ in range(effort.slices):
                _add(mine, await _taken(processes, lambda k=k: ours.task(k), runs))  # type: ignore[misc]
                _add(base, await _taken(beside, lambda k=k: skeleton.task(k), runs))  # type: ignore[misc]
            each = 1e3 / runs / effort.slices
            yield Figure(f"k = {k}, all", sum(mine.values()) * each, "ms", sum(base.values()) * each, "limit")
            for name in (SERVER, ORCHESTRATOR, WORKERS_TOGETHER, CLIENT):
                yield Figure(f"k = {k}, {name}", mine[name] * each, "ms", base[name] * each, "limit")


async def _taken(processes: Mapping[str, Sequence[int]], task: Callable[[], Awaitable[object]], runs: int) -> dict[str, float]:
    """Seconds of the processor that each of ``processes`` took for ``runs``, after one that is not counted."""
    await task()
    before = _now(processes)
    for _ in range(runs):
        await task()
    return {name: seconds - before[name] for name, seconds in _now(processes).items()}


def _now(processes: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {name: sum(Taken.by(pid).cpu for pid in pids) for name, pids in processes.items()}


def _add(to: dict[str, float], more: Mapping[str, float]) -> None:
    for name, seconds in more.items():
        to[name] += seconds
