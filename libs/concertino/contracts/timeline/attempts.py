"""The attempts at each piece of work, told from what the log says of its deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concertino.contracts.messages import COORDINATOR, Settled, Spent
from concertino.contracts.state import State
from concertino.contracts.subjects import parse_nth

SILENT = "its worker fell silent"
"""What is to be said of an attempt that the log has no end of, and that was tried again."""
ABANDONED = "abandoned"
"""The code of a failure that ends no attempt: whoever finds work that was begun too often writes it."""


@dataclass(frozen=True, order=True)
class Attempt:
    """Times are Unix seconds. ``ended`` is None where the log has no word of the end."""

    began: float
    delivery: int
    number: int
    worker: str
    ended: float | None = None
    why: str = ""
    final: bool = False
    """It brought the result."""
    hedge: bool = False
    """It was made beside another that was slow."""


def in_vain(state: State) -> Mapping[str, Sequence[Attempt]]:
    """By work id: every delivery of which the log says that it began, or that it ended without a result."""
    found: defaultdict[str, dict[tuple[bool, int], Attempt]] = defaultdict(dict)
    for name, begun in state.begun.items():
        work, hedge, delivery = split(name)
        began = state.times[f"begun.{name}"] - max(begun.seconds, 0.0)
        found[work][hedge, delivery] = Attempt(began, delivery, begun.attempt, begun.worker, hedge=hedge)
    for name, spent in state.lost.items():
        work, hedge, delivery = split(name)
        ended, known = state.times[f"spent.{name}"], found[work].get((hedge, delivery))
        began = known.began if known and not spent.seconds else ended - max(spent.seconds, 0.0)
        number = spent.attempt or (known.number if known else delivery)
        found[work][hedge, delivery] = Attempt(began, delivery, number, spent.worker, ended, why(spent), hedge=hedge)
    for name, returned in state.returned.items():
        work, hedge, delivery = split(name)
        at = state.times[f"returned.{name}"]
        back = Attempt(at, delivery, 0, returned.worker, at, "handed back before it began", hedge=hedge)
        found[work].setdefault((hedge, delivery), back)
    return {work: sorted(deliveries.values()) for work, deliveries in found.items()}


def with_the_last(deliveries: Sequence[Attempt], settled: Settled, at: float) -> list[Attempt]:
    """``deliveries`` and the attempt that brought ``settled``, which the log has had since ``at``, in order."""
    if settled.worker == COORDINATOR or (settled.error and settled.error.code == ABANDONED):
        return list(deliveries)
    began = at - max(settled.seconds, 0.0)
    # The attempt that ended is the one that was seen to begin, if that was the same worker's.
    last = (settled.attempts, settled.worker, settled.hedge)
    same = [a for a in deliveries if a.ended is None and (a.number, a.worker, a.hedge) == last]
    rest = [a for a in deliveries if a not in same[-1:]]
    began = min(began, *(a.began for a in same[-1:])) if same else began
    final = Attempt(began, len(rest) + 1, settled.attempts, settled.worker, at, final=True, hedge=settled.hedge)
    return sorted([*rest, final])


def why(spent: Spent) -> str:
    """What it ended in: ``transient: no server``; the words alone where that was no error."""
    return f"{spent.category}: {spent.why}" if spent.category else spent.why


def split(name: str) -> tuple[str, bool, int]:
    """Work id, whether it is about a hedge, and delivery in the end of a fact's name; 0 for a delivery that is no number."""
    work, _, nth = name.rpartition(".")
    attempt, delivery = parse_nth(nth)
    return work, attempt > 1, delivery
