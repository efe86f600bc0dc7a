"""What a timeline is made of: the JSON of ``concertino trace --json``. Seconds, counted from the beginning of the task."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from concertino.contracts.view import Status, UsageView

RowStatus = Literal["waiting", "queued", "running", "complete", "partial", "failed", "missing"]
"""``waiting`` (for others), ``queued``, ``running``, then what its result says; ``missing`` if the task ended without one."""

Doing = Literal["blocked", "sending", "queued", "working", "in_vain", "retrying"]
"""What a piece of work is about.

``blocked``: waiting for the results it depends on. ``sending``: it could begin, and is not in a queue yet. ``queued``: for its
first attempt. ``working``: the attempt that brought its result, or that goes on now. ``in_vain``: an attempt that brought
nothing. ``retrying``: waiting for the next one.
"""

Phase = Literal["planning", "dependencies", "coordination", "queue", "work", "retries", "synthesis"]
"""What time goes into. ``retries`` are attempts in vain and the waits after them."""


class Part(Struct, frozen=True):
    """A stretch of a row. ``attempt``, ``worker`` and ``why`` are set for attempts: ``why`` says what made one be in vain, and
    ``hedge`` that it was made beside another that was slow."""

    doing: Doing
    start: float
    seconds: float
    attempt: int = 0
    worker: str = ""
    why: str = ""
    hedge: bool = False


class Row(Struct, frozen=True):
    """One piece of work. Its parts follow each other without a gap, from ``start`` on for ``seconds``."""

    id: str
    """The work's id, as in the log: ``plan.0``, ``result.<kind>.<subtask>``, ``synthesis.0``."""
    name: str
    """``planning``, the subtask's id, or ``report``; with the round where there are several."""
    kind: str
    round: int
    """Counted from 0."""
    text: str
    """A subtask's objective."""
    status: RowStatus
    after: tuple[str, ...]
    """The rows whose results it needs. For a report, those of every subtask."""
    start: float
    seconds: float
    parts: tuple[Part, ...]
    attempts: int
    untold: int
    """Attempts of which the log says only how many they were: their workers vanished too early to leave a word."""
    model: str
    error: str
    usage: UsageView
    critical: float
    """Seconds of it on the critical path."""
    beside: tuple[Part, ...] = ()
    """Attempts, or the rest of them, that went on beside what ``parts`` say: a hedge that lost, or the first beside one that
    won. They may go on when the result is there, until their workers have heard of it."""
    slow_after: float = 0.0
    """Where it was sent a second time: after so many seconds of work it was slow, as the log said when it was sent first."""


class Segment(Struct, frozen=True):
    """A stretch of the critical path: what the task was waiting for then. ``row`` is empty where no work was under way."""

    row: str
    phase: Phase
    start: float
    seconds: float


class PhaseTotal(Struct, frozen=True):
    """``critical`` adds up to the whole time of the task over all phases; ``all_rows`` counts what was done side by side."""

    critical: float
    all_rows: float


class KindTotal(Struct, frozen=True):
    """All rows of one kind. ``waited`` is before the first attempt, ``retries`` are attempts in vain and what follows them."""

    rows: int
    attempts: int
    waited: float
    worked: float
    retries: float
    critical: float
    usage: UsageView


class Timeline(Struct, frozen=True):
    """A whole task. ``seconds`` is until its outcome or, while it is running, until now."""

    task: str
    trace: str
    """The id of its distributed trace; empty where nobody traced it."""
    request: str
    status: Status
    reason: str
    began: float
    """Unix seconds. All else counts from here."""
    seconds: float
    rounds: int
    rows: tuple[Row, ...]
    path: tuple[Segment, ...]
    """The critical path: from the beginning to the end without a gap."""
    phases: dict[Phase, PhaseTotal]
    kinds: dict[str, KindTotal]
    usage: UsageView
    max_tokens: int | None
    """What the task may spend, as in :class:`~concertino.contracts.view.TaskView`."""
    max_cost: float | None
    notes: tuple[str, ...]
    """What a reader should know: a log of which a part has expired, or a cancellation."""
