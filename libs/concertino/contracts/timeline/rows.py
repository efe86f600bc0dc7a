"""Pieces of work, placed in time: what each waited for, and what was done for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from concertino.contracts.messages import Usage
from concertino.contracts.state import State
from concertino.contracts.timeline.attempts import SILENT, Attempt, in_vain, split, with_the_last
from concertino.contracts.timeline.shapes import Doing, Part, RowStatus
from concertino.contracts.timeline.works import Work, works

CUT_OFF = "the task ended"


@dataclass(frozen=True)
class Placed:
    """Work in its place. Seconds since the beginning of the task: when it was known that it would be done, when nothing was
    missing for it, and when its result came; while there is none, the end of everything."""

    work: Work
    born: float
    ready: float
    ended: float
    parts: tuple[Part, ...]
    beside: tuple[Part, ...]
    status: RowStatus
    attempts: int
    untold: int
    slow_after: float
    usage: Usage


@dataclass
class Times:
    """The times in ``state``. ``now`` is in Unix seconds, and counts for as long as there is no outcome."""

    state: State
    now: float
    lost: Mapping[str, Sequence[Attempt]] = field(init=False)

    def __post_init__(self) -> None:
        self.lost = in_vain(self.state)

    @cached_property
    def began(self) -> float:
        """Unix seconds: when the task was submitted or, where that has expired, the earliest time that the log knows."""
        times = self.state.times
        return times.get("submitted", min(times.values(), default=self.now))

    @cached_property
    def end(self) -> float:
        times = self.state.times
        return self.since(times["outcome"] if "outcome" in times else max((self.now, *times.values())))

    def since(self, time: float) -> float:
        """Seconds from the beginning to ``time``. What is said to come before is of the beginning: clocks may be set back."""
        return round(max(time - self.began, 0.0), 6)

    @cached_property
    def sent(self) -> dict[str, float]:
        """When the log first said that a piece of work is in its queue."""
        found: dict[str, float] = {}
        for wave in sorted(self.state.dispatched):
            for work, _ in self.state.dispatched[wave].work:
                found.setdefault(work, self.since(self.state.times[f"dispatched.{wave}"]))
        return found

    def ended(self, work: str) -> float:
        """When its result came; while there is none, the end."""
        return min(self.since(self.state.times[work]), self.end) if work in self.state.times else self.end

    def attempts(self, work: Work) -> Sequence[Attempt]:
        lost = self.lost.get(work.id, ())
        return with_the_last(lost, work.settled, self.state.times[work.id]) if work.settled else lost


def place(state: State, now: float) -> tuple[Times, list[tuple[Placed, ...]]]:
    """Every piece of work in ``state``, by stages, as at ``now``."""
    times = Times(state, now)
    usage: dict[str, Usage] = {}
    for name, spent in state.lost.items():
        work, *_ = split(name)
        usage[work] = usage[work] + spent.usage if work in usage else spent.usage
    return times, [tuple(_placed(times, work, usage) for work in stage) for stage in works(state, times.lost)]


def _placed(times: Times, work: Work, lost: Mapping[str, Usage]) -> Placed:
    attempts, ended = times.attempts(work), times.ended(work.id)
    # What came later than its own work was sent was not waited for.
    sent = min(times.sent.get(work.id, ended), ended)
    born = max((min(times.ended(id_), sent) for id_ in work.before), default=0.0)
    ready = max((born, *(min(times.ended(id_), sent) for id_ in work.after)))
    # It may be taken before the log says that it is in a queue; but what a worker says of its time is not beyond doubt.
    taken = max(min((sent, *(times.since(a.began) for a in attempts))), ready)
    parts = tuple(_parts(times, work, [a for a in attempts if a.final or not a.hedge], born, ready, taken, ended))
    beside = tuple(_beside(times, work, attempts, taken))
    known = {a.number for a in attempts if a.number and not a.hedge}
    counted = work.settled.attempts if work.settled and not work.settled.hedge else 0
    usage = lost.get(work.id, Usage())
    return Placed(
        work=work,
        born=born,
        ready=ready,
        ended=ended,
        parts=parts,
        beside=beside,
        status=_status(times.state, work, (*beside, *parts)),
        attempts=max((counted, *known)) + sum(a.hedge for a in attempts),
        untold=max(counted - len(known), 0),
        slow_after=times.state.hedge_after.get(work.id, 0.0) if times.state.sent.get(work.id, 0) > 1 else 0.0,
        usage=usage + work.settled.usage if work.settled else usage,
    )


def _parts(
    times: Times, work: Work, attempts: Sequence[Attempt], born: float, ready: float, taken: float, ended: float
) -> Iterator[Part]:
    """From ``born`` to ``ended`` without a gap."""
    yield from _wait("blocked", born, ready)
    queued = work.id in times.sent or attempts
    yield from _wait("sending" if queued or not work.after else "blocked", ready, taken if queued else ended)
    if not queued:
        return
    at = taken
    for number, attempt in enumerate(attempts):
        # What began beside the attempt that brought the result took nothing from it.
        following = () if attempt.final else attempts[number + 1 :]
        until = min((ended, *(times.since(a.began) for a in following)))
        start = min(max(times.since(attempt.began), at), ended)
        yield from _wait("retrying" if number else "queued", at, start)
        stop = max(start, min(times.since(attempt.ended), until) if attempt.ended is not None else until)
        yield _part(times, work, attempt, bool(following), start, stop)
        at = stop
    yield from _wait("retrying" if attempts else "queued", at, ended)


def _beside(times: Times, work: Work, attempts: Sequence[Attempt], taken: float) -> Iterator[Part]:
    """What was done at the same time as what :func:`_parts` tells: hedges, and what one that won outran."""
    won = next((a for a in attempts if a.final and a.hedge), None)
    for attempt in attempts:
        if attempt.final or not (attempt.hedge or won):
            continue
        start = min(max(times.since(attempt.began if attempt.hedge or won is None else won.began), taken), times.end)
        stop = min(times.since(attempt.ended), times.end) if attempt.ended is not None else times.ended(work.id)
        if attempt.hedge or stop > start:
            yield _part(times, work, attempt, False, start, max(start, stop))


def _part(times: Times, work: Work, attempt: Attempt, followed: bool, start: float, stop: float) -> Part:
    doing: Doing = "in_vain"
    why = attempt.why
    if attempt.final:
        doing = "working"
    elif attempt.ended is None:
        if followed or work.settled:
            why = SILENT
        elif times.state.outcome:
            why = CUT_OFF
        else:
            doing = "working"
    return Part(doing, start, round(stop - start, 6), attempt.number, attempt.worker, why, attempt.hedge)


def _wait(doing: Doing, start: float, stop: float) -> Iterable[Part]:
    return (Part(doing, start, round(stop - start, 6)),) if stop > start else ()


def _status(state: State, work: Work, parts: Sequence[Part]) -> RowStatus:
    if work.settled:
        return work.settled.status.value
    if state.outcome:
        # Nothing of a plan alone was to be run: that nothing was is no shortcoming.
        return "waiting" if state.submitted and state.submitted.until == "plan" else "missing"
    if any(part.doing == "working" for part in parts):
        return "running"
    return "queued" if any(part.doing in ("queued", "retrying") for part in parts) or work.id in state.sent else "waiting"
