"""What is to be done about a task now. This page is how a task lives.

``decide(state, now, kinds, hedging)`` is pure, and is asked again after every fact: whoever asks, in whatever order, twice or
after a crash, gets effects with the same names, and the server keeps the first of each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from msgspec import structs

from concertino.contracts.errors import InvalidId
from concertino.contracts.messages import (
    LONGEST_OBJECTIVE,
    Input,
    Outcome,
    OutcomeStatus,
    ResultStatus,
    Source,
    Subtask,
    Work,
)
from concertino.contracts.plans import problems, sources_of, unread
from concertino.contracts.state import Round, State
from concertino.contracts.subjects import PLAN, ROOM, SYNTHESIZE, check_id
from concertino.orchestrator.core.effects import Dispatch, Effect, Halt, SetTimer, WriteFailed, WriteOutcome
from concertino.orchestrator.core.lifecycle import Phase
from concertino.orchestrator.core.policies import alarms, ending, finishing, hedge, join, limits, missing, rounds
from concertino.orchestrator.core.policies.hedge import Hedging


def decide(state: State, now: float, kinds: Collection[str], hedging: Hedging = hedge.OFF) -> list[Effect]:
    """The effects that ``state`` calls for at Unix time ``now``, while workers of ``kinds`` are on the bus and there may be
    second attempts as ``hedging`` says."""
    if state.outcome:
        return [Halt()] if state.halted is None and _of_no_use(state, state.outcome) else []
    if state.submitted is None and state.unreadable is None:
        return []
    step = _step(state, now, kinds)
    if isinstance(step, Outcome):
        return [_end(state, step)]
    bounded = limits.bounds(state, step)
    if failed := limits.overdue(state, now, bounded):
        return [WriteFailed(failed)]  # what follows from it, the log says
    effects: list[Effect] = []
    name, at = (join.DEADLINE, join.ends_at(state)) if join.closed(state, now) else (join.JOIN, join.join_at(state))
    if name not in state.timers | state.due:
        effects.append(SetTimer(name, at))
    if timer := alarms.missing(state, now, limits.TIMER, [bound.at for bound in bounded.values()]):
        effects.append(SetTimer(*timer))
    work = [w for w in step if w.attempt > state.sent.get(w.id, 0)]
    if state.finish:
        effects += _finishing(state, now)
    elif not join.closed(state, now):
        slow = hedge.slow_at(state, step)
        overdue = hedge.overdue(state, now, slow, hedging)
        if timer := alarms.missing(state, now, hedge.TIMER, [at for id_, at in slow.items() if id_ not in overdue]):
            effects.append(SetTimer(*timer))
        work += [structs.replace(w, attempt=hedge.HEDGE) for w in step if w.id in overdue]
    if work:
        # The first free number: who takes it has seen every wave before it, and so repeats none of their work.
        wave = next(n for n in count(1) if n not in state.dispatched)
        effects.append(Dispatch(wave, tuple(work), _hedge_after(work, hedging)))
    return effects


def lost_with_queues(state: State, made: float) -> list[Work]:
    """The work that a wave put into its queue before the queues were ``made`` (Unix time), that nobody has begun, and that is
    still to be done. What somebody is at work on is left to who has it."""
    waves = [n for n in state.dispatched if state.times[f"dispatched.{n}"] < made]
    sent = {work for n in waves for work, _ in state.dispatched[n].work} & state.unfinished
    under_way = {name.rpartition(".")[0] for name in state.begun.keys() - state.lost.keys() - state.returned.keys()}
    if state.outcome or state.submitted is None or not sent - under_way:
        return []
    # As if none of it had been sent; that the kinds were there then is known.
    step = _step(replace(state, sent={}), made, {subtask.kind for subtask in state.subtasks})
    return [] if isinstance(step, Outcome) else [w for w in step if w.id in sent - under_way]


def _finishing(state: State, now: float) -> Iterator[SetTimer]:
    """The timers of a wish to finish, while something is waited for."""
    if not join.closed(state, now):
        for name, at in finishing.timers(state).items():
            if name not in state.timers | state.due and at < join.join_at(state):
                yield SetTimer(name, at)


def _hedge_after(work: Sequence[Work], hedging: Hedging) -> dict[str, float]:
    kinds = sorted({w.brief.kind for w in work if w.attempt == 1 and w.id.startswith("result.")})
    return {kind: hedging.after[kind] for kind in kinds if kind in hedging.after}


def phase(state: State, now: float) -> Phase:
    """Where the task stands."""
    if state.outcome:
        return Phase.ENDED
    if state.submitted is None:
        return Phase.PLANNING  # that it cannot be read, or is not there yet, is all that is known
    number = rounds.current(state)
    planned = state.plans.get(number)
    if planned is None or planned.plan is None:
        return Phase.PLANNING
    return Phase.WRITING if join.closed(state, now) or not _missing(state, planned.plan.subtasks) else Phase.WORKING


def _step(state: State, now: float, kinds: Collection[str]) -> Outcome | list[Work]:
    """The work that should be in the queues now, what was sent included where more may follow of it; or how the task ends."""
    if state.unreadable:
        return ending.failed(state, state.unreadable.message)
    try:
        check_id(state.task)
    except InvalidId as e:
        return ending.failed(state, f"the task's id: {e}")
    if state.cancel:
        return ending.cancelled(state)

    assert state.submitted is not None
    number = rounds.current(state)
    planned = state.plans.get(number)
    closed = join.closed(state, now)
    if planned is None:
        if not closed and not state.finish:
            return [_planning(state, number)]
        return ending.concluded(state) if number else ending.unplanned(state)
    if planned.plan is None:
        why = f"planning failed: {planned.error.message if planned.error else 'no reason given'}"
        return ending.concluded(state, why) if number else ending.failed(state, why)
    if number and not planned.plan.subtasks:
        return ending.concluded(state)  # another round was thought of, and nobody was left to ask
    round_ = Round(number, planned.plan, state.syntheses.get(number))
    if not _started(state, round_):
        wrong = _problems(state, round_, kinds)
        if wrong:
            return ending.unrunnable(state, round_, wrong)
    if state.submitted.until == "plan":
        return ending.planned(state)
    if _missing(state, round_.plan.subtasks) and not closed:
        return [] if state.finish else list(_ready(state, round_.plan.subtasks))
    if not round_.plan.synthesize or not _anything_to_write_about(state, round_):
        return ending.concluded(state)
    if round_.synthesis is None:
        # What is finished counts, however late it is looked at: only what is still to be done can be too late.
        return (
            ending.concluded(state, ending.out_of_time(state, number)) if join.over(state, now) else [_writing(state, number)]
        )
    return ending.concluded(state, *rounds.why_none(state, number))


def _started(state: State, round_: Round) -> bool:
    """Whether some coordinator found the plan sound and began it. (A result alone does not say so: anybody may write one.)"""
    earlier = {subtask.id for r in state.rounds[: round_.number] for subtask in r.plan.subtasks}
    new = (subtask for subtask in round_.plan.subtasks if subtask.id not in earlier)
    return f"synthesis.{round_.number}" in state.sent or any(subtask.work_id in state.sent for subtask in new)


def _problems(state: State, round_: Round, kinds: Collection[str]) -> list[str]:
    assert state.submitted is not None
    earlier = [s for r in state.rounds[: round_.number] for s in r.plan.subtasks]
    brought = state.submitted.plan is not None and round_.number == 0
    # Whoever began the plan may have crashed before saying so: what has a result has had a worker, gone or not.
    worked = state.results.keys() - state.done
    served = {*kinds, *(s.kind for s in round_.plan.subtasks if worked and s.work_id in worked)}
    return problems(round_.plan, state.submitted, served, brought=brought, earlier=earlier)


def _missing(state: State, subtasks: Sequence[Subtask]) -> bool:
    return any(subtask.work_id not in state.results for subtask in subtasks)


def _anything_to_write_about(state: State, round_: Round) -> bool:
    """A subtask that found nothing is something to write about; a fleet of failures is not, nor what an earlier report told."""
    results = [state.results.get(subtask.work_id) for subtask in round_.plan.subtasks]
    return any(result and result.status != ResultStatus.FAILED for result in results)


def _ready(state: State, subtasks: Sequence[Subtask]) -> Iterator[Work]:
    """Work whose dependencies have results, good or bad: whoever depends on a failed part is told, and does what it can.

    Work that was sent, and of which nothing can follow but its result, is left out: of thousands that is all but some.
    """
    assert state.submitted is not None
    until, bounded = join.work_until(state), state.submitted.limits.max_queued is not None
    begun = {name.rpartition(".")[0] for name in state.begun}
    by_id: dict[str, Subtask] = {}
    for subtask in subtasks:
        id_ = subtask.work_id
        if id_ in state.results:
            continue
        if id_ in state.sent and id_ not in begun and not bounded and subtask.max_seconds is None:
            continue
        if subtask.depends_on and not by_id:
            by_id = {other.id: other for other in state.subtasks}
        needed = [by_id.get(name) for name in subtask.depends_on]
        if all(other and other.work_id in state.results for other in needed):
            inputs = tuple(_input(state, other, {}) for other in needed if other)
            yield _work(state, id_, subtask, until, inputs)


def _planning(state: State, number: int) -> Work:
    assert state.submitted is not None
    brief = _brief(f"{PLAN}-{number}", PLAN, state.submitted.request, state.submitted.sources)
    gaps = rounds.gaps_worth_a_round(state, number - 1) if number else ()
    return _work(state, f"plan.{number}", brief, join.work_until(state), _everything(state, {}), gaps)


def _writing(state: State, number: int) -> Work:
    assert state.submitted is not None
    brief = _brief(f"{SYNTHESIZE}-{number}", SYNTHESIZE, state.submitted.request, ())
    whys = missing.reasons(state, state.subtasks)
    work = _work(state, f"synthesis.{number}", brief, join.ends_at(state), _everything(state, whys))
    return structs.replace(work, unread=unread(state.submitted.sources, state.subtasks))


def _brief(id_: str, kind: str, request: str, sources: tuple[Source, ...]) -> Subtask:
    """Of planning and synthesis, which have the whole request beside it."""
    return Subtask(id=id_, kind=kind, objective=request[:LONGEST_OBJECTIVE], sources=sources)


def _everything(state: State, whys: Mapping[str, str]) -> tuple[Input, ...]:
    return tuple(_input(state, subtask, whys) for subtask in state.subtasks)


def _input(state: State, subtask: Subtask, whys: Mapping[str, str]) -> Input:
    return Input(subtask=subtask, result=state.results.get(subtask.work_id), why=whys.get(subtask.work_id, ""))


def _work(
    state: State, id_: str, brief: Subtask, deadline: float, inputs: tuple[Input, ...], gaps: tuple[str, ...] = ()
) -> Work:
    assert state.submitted is not None
    return Work(
        task=state.task,
        id=id_,
        attempt=1,
        request=state.submitted.request,
        brief=brief,
        sources=sources_of(brief, state.submitted.sources),
        limits=state.submitted.limits,
        deadline=deadline,
        inputs=inputs,
        gaps=gaps,
    )


def _end(state: State, outcome: Outcome) -> WriteOutcome:
    if state.submitted:
        within = state.submitted.limits
        outcome = structs.replace(
            outcome, findings=ending.unwritten(state, outcome), max_tokens=within.max_tokens, max_cost=within.max_cost
        )
    # The timer for room is set again and again.
    return WriteOutcome(outcome, timers=tuple(sorted(state.timers - (state.due - {ROOM}))))


def _of_no_use(state: State, outcome: Outcome) -> bool:
    """Whether workers may have, or get, work that nobody waits for. After a cancellation that may be what no wave names, too:
    whoever put it into its queue has not said so yet, and may never."""
    return bool(state.unfinished) or outcome.status == OutcomeStatus.CANCELLED
