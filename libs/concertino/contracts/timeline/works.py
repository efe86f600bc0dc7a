"""Which pieces of work the log of a task tells of, in the order of rounds, and what each had to wait for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from concertino.contracts.messages import Settled, Subtask
from concertino.contracts.state import State
from concertino.contracts.subjects import PLAN, SYNTHESIZE


@dataclass(frozen=True)
class Work:
    """``before`` and ``after`` are ids of work: the stage before this one, and what a subtask depends on beside that."""

    id: str
    name: str
    kind: str
    round: int
    text: str = ""
    settled: Settled | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def works(state: State, begun: Iterable[str]) -> list[tuple[Work, ...]]:
    """Planning, subtasks and report of each round, in this order; stages without work are left out.

    ``begun`` are the ids of work of which the log knows deliveries. Subtasks in no plan (it has expired) stand in the
    first round; work without a name, which only a stranger tells of, nowhere: no name is that of the time between.
    """
    told = dict.fromkeys((*state.sent, *begun, *(state.results if state.submitted is None else ())))
    told |= dict.fromkeys(name for name in state.times if name.startswith(("plan.", "synthesis.")))
    # What was done before the task began took none of its time.
    planned: dict[int, Mapping[str, Subtask]] = {
        round_.number: {s.work_id: s for s in round_.plan.subtasks if s.work_id not in state.done} for round_ in state.rounds
    }
    known = state.done | {id_ for subtasks in planned.values() for id_ in subtasks}
    stray = [id_ for id_ in told if id_ and id_ not in known and _number(id_) is None]
    numbers = sorted({*planned, *([0] if stray else []), *(n for id_ in told if (n := _number(id_)) is not None)})
    several = len(numbers) > 1
    stages: list[tuple[Work, ...]] = []
    before: tuple[str, ...] = ()
    for number in numbers:
        plan, report, suffix = f"plan.{number}", f"synthesis.{number}", f" {number + 1}" if several else ""
        made = state.plans.get(number) if plan in state.times else None  # a caller's own was no work
        planning = Work(plan, f"planning{suffix}", PLAN, number, "", made)
        writing = Work(report, f"report{suffix}", SYNTHESIZE, number, "", state.syntheses.get(number))
        subtasks = _subtasks(state, number, planned.get(number, {}))
        if number == 0:
            subtasks += tuple(_stray(state, id_) for id_ in stray)
        for stage in ((planning,) if plan in told else (), subtasks, (writing,) if report in told else ()):
            if stage:
                stages.append(tuple(replace(work, before=before) for work in stage))
                before = tuple(work.id for work in stage)
    return stages


def _number(id_: str) -> int | None:
    """The round in the id of a plan or a report."""
    type_, _, about = id_.partition(".")
    return int(about) if type_ in ("plan", "synthesis") and about.isdecimal() and len(about) < 10 else None


def _subtasks(state: State, number: int, planned: Mapping[str, Subtask]) -> tuple[Work, ...]:
    ids = {subtask.id: id_ for id_, subtask in planned.items()}
    return tuple(
        Work(
            id_,
            subtask.id,
            subtask.kind,
            number,
            subtask.objective,
            state.results.get(id_),
            after=tuple(ids[name] for name in subtask.depends_on if name in ids),
        )
        for id_, subtask in planned.items()
    )


def _stray(state: State, id_: str) -> Work:
    kind, _, name = id_.partition(".")[2].rpartition(".")
    return Work(id_, name or id_, kind or "?", 0, "", state.results.get(id_))
