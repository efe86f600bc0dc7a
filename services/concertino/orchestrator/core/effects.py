"""What can be done about a task. Effects are values; doing one twice is doing it once, as their names derive from the state."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from concertino.contracts.messages import Outcome, Settled, Work


class Dispatch(Struct, frozen=True):
    """Put ``work`` into its queues, then write ``dispatched.<wave>``, which says when its subtasks are slow."""

    wave: int
    work: tuple[Work, ...]
    hedge_after: dict[str, float] = {}


class SetTimer(Struct, frozen=True):
    """Have ``due.<name>`` in the log at Unix time ``at``."""

    name: str
    at: float


class WriteFailed(Struct, frozen=True):
    """Write ``results``, by work id, in the place of workers: they failed by a limit that a coordinator holds. Whoever is there
    first counts, so the log is to be read again after it."""

    results: tuple[tuple[str, Settled], ...]


class WriteOutcome(Struct, frozen=True):
    """End the task. ``timers`` are those that may still go off."""

    outcome: Outcome
    timers: tuple[str, ...]


class Halt(Struct, frozen=True):
    """Tell workers that the task has ended: those that are at work on it, and those that will find work of it in a queue."""


Effect: TypeAlias = Dispatch | SetTimer | WriteFailed | WriteOutcome | Halt
