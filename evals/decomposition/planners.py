"""Who plans: the product's own planner, by rules or on a model, for a fleet that is announced on a bus in this process."""

from __future__ import annotations

import asyncio
import functools
import operator
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from msgspec import structs

from concertino.bus import topology
from concertino.bus.announcements import announce
from concertino.bus.memory import MemoryBus
from concertino.bus.port import Bus
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Announcement, Effort, Planned, ResultStatus, Subtask, Usage, Work
from concertino.model.port import Model
from concertino.orchestrator.planner import plan
from concertino.runtime.settings import Settings
from concertino.worker import Context
from evals.decomposition.judge import Verdict, judge
from evals.decomposition.requests import Request

AT_ONCE = 4
"""Requests that a model plans at the same time."""


async def judged(
    model: Model,
    requests: Sequence[Request],
    kinds: Sequence[Announcement],
    tell: Callable[[str], None],
    *,
    effort: Effort | None = None,
) -> list[Verdict]:
    """Every request planned and judged; with ``effort`` where a request says nothing of it."""
    room = asyncio.Semaphore(AT_ONCE)
    async with _bus(kinds) as bus:

        async def one(number: int, request: Request) -> Verdict:
            async with room:
                tell(f"{model.name}: {number}/{len(requests)} {request.domain}: {request.ask}")
                return await _judged(model, bus, request, effort)

        return list(await asyncio.gather(*(one(number, request) for number, request in enumerate(requests, 1))))


async def _judged(model: Model, bus: Bus, request: Request, effort: Effort | None) -> Verdict:
    limits = structs.replace(request.limits, effort=effort) if effort and request.limits.effort == "auto" else request.limits
    brief = Subtask(id="plan-0", kind="plan", objective=request.ask, sources=request.given)
    work = Work(
        task="eval",
        id="plan.0",
        attempt=1,
        request=request.ask,
        brief=brief,
        sources=request.given,
        limits=limits,
        deadline=time.time() + limits.deadline,
    )
    context = Context(work, bus=bus, model=model, settings=Settings(), say=_silent, last_attempt=True)
    started = time.perf_counter()
    try:
        planned = await plan(brief, context)
    except ConcertinoError as e:
        return judge(request, None, trouble=str(e), seconds=time.perf_counter() - started, usage=_total(context))
    assert isinstance(planned, Planned)
    # A makeshift is a plan of the rules', and they are judged beside.
    made = planned.plan if planned.status == ResultStatus.COMPLETE else None
    trouble = planned.error.message if planned.error else ""
    return judge(request, made, trouble=trouble, seconds=time.perf_counter() - started, usage=_total(context))


def _total(context: Context) -> Usage:
    return functools.reduce(operator.add, context.spent.values(), Usage())


@asynccontextmanager
async def _bus(kinds: Sequence[Announcement]) -> AsyncIterator[Bus]:
    subjects = Settings().subjects
    bus = MemoryBus(subjects)
    try:
        await bus.provision(topology.installation(subjects))
        for kind in kinds:
            await announce(bus, subjects, kind)
        yield bus
    finally:
        await bus.close()


async def _silent(_: str, __: str) -> None:
    """Nobody follows."""
