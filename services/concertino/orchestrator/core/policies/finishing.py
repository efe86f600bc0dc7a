"""What a caller who asks to finish gets: nothing is begun any more, what is at work writes up, and a report is on that.

A queue does not say what of it was taken, and quick work leaves no word that it has begun. So whoever is at work is told to
finish and says at once that it is: what has said nothing of itself after a moment was not begun, and is not waited for.
"""

from __future__ import annotations

from concertino.contracts.messages import WRITING_UP
from concertino.contracts.state import State

BEGUN, WRITTEN = "finish-begun", "finish-written"
"""The timers: by the first, whoever is at work has said so; by the second, what they have is there."""
SAYING_SO = 2.0
"""Seconds from the wish to finish to the first of them. To the second it is :data:`WRITING_UP`."""


def timers(state: State) -> dict[str, float]:
    """Both, with the Unix times at which they go off."""
    at = state.times["finish"]
    return {BEGUN: at + SAYING_SO, WRITTEN: at + WRITING_UP}


def closed(state: State, now: float) -> bool:
    """Whether results come too late because the caller asked to finish."""
    if state.finish is None:
        return False
    return WRITTEN in state.due or now >= timers(state)[WRITTEN] or not waited_for(state)


def waited_for(state: State) -> set[str]:
    """The work of which a result may come: what was sent before the wish and, once those at work have said so, is theirs."""
    wished = state.places["finish"]
    waves = (n for n in state.dispatched if state.places[f"dispatched.{n}"] < wished)
    sent = {work for n in waves for work, _ in state.dispatched[n].work if work.startswith("result.")} - state.results.keys()
    return sent & at_work(state) if BEGUN in state.due else sent


def too_late(state: State, work: str) -> bool:
    """Whether the result of ``work`` came when it was not waited for any more."""
    if state.finish is None:
        return False
    came, never = state.places[work], float("inf")
    waited = state.places.get(f"due.{WRITTEN}", never)
    if BEGUN in state.due and work not in at_work(state):
        waited = min(waited, state.places[f"due.{BEGUN}"])
    return came > waited


def at_work(state: State) -> set[str]:
    """Work that somebody had begun before the first timer went off, and has not let go of."""
    until = state.places[f"due.{BEGUN}"]
    return {
        name.rpartition(".")[0]
        for name in state.begun
        if state.places[f"begun.{name}"] < until and name not in state.lost and name not in state.returned
    }
