"""A plan, to be read before it is run."""

from __future__ import annotations

from collections.abc import Iterator

from concertino.cli.show.bounds import of_subtask, of_task
from concertino.cli.show.text import clean, one_line
from concertino.contracts.messages import Subtask
from concertino.contracts.view import TaskView


def plan(task: TaskView) -> Iterator[tuple[str, str]]:
    """Lines of text with a style each (``""``, ``bold`` or ``dim``)."""
    if bounds := of_task(task):
        yield f"at most {bounds}", "dim"
    for number, round_ in enumerate(task.plan.rounds):
        if number:
            yield "", ""
        if round_.why:
            yield one_line(round_.why), "dim"
        for subtask in round_.subtasks:
            yield "", ""
            yield f"{clean(subtask.id)}  {clean(subtask.kind)}  {one_line(subtask.objective)}", "bold"
            yield from ((f"    {name}: {value}", "") for name, value in _details(subtask) if value)


def _details(subtask: Subtask) -> Iterator[tuple[str, str]]:
    yield "why", one_line(subtask.why)
    yield "expected", one_line(subtask.expected_output)
    yield "boundaries", one_line(subtask.boundaries)
    yield "after", one_line(", ".join(subtask.depends_on))
    yield "start at", one_line(", ".join(subtask.starting_points))
    yield "sources", one_line(", ".join(source.location for source in subtask.sources or ()))
    yield "tools", one_line(", ".join(subtask.tools or ()))
    yield "at most", of_subtask(subtask)
