"""How a task lives, on one page: its phases, what ends each, and where it leads. The picture in the docs is drawn from this."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Phase(StrEnum):
    """Where a task stands. Derived from its facts, never stored."""

    PLANNING = "planning"
    WORKING = "working"
    WRITING = "writing"
    ENDED = "ended"


class Transition(Struct, frozen=True):
    """From one phase to another, and why."""

    start: Phase
    why: str
    end: Phase


TRANSITIONS: tuple[Transition, ...] = (
    Transition(Phase.PLANNING, "the plan is there and can be run", Phase.WORKING),
    Transition(Phase.PLANNING, "no plan, or one that cannot be run; or no more was asked for", Phase.ENDED),
    Transition(Phase.WORKING, "every result that is waited for is there, or the time for results is up", Phase.WRITING),
    Transition(Phase.WORKING, "every result is there, and no report was asked for", Phase.ENDED),
    Transition(Phase.WRITING, "the report names gaps worth another round", Phase.PLANNING),
    Transition(Phase.WRITING, "the report is there, or cannot be had", Phase.ENDED),
)
"""Besides these, a cancellation or the deadline ends a task in any phase."""

START = Phase.PLANNING


def allowed(start: Phase, end: Phase) -> bool:
    """Whether a task may be seen in ``start`` and next in ``end``. Facts come in bursts, so phases may be passed unseen."""
    if start == end or end == Phase.ENDED:
        return True
    steps = {(t.start, t.end) for t in TRANSITIONS}
    reached, edge = {start}, {start}
    while edge:
        edge = {b for a, b in steps if a in edge} - reached
        reached |= edge
    return end in reached


def mermaid() -> str:
    """The table as a Mermaid state diagram."""
    lines = [f"    [*] --> {START}"]
    lines += [f"    {t.start} --> {t.end}: {t.why.replace(';', ',')}" for t in TRANSITIONS]
    return "\n".join(["stateDiagram-v2", *lines, f"    {Phase.ENDED} --> [*]", ""])
