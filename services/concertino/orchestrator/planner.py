"""The planner: work of kind ``plan``. A model splits the request; what it returns is checked before it becomes a fact.

Where the model cannot be had the rules of :mod:`concertino.model.extractive` plan, and the plan says so.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from msgspec import structs

from concertino.contracts.errors import (
    BudgetSpent,
    ConcertinoError,
    DeadlineExceeded,
    Invalid,
    InvalidPlan,
    ModelRefused,
    ModelRejected,
    Transient,
    Unusable,
)
from concertino.contracts.facts import failure
from concertino.contracts.messages import Plan, Settled, Submitted, Subtask
from concertino.contracts.plans import brief, max_subtasks, problems
from concertino.contracts.subjects import PLAN
from concertino.model import prompts
from concertino.model.port import Answer, Planning
from concertino.runtime.clock import Clock
from concertino.worker import Context, Worker
from concertino.worker.handlers import settle
from concertino.worker.quoting import ANOTHER_TRY

SHARE = 0.5
"""Of the time that is left: what a model may take to plan. The rest is for the work."""
PATIENCE = 0.5
"""Of the time that a task has: while more than this is left when a model is back, one that is away is waited for."""

_PROMPT = Path(__file__).with_name("plan.md")

worker = Worker(PLAN, "Splits a request into subtasks for the workers on the bus.", internal=True, slots=8)


@worker.handle
async def plan(_: Subtask, context: Context, clock: Clock = time.time) -> Settled:
    """The plan of one round; for a later one it may be empty.

    Raises :class:`InvalidPlan` where what was planned cannot be run, and :class:`ModelUnavailable` while a model that is away
    is worth waiting for.
    """
    work = context.work
    await context.progress("planning another round" if work.gaps else "planning")
    earlier = [item.subtask for item in work.inputs]
    kinds = tuple(a for a in await context.kinds() if not a.internal)
    task = Submitted(request=work.request, sources=work.sources, limits=work.limits)

    def check(made: Plan) -> list[str]:
        made = _without_repeats(made, earlier)
        if work.gaps and not made.subtasks:
            return []  # nobody is left to ask
        return problems(made, task, {k.kind for k in kinds}, brought=False, earlier=earlier, offers=kinds)

    seconds = (work.deadline - clock()) * SHARE
    job = Planning(
        # What the model tries again, it tries within its own time.
        work=structs.replace(work, deadline=work.deadline - seconds),
        kinds=kinds,
        max_subtasks=max_subtasks(work.limits, brought=False) - len(earlier),
        prompt=prompts.load(_PROMPT),
        check=check,
        hooks=context.hooks,
    )
    answer = await _asked(job, context, seconds, clock)
    if wrong := check(answer.value):
        raise InvalidPlan("; ".join(wrong))
    return settle(structs.replace(answer, value=_without_repeats(answer.value, earlier)), context)


async def _asked(job: Planning, context: Context, seconds: float, clock: Clock) -> Answer[Plan]:
    """What the model plans within ``seconds``; by rule where it cannot, and where waiting for it would cost too much time."""
    try:
        async with asyncio.timeout(seconds) as scope:
            return await context.model.plan(job)
    except TimeoutError as e:
        if not scope.expired():
            raise
        return await _by_rule(job, DeadlineExceeded(f"the model had no plan after {seconds:.0f} s"), e)
    except (BudgetSpent, ModelRejected, ModelRefused, Unusable, DeadlineExceeded) as e:
        return await _by_rule(job, e, e)
    except Transient as e:
        left = context.work.deadline - clock() - (e.after or 0.0)
        if context.last_attempt or left < max(PATIENCE * job.work.limits.deadline, ANOTHER_TRY):
            return await _by_rule(job, e, e)
        raise


async def _by_rule(job: Planning, why: ConcertinoError, cause: Exception) -> Answer[Plan]:
    from concertino.model.extractive import Extractive  # reads its lists of words, which who has a model needs not

    rules = Extractive()
    try:
        answer = await rules.plan(job)
    except Invalid as e:
        raise type(why)(f"{why}; nor can it be planned by rule: {e}") from cause
    shortfall = structs.replace(failure(why), message=f"planned by rule, without the model: {why}", retryable=False)
    return structs.replace(answer, shortfall=shortfall, model=rules.name)


def _without_repeats(made: Plan, earlier: list[Subtask]) -> Plan:
    """A later round never repeats a brief; what depended on a repeated one depends on nothing there."""
    done = {brief(subtask) for subtask in earlier}
    kept = [subtask for subtask in made.subtasks if brief(subtask) not in done]
    if len(kept) == len(made.subtasks):
        return made
    ids = {subtask.id for subtask in kept} | {subtask.id for subtask in earlier}
    return structs.replace(
        made,
        subtasks=tuple(structs.replace(s, depends_on=tuple(needed for needed in s.depends_on if needed in ids)) for s in kept),
    )
