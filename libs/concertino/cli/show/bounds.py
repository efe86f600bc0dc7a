"""What a task and its parts may take at the most, in a line."""

from __future__ import annotations

from collections.abc import Iterator

from concertino.cli.durations import format_seconds
from concertino.cli.show.spending import dollars
from concertino.cli.show.text import plural
from concertino.contracts.messages import Subtask
from concertino.contracts.plans import max_subtasks
from concertino.contracts.view import TaskView


def of_task(task: TaskView) -> str:
    """All that bounds ``task``; empty where it is not known."""
    limits = task.limits
    if limits is None:
        return ""
    brought = any(round_.planning is None for round_ in task.plan.rounds[:1])
    parts = [
        format_seconds(limits.deadline),
        plural(max_subtasks(limits, brought=brought), "subtask"),
        plural(limits.max_rounds, "round"),
        *_spending(task.max_tokens, task.max_cost),
        *([] if limits.max_queued is None else [f"{format_seconds(limits.max_queued)} in a queue"]),
    ]
    return ", ".join(parts)


def of_subtask(subtask: Subtask) -> str:
    """What its brief allows; empty where nothing but the task bounds it."""
    parts = [
        *([] if subtask.max_calls is None else [f"{plural(subtask.max_calls, 'call')} of tools"]),
        *([] if subtask.max_seconds is None else [format_seconds(subtask.max_seconds)]),
        *_spending(subtask.max_tokens, subtask.max_cost),
    ]
    return ", ".join(parts)


def _spending(tokens: int | None, cost: float | None) -> Iterator[str]:
    if tokens is not None:
        yield plural(tokens, "token")
    if cost is not None:
        yield dollars(cost)
