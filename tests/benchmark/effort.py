"""How long and how large everything is measured."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Effort(Struct, frozen=True):
    """What is measured by default. ``seconds`` are for each measurement, or each slice of one."""

    seconds: float = 4.0
    least: int = 5
    """Runs of each, however long they take."""
    warm: int = 3
    """Runs of each that are not counted."""
    sizes: tuple[int, ...] = (1, 10, 100, 1000)
    """Subtasks of a task."""
    wide: int = 5000
    tasks: int = 100_000
    """In the log, for the section of that name."""
    replicas: tuple[int, ...] = (2, 4)
    slices: int = 3
    """Turns of each of two that are compared."""
    starts: int = 3
    questions: int = 8
    """That are asked at once of a model that takes no time."""
    readers: int = 4
    """Processes that read documents for a realistic task: slots for its twelve parts, and a few to spare."""
    runs: int = 4
    """Realistic tasks of each sort."""
    learned: int = 10
    """Realistic tasks before them, from which it is known what is slow."""
    pace: float = 1.0
    """Of the model in the section on a realistic task: half of it is twice as fast."""
    tree: Path | None = None
    """What retrieval looks into. Unset: a pinned release of Django, which is fetched."""


QUICK = Effort(
    seconds=0.05,
    least=1,
    warm=0,
    sizes=(1, 10),
    wide=200,
    tasks=100,
    replicas=(2,),
    slices=1,
    starts=1,
    questions=2,
    readers=1,
    runs=1,
    learned=1,
    pace=0.05,
    tree=Path(__file__).parents[2] / "services" / "concertino" / "docs",
)
"""A look at whether everything can still be measured. Its figures say nothing."""
