"""What must be true of every task at any time, whatever was delivered in whatever order. Stated once, checked everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from concertino.contracts.budget import left_for_work
from concertino.contracts.errors import InvalidId, QueuedTooLong
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Input, Outcome, OutcomeStatus, ResultStatus, Settled, Submitted, Work
from concertino.contracts.plans import max_subtasks, problems, unread
from concertino.contracts.state import Round, State, fold
from concertino.contracts.subjects import check_id
from concertino.orchestrator.core.effects import Dispatch, Effect, Halt, SetTimer, WriteFailed, WriteOutcome
from concertino.orchestrator.core.policies import alarms, finishing, hedge, join, limits, rounds

MAX_ATTEMPTS = {"plan": 1, "result": 2, "synthesis": 1}
"""Attempts of one piece of work that a coordinator starts: of a subtask's one more, a hedge. (A queue may deliver each
more than once.)"""


def violations(state: State, now: float, kinds: Collection[str], effects: Sequence[Effect]) -> list[str]:
    """What is wrong with wanting ``effects`` in ``state`` at Unix time ``now``, with ``kinds`` on the bus. Empty, always."""
    found: list[str] = []
    if state.outcome:
        return _after_the_end(state, state.outcome, effects)
    if state.submitted is None and state.unreadable is None:
        return ["something is done before the task was submitted"] if effects else []
    counts = Counter(type(effect) for effect in effects)
    if counts[WriteOutcome] and len(effects) > 1:
        found.append("something else is done together with the outcome")
    if counts[Dispatch] > 1:
        found.append("two waves at once")
    if counts[WriteFailed] and len(effects) > 1:
        found.append("something else is done together with what changes what is to be done")
    if not counts[WriteOutcome] and state.cancel:
        found.append("a cancelled task goes on")
    timers = state.timers | {effect.name for effect in effects if isinstance(effect, SetTimer)}
    if not counts[WriteOutcome] and not counts[WriteFailed] and not timers - state.due:
        found.append("nothing will wake this task if nobody answers")
    for effect in effects:
        match effect:
            case Halt():
                found.append("workers are told of an end that there is not")
            case Dispatch():
                found += _of_dispatch(state, now, effect)
                if not join.closed(state, now):
                    found += _of_writing(state, effect)
            case SetTimer():
                found += _of_timer(state, effect)
            case WriteFailed(results):
                found += _of_failed(state, now, dict(results))
                if len(results) != len(dict(results)):
                    found.append("two results for one piece of work")
            case WriteOutcome(outcome):
                found += _of_outcome(state, outcome)
                if state.finish and state.submitted and not state.cancel and not join.closed(state, now):
                    found += _of_finished(state)
                elif state.submitted and not state.cancel and _is_id(state.task) and not join.closed(state, now):
                    found += _of_early_end(state, state.submitted, kinds)
    return found


def violations_of_log(facts: Sequence[Fact]) -> list[str]:
    """What is wrong with a whole log. Empty, always."""
    names = Counter(str(fact.name) for fact in facts if fact.name.type not in ("timer", "due"))
    found = [f"{name} was written more than once" for name, n in sorted(names.items()) if n > 1]
    state = fold("", facts)
    waves = Counter(work for dispatched in state.dispatched.values() for work in dispatched.work)
    found += [f"{work} attempt {attempt} stands in {n} waves" for (work, attempt), n in waves.items() if n > 1]
    planned = {subtask.work_id for subtask in state.subtasks}
    for work, attempt in waves:
        if work in state.done:
            found.append(f"{work} was done before the task began, and is worked on")
        if attempt > _most(work):
            found.append(f"{work} has {attempt} attempts, and {_most(work)} is allowed")
        if attempt > 1 and (work, 1) not in waves:
            found.append(f"{work} is hedged, and has no first attempt")
        if work.startswith("result.") and work not in planned:
            found.append(f"{work} is in no plan")
    if state.submitted:
        found += _beyond_limits(state, state.submitted, {work for work, _ in waves})
    if state.outcome and state.outcome.status == OutcomeStatus.ANSWERED and not state.rounds:
        found.append("answered without a plan")
    if state.halted and not state.outcome:
        found.append("workers were told of an end that there is not")
    return found


def _after_the_end(state: State, outcome: Outcome, effects: Sequence[Effect]) -> list[str]:
    """Workers are told, once, where there is something that they may still do."""
    wanted = not state.halted and (bool(state.unfinished) or outcome.status == OutcomeStatus.CANCELLED)
    if list(effects) == [Halt()] * wanted:
        return []
    return ["workers are not told of the end" if wanted and not effects else "something is done after the outcome"]


def _of_dispatch(state: State, now: float, dispatch: Dispatch) -> Iterator[str]:
    if state.submitted is None:
        yield "a task that cannot be read is worked on"
        return
    ids = [work.id for work in dispatch.work]
    if not ids:
        yield "a wave without work"
    if dispatch.wave in state.dispatched:
        yield f"wave {dispatch.wave} is used twice"
    if len(ids) != len(set(ids)):
        yield "work stands twice in one wave"
    if state.finish and not all(id_.startswith("synthesis.") for id_ in ids):
        yield "something is begun though the caller asked to finish"
    for work in dispatch.work:
        for wrong in _of_work(state, state.submitted, work):
            yield f"{work.id}: {wrong}"
        if work.attempt > 1:
            yield from (f"{work.id}: {wrong}" for wrong in _of_hedge(state, now, work))
    if not set(dispatch.hedge_after) <= {work.brief.kind for work in dispatch.work if work.id.startswith("result.")}:
        yield "it says when others' work is slow"
    for round_ in state.rounds:
        if not set(ids).isdisjoint(subtask.work_id for subtask in round_.plan.subtasks):
            yield from _of_plan(state, state.submitted, round_)
    yield from _beyond_limits(state, state.submitted, {*state.sent, *ids})


def _of_work(state: State, submitted: Submitted, work: Work) -> Iterator[str]:
    sent = state.sent.get(work.id, 0)
    if work.task != state.task or work.limits != submitted.limits:
        yield "it is not of this task, or has other limits"
    if not sent < work.attempt <= min(sent + 1, _most(work.id)):
        yield f"attempt {work.attempt} after {sent}"
    if work.deadline > join.ends_at(state):
        yield "it may take longer than the task"
    type_, _, about = work.id.partition(".")
    match type_:
        case "result":
            yield from _of_subtask(state, submitted, work)
        case "plan":
            yield from _of_planning(state, work, int(about))
        case "synthesis":
            if int(about) >= len(state.rounds):
                yield "a report on a round without a plan"
            if int(about) in state.syntheses:
                yield "the report is there"
        case _:
            yield "no such work"


def _of_hedge(state: State, now: float, work: Work) -> Iterator[str]:
    """It is slow, not only late: some attempt is under way, for longer than its wave said, and there is time for another."""
    if join.closed(state, now):
        yield "hedged when it is too late"
    under_way = [
        state.times[f"begun.{name}"]
        for name, begun in state.begun.items()
        if name.startswith(f"{work.id}.") and begun.hedge and name not in {*state.lost, *state.returned}
    ]
    if not under_way:
        yield "hedged, and nobody is at work on it"
    if work.id not in state.hedge_after:
        yield "hedged, and no wave said when"
    elif work.deadline <= max(under_way, default=0.0):
        yield "hedged after its time"
    if alarms.clock(state, now, hedge.TIMER, hedge.AHEAD) - state.submitted_at < state.hedge_after.get(work.id, 0.0):
        yield "hedged before it can be slow"
    if hedge.limited(work):
        yield "hedged, though what may be spent is limited"


def _of_failed(state: State, now: float, results: Mapping[str, Settled]) -> Iterator[str]:
    """Nobody's work is thrown away before its time: a limit of the caller's own is over, by facts that stand in the log."""
    if not results:
        yield "no result is written"
    if state.submitted is None or state.finish or join.closed(state, now):
        yield "a limit is held that is of no use any more"
        return
    planned = {subtask.work_id: subtask for subtask in state.subtasks}
    known = {f"plan.{rounds.current(state)}", *planned} - {*state.results, *(f"plan.{n}" for n in state.plans)}
    time = alarms.clock(state, now, limits.TIMER)
    for work, result in results.items():
        if work not in known:
            yield f"{work}: its result is there, or it is in no plan"
        if result.status != ResultStatus.FAILED or result.error is None or result.error.retryable:
            yield f"{work}: no failure for good, or none that says why"
            continue
        begun = [n for n in (*state.begun, *state.lost) if n.rpartition(".")[0] == work]
        most = planned[work].max_seconds if begun and work in planned else state.submitted.limits.max_queued
        if most is None or time < state.submitted_at + most:
            yield f"{work}: failed by a limit that it has not, or before that can be over"
        if bool(begun) == (result.error.code == QueuedTooLong.code):
            yield f"{work}: failed by the wrong limit"


def _of_finished(state: State) -> Iterator[str]:
    """Asked to finish, a task ends before results are given up only where there is no plan, or nothing is left to do."""
    number = rounds.current(state)
    planned = state.plans.get(number)
    if planned is None or planned.plan is None or not planned.plan.subtasks:
        return
    if any(work in state.sent and work not in state.results for work in (s.work_id for s in planned.plan.subtasks)):
        yield "it ends while results may still come"


def _most(work: str) -> int:
    return MAX_ATTEMPTS.get(work.partition(".")[0], 1)


def _of_writing(state: State, dispatch: Dispatch) -> Iterator[str]:
    for round_ in state.rounds:
        missing = [subtask.id for subtask in round_.plan.subtasks if subtask.work_id not in state.results]
        if missing and any(work.id == f"synthesis.{round_.number}" for work in dispatch.work):
            yield f"synthesis.{round_.number}: {', '.join(missing)} may still come"


def _of_subtask(state: State, submitted: Submitted, work: Work) -> Iterator[str]:
    by_id = {subtask.id: subtask for subtask in state.subtasks}
    if work.brief != by_id.get(work.brief.id) or work.id != work.brief.work_id:
        yield "it is in no plan"
        return
    if submitted.until == "plan":
        yield "only a plan was asked for"
    if work.id in state.results:
        yield "its result is there"
    needed = [by_id[name] for name in work.brief.depends_on if name in by_id]
    if len(needed) < len(work.brief.depends_on):
        yield "it depends on what does not exist"
    yield from (f"{subtask.id} has no result" for subtask in needed if subtask.work_id not in state.results)
    if work.inputs != tuple(Input(subtask=subtask, result=state.results.get(subtask.work_id)) for subtask in needed):
        yield "its inputs are not the results of what it depends on"


def _of_plan(state: State, submitted: Submitted, round_: Round) -> Iterator[str]:
    """What was begun though it is not sound. Which kinds there are is left aside: workers come and go."""
    wrong = _problems(state, submitted, round_, {subtask.kind for subtask in round_.plan.subtasks})
    yield from (f"a plan that cannot be run was begun: {problem}" for problem in wrong)


def _problems(state: State, submitted: Submitted, round_: Round, kinds: Collection[str]) -> list[str]:
    brought = submitted.plan is not None and round_.number == 0
    earlier = [subtask for r in state.rounds[: round_.number] for subtask in r.plan.subtasks]
    return problems(round_.plan, submitted, kinds, brought=brought, earlier=earlier)


def _of_planning(state: State, work: Work, number: int) -> Iterator[str]:
    if number in state.plans:
        yield "the plan is there"
    if number == 0:
        return
    synthesis = state.syntheses.get(number - 1)
    told = {gap for n, s in state.syntheses.items() if n < number - 1 and s.report for gap in s.report.open}
    if not work.gaps:
        yield "another round for nothing"
    if synthesis is None or synthesis.report is None or not set(work.gaps) <= set(synthesis.report.open):
        yield "another round for gaps that no report named"
    if told & set(work.gaps):
        yield "another round for the same gaps"
    if synthesis is not None and min(left_for_work(work.limits, rounds.spent_by(state, number - 1))) <= 0:
        yield "another round that nothing is left for"


def _beyond_limits(state: State, submitted: Submitted, work: set[str]) -> Iterator[str]:
    subtasks = sum(id_.startswith("result.") for id_ in work)
    if subtasks > (most := max_subtasks(submitted.limits, brought=submitted.plan is not None)):
        yield f"{subtasks} subtasks, and {most} are allowed"
    begun = [int(about) for type_, _, about in (id_.partition(".") for id_ in work) if type_ != "result"]
    if max(begun, default=0) >= (most := submitted.limits.max_rounds):
        yield f"round {max(begun) + 1}, and {most} are allowed"


def _of_timer(state: State, timer: SetTimer) -> Iterator[str]:
    if timer.name in state.timers | state.due:
        yield f"timer {timer.name} is set again"
    if timer.name in (finishing.BEGUN, finishing.WRITTEN) and not state.finish:
        yield f"timer {timer.name} is set, and nobody asked to finish"
    if not state.submitted_at <= timer.at <= join.ends_at(state):
        yield f"timer {timer.name} goes off outside the task's time"


def _of_outcome(state: State, outcome: Outcome) -> Iterator[str]:
    """A reason, no silent success, and nothing finished thrown away."""
    if state.submitted and (outcome.max_tokens, outcome.max_cost) != (
        state.submitted.limits.max_tokens,
        state.submitted.limits.max_cost,
    ):
        yield "it tells of another budget than the task had"
    if not outcome.reason.strip():
        yield "an outcome without a reason"
    if outcome.status == OutcomeStatus.CANCELLED and state.cancel is None:
        yield "cancelled, though nobody asked for it"
    if outcome.status == OutcomeStatus.ANSWERED and state.cancel:
        yield "answered, though it was cancelled"
    if outcome.report is None and any(synthesis.report for synthesis in state.syntheses.values()) and state.rounds:
        yield "a finished report is thrown away"
    wanted = bool(state.rounds) and state.rounds[-1].plan.synthesize
    found = [f for s in state.subtasks if (r := state.results.get(s.work_id)) for f in r.findings]
    if state.submitted and wanted and outcome.report is None and list(outcome.findings) != found:
        yield "what was found is thrown away"
    if outcome.status != OutcomeStatus.ANSWERED:
        return
    if not state.rounds:
        yield "answered without a plan"
    if any(state.plans[round_.number].status != ResultStatus.COMPLETE for round_ in state.rounds):
        yield "answered, though a plan was a makeshift"
    if state.submitted and state.submitted.until == "plan":
        return
    if state.submitted and unread(state.submitted.sources, state.subtasks):
        yield "answered, though nobody was asked to read a source"
    results = [state.results.get(subtask.work_id) for subtask in state.subtasks]
    if not results or not all(r and r.status == ResultStatus.COMPLETE for r in results):
        yield "answered, though a part is missing, failed or incomplete"
    if outcome.report is None and state.rounds and state.rounds[-1].plan.synthesize:
        yield "answered without a report"


def _of_early_end(state: State, submitted: Submitted, kinds: Collection[str]) -> Iterator[str]:
    """Before its time is up and unasked, a task ends only when there is nothing left to do."""
    if 0 not in state.plans:
        yield "it ends before it is planned"
    if not state.rounds or submitted.until == "plan":
        return
    last = state.rounds[-1]
    if _problems(state, submitted, last, kinds):
        return
    results = [state.results.get(subtask.work_id) for subtask in last.plan.subtasks]
    # Another round is thought of only when nothing of this one can come any more, whatever of it is known here.
    if None in results and last.number + 1 not in state.plans:
        yield "it ends while results may still come"
    if last.plan.synthesize and last.synthesis is None and any(r and r.status != ResultStatus.FAILED for r in results):
        yield "it ends before its report"


def _is_id(task: str) -> bool:
    try:
        check_id(task)
    except InvalidId:
        return False
    return True
