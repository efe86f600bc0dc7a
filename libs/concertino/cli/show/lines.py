"""What happens to a task, as plain lines: for logs, pipes and terminals that cannot redraw."""

from __future__ import annotations

from collections.abc import Collection

from concertino.cli.durations import format_seconds
from concertino.cli.show.rows import counted
from concertino.cli.show.spending import dollars
from concertino.cli.show.text import one_line, plural
from concertino.contracts.facts import Fact, Unreadable
from concertino.contracts.messages import (
    Begun,
    Cancel,
    Dispatched,
    Finish,
    Outcome,
    Planned,
    Progress,
    Result,
    Settled,
    Spent,
    Submitted,
    Synthesized,
)
from concertino.contracts.state import State
from concertino.contracts.subjects import ROOM
from concertino.contracts.timeline import attempts

WIDTH = 140


def fact_lines(state: State, fact: Fact, begun: Collection[str] = ()) -> list[str]:
    """What ``fact``, which ``state`` holds already, is to a reader; nothing for facts that only machines care about.

    ``begun`` is work that has been told of: that it was queued would be told after the event.
    """
    return [_stamped(state, fact.time, line) for line in _about(state, fact, begun)]


def progress_line(state: State, work: str, progress: Progress) -> str:
    """What ``work`` is doing now."""
    name, doing = _name(work), one_line(progress.doing)
    return _stamped(state, progress.at, name if doing == name else f"{name}: {doing}")


def _about(state: State, fact: Fact, begun: Collection[str]) -> list[str]:
    about = fact.name.about
    match fact.message:
        case Submitted(request=request):
            return [f"task {state.task}: {one_line(request)}"]
        case Unreadable(error=error):
            return [f"unreadable: {one_line(error.message)}"]
        case Planned(plan=plan) as planned if plan is not None:
            subtasks = [f"{subtask.id} {subtask.kind}: {one_line(subtask.objective)}" for subtask in plan.subtasks]
            why = f": {one_line(plan.why)}" if plan.why else ""
            return [f"planned {plural(len(subtasks), 'subtask')}{_took(planned)}{why}", *subtasks]
        case Planned() as planned:
            return [f"planning failed{_took(planned)}{_error(planned)}"]
        case Dispatched(work=work):
            queued = [_name(name) for name, number in work if number > 1 or name not in begun]
            return [f"queued {', '.join(queued)}"] if queued else []
        case Result(findings=findings) as result:
            yielded = "" if result.error else f": {counted(findings)}"
            return [f"{_name(str(fact.name))} {result.status.value}{_took(result)}{yielded}{_error(result)}"]
        case Begun() as attempt:
            return _again(state, about, attempt)
        case Spent() as spent:
            return _in_vain(about, spent)
        case Synthesized() as synthesis:
            return [f"report {synthesis.status.value}{_took(synthesis)}{_error(synthesis)}"]
        case Cancel(reason=reason):
            return [f"cancelling{f': {one_line(reason)}' if reason else ''}"]
        case Finish(reason=reason):
            return [f"finishing{f': {one_line(reason)}' if reason else ''}"]
        case Outcome(status=status, reason=reason):
            return [f"{status.value}{f': {one_line(reason)}' if reason else ''}"]
        case None if about.partition("-")[0] == ROOM:
            # Its timer is set and goes off again and again: the first time tells all.
            return ["work waits for room in its queue"] if fact.sequence == state.places.get(f"timer.{ROOM}") else []
        case None if fact.name.type in ("due", "overdue"):
            return [f"timer {about}"]
        case _:
            return []


def _again(state: State, about: str, begun: Begun) -> list[str]:
    """Nothing of a first attempt: of that its worker tells more."""
    work, hedge, delivery = attempts.split(about)
    on = f"begins on {one_line(begun.worker, 40)}" if begun.worker else "begins"
    if hedge:
        return [f"{_name(work)}: a second attempt {on}: the first is slow"]
    if delivery < 2:
        return []
    ended = any(f"{type_}.{work}.{delivery - 1}" in state.times for type_ in ("spent", "returned"))
    return [f"{_name(work)}: attempt {begun.attempt} {on}{'' if ended else ': the worker of the one before fell silent'}"]


def _in_vain(about: str, spent: Spent) -> list[str]:
    work, hedge, delivery = attempts.split(about)
    which = "a second attempt" if hedge else f"attempt {spent.attempt or delivery}"
    return [f"{_name(work)}: {which} in vain ({format_seconds(spent.seconds)}): {one_line(attempts.why(spent))}"]


def _name(work: str) -> str:
    type_, _, about = work.partition(".")
    return one_line({"plan": "planning", "synthesis": "writing"}.get(type_, about.rpartition(".")[2] or work))


def _took(settled: Settled) -> str:
    attempts = f", {plural(settled.attempts, 'attempt')}" if settled.attempts > 1 else ""
    cost = f", {dollars(settled.usage.cost_usd)}" if settled.usage.cost_usd else ""
    return f" ({format_seconds(settled.seconds)}{attempts}{cost})"


def _error(settled: Settled) -> str:
    return f": {one_line(settled.error.message)}" if settled.error else ""


def _stamped(state: State, time: float, line: str) -> str:
    return f"{format_seconds(time - (state.submitted_at or time)):>8}  {one_line(line, WIDTH)}"
