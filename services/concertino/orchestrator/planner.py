"""The planner: work of kind ``plan``. A model splits the request; what it returns is checked before it becomes a fact."""

from __future__ import annotations

from msgspec import structs

from concertino.contracts.errors import InvalidPlan
from concertino.contracts.messages import Plan, Planned, Submitted, Subtask
from concertino.contracts.plans import brief, max_subtasks, problems
from concertino.contracts.subjects import PLAN
from concertino.model.port import Planning
from concertino.worker import Context, Worker

worker = Worker(PLAN, "Splits a request into subtasks for the workers on the bus.", internal=True, slots=8)


@worker.handle
async def plan(_: Subtask, context: Context) -> Planned:
    """The plan of one round; for a later one it may be empty. Raises :class:`InvalidPlan` where the model's cannot be run."""
    work = context.work
    await context.progress("planning another round" if work.gaps else "planning")
    earlier = [item.subtask for item in work.inputs]
    kinds = tuple(a for a in await context.kinds() if not a.internal)
    left = max_subtasks(work.limits, brought=False) - len(earlier)
    answer = await context.model.plan(Planning(work=work, kinds=kinds, max_subtasks=left))
    made = _without_repeats(answer.value, earlier)
    if work.gaps and not made.subtasks:
        return Planned(plan=made, usage=answer.usage, model=context.model.name)  # nobody is left to ask
    task = Submitted(request=work.request, sources=work.sources, limits=work.limits)
    wrong = problems(made, task, {k.kind for k in kinds}, brought=False, earlier=earlier)
    if wrong:
        raise InvalidPlan("; ".join(wrong))
    return Planned(plan=made, usage=answer.usage, model=context.model.name)


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
