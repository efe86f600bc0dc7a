"""What a run comes to: every figure from the logs, the queues and the API's own count. Pure.

``submitted``: tasks whose submission was acknowledged, and those that stand in the log without (its answer was lost on the
way). ``outcomes``: tasks with an outcome in the log.

``lost``: tasks without an outcome, though nothing breaks any more and their deadline is over; outcomes that leave out what the
log held a second before them (a finished result, though it says that nothing came of the task; calls of models that are not in
its usage); facts that somebody read in the log and that are not there in the end.

``duplicated``: once-only facts of which somebody, at any time, read two versions, or of which the log holds two in the end:
so a second outcome, and a result that was overwritten.

``stuck``: what is left when all is calm: messages in queues, deliveries that nobody settles, triggers of the coordinator,
timers whose time is over, holds in ledgers that nobody will settle; and tasks that got their outcome later than
:data:`OVERDUE` seconds after their deadline.

``repeated_model_calls``: requests that reached the API more than :data:`KNOWN_AFTER` seconds after the answer to the same
turn of the same work was kept (by the server's clock; all run on one machine).

``recovery_p99``: for each fault and each task that was under way then, the seconds from the fault to the next fact in that
task's log. That contains the pace of the task itself: it is an upper bound of what a fault costs. (Tasks among whose facts
the run wrote garbage are left out: they may be held up by that.) In long runs it is the overload's: of 56 silences of over 30 s
in one of ten minutes, 36 were batch work that waited in its queue, and 19 tasks with poison, which share one worker that each
piece of it kills; all but two were of the batch lane. The percentile is by the nearest rank.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct, structs
from tests.chaos.model import Call, Calls
from tests.chaos.watch import Seen

from concertino.contracts.checkpoints import resumed
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Checkpoint, OutcomeStatus, Record, ResultStatus, Usage
from concertino.contracts.state import State, fold
from concertino.orchestrator.core.invariants import violations_of_log

OVERDUE = 20.0
KNOWN_AFTER = 1.0
LATE = 1.0
"""Seconds before an outcome within which a result may have come too late for it."""


class Kept(Struct, frozen=True):
    """A checkpoint of the conversation ``about`` (its subject without the number), and when it was stored."""

    about: str
    time: float
    checkpoint: Checkpoint


class Broke(Struct, frozen=True):
    """Something broke at ``time``, in Unix seconds."""

    time: float
    what: str


class Recovered(Struct, frozen=True, order=True):
    """A task went on so many seconds after something broke."""

    seconds: float
    task: str
    what: str


class Evidence(Struct, kw_only=True):
    """All that is known of one half of a run when it is over."""

    accepted: frozenset[str]
    logs: Mapping[str, Sequence[Fact]]
    """The log of every task, read in the end."""
    final: Mapping[tuple[str, str], Sequence[Seen]]
    """By task and name, what stands in the log in the end."""
    watched: Mapping[tuple[str, str], frozenset[Seen]]
    """The same, as a follower saw it meanwhile."""
    spoiled: frozenset[tuple[str, str]] = frozenset()
    """Facts where the run itself wrote garbage, as no service writes: of these the first is what counts, and has to stay. The
    rest of such a task has to come to one outcome all the same; invariants of what services write are not for it."""
    left: Sequence[str] = ()
    """What is left in queues, timers and ledgers, in words."""
    calls: Calls = Calls(())
    kept: Sequence[Kept] = ()
    faults: Sequence[Broke] = ()
    wrong: Sequence[str] = ()
    """What else was seen, in words: quotes that do not stand in their evidence, and the like."""


class Verdict(Struct, frozen=True):
    submitted: int
    outcomes: int
    lost: tuple[str, ...]
    duplicated: tuple[str, ...]
    stuck: tuple[str, ...]
    repeated: tuple[str, ...]
    recovery: tuple[Recovered, ...]
    wrong: tuple[str, ...]
    """Broken invariants, budgets and quotes: they have no figure of their own, and fail a run as well."""

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.stuck or self.repeated or self.wrong)

    @property
    def line(self) -> str:
        return (
            f"submitted={self.submitted} outcomes={self.outcomes} lost={len(self.lost)} duplicated={len(self.duplicated)} "
            f"stuck={len(self.stuck)} repeated_model_calls={len(self.repeated)} "
            f"recovery_p99={percentile([each.seconds for each in self.recovery], 99):.1f}s"
        )

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.submitted + other.submitted,
            self.outcomes + other.outcomes,
            self.lost + other.lost,
            self.duplicated + other.duplicated,
            self.stuck + other.stuck,
            self.repeated + other.repeated,
            self.recovery + other.recovery,
            self.wrong + other.wrong,
        )


def verdict(evidence: Evidence) -> Verdict:
    states = {task: fold(task, facts) for task, facts in evidence.logs.items()}
    submitted = evidence.accepted | {task for task, state in states.items() if state.submitted or state.unreadable}
    spoiled = {task for task, _ in evidence.spoiled}
    clean = {task: log for task, log in evidence.logs.items() if task not in spoiled}
    over = {task for task, state in states.items() if state.outcome}
    return Verdict(
        submitted=len(submitted),
        outcomes=len(over),
        lost=(*(f"{task}: no outcome" for task in sorted(submitted - over)), *_left_out(states), *_gone(evidence)),
        duplicated=tuple(_twice(evidence)),
        stuck=(*evidence.left, *_overdue(states)),
        repeated=tuple(repeated(placed(evidence.calls.calls, states), evidence.kept)),
        recovery=tuple(recovery(clean, states, evidence.faults)),
        wrong=(*evidence.wrong, *evidence.calls.unexpected, *_broken(clean, states)),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """By the nearest rank; 0 of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(percent / 100 * len(ranked)))] if ranked else 0.0


# ---------------------------------------------------------------------------------------------------------------- lost


def _left_out(states: Mapping[str, State]) -> list[str]:
    found = []
    for task, state in states.items():
        if state.outcome is None or state.unreadable:
            continue
        before = state.times["outcome"] - LATE
        done = {work: result for work, result in state.results.items() if state.times[work] < before}
        good = [work for work, r in done.items() if r.status != ResultStatus.FAILED and r.findings]
        if state.outcome.status == OutcomeStatus.FAILED and good and not _unreadable_outcome(state):
            found.append(f"{task}: failed, though {', '.join(good)} had come")
        planned = {subtask.work_id for subtask in state.subtasks}
        calls = sum(r.usage.model_calls for work, r in done.items() if work in planned)
        if state.outcome.usage.model_calls < calls and not _unreadable_outcome(state):
            found.append(f"{task}: {state.outcome.usage.model_calls} calls in its outcome, {calls} in its results")
    return found


def _unreadable_outcome(state: State) -> bool:
    """Somebody wrote what cannot be read where the outcome belongs: it counts, whatever it says."""
    return bool(state.outcome) and state.outcome.reason.startswith("the outcome in the log cannot be read")  # type: ignore[union-attr]


def _gone(evidence: Evidence) -> list[str]:
    return [
        f"{task}: {name} was in the log, and is not" for task, name in evidence.watched if (task, name) not in evidence.final
    ]


# ---------------------------------------------------------------------------------------------------------- duplicated


def _twice(evidence: Evidence) -> list[str]:
    found = []
    for about, last in evidence.final.items():
        (task, name), versions = about, {*last, *evidence.watched.get(about, ())}
        if about in evidence.spoiled:
            last, versions = last[:1], {min(versions, key=lambda seen: seen.sequence), last[0]}
        if len(last) > 1 or len(versions) > 1:
            found.append(f"{task}: {name} has {max(len(last), len(versions))} versions")
    return found


# --------------------------------------------------------------------------------------------------------------- stuck


def _overdue(states: Mapping[str, State]) -> list[str]:
    found = []
    for task, state in states.items():
        if state.submitted is None or state.outcome is None:
            continue
        late = state.times["outcome"] - state.submitted_at - state.submitted.limits.deadline
        if late > OVERDUE:
            found.append(f"{task}: its outcome came {late:.0f} s after its deadline")
    return found


# ------------------------------------------------------------------------------------------------------------ repeated


def placed(calls: Sequence[Call], states: Mapping[str, State]) -> list[Call]:
    """``calls``, with the round of those for reports: by what they ask they are all of the first, as they look alike."""
    found = []
    for call in calls:
        turn, state = call.turn, states.get(call.turn.task)
        if turn.work.startswith("synthesis.") and state:
            rounds = [number for number in state.plans if state.times.get(f"plan.{number}", call.at) < call.at]
            turn = structs.replace(turn, work=f"synthesis.{max(rounds, default=0)}")
        found.append(structs.replace(call, turn=turn))
    return found


def repeated(calls: Sequence[Call], kept: Sequence[Kept]) -> list[str]:
    """Requests for what was known: who made them could have gone on from there. ``kept`` is in the order of conversations."""
    conversations: dict[str, list[Kept]] = defaultdict(list)
    for entry in kept:
        conversations[entry.about].append(entry)
    turns = {call.message: call.turn for call in calls if call.message}
    often = {turn for turn, n in Counter(call.turn for call in calls).items() if n > 1}
    found = []
    for turn, at in ((call.turn, call.at) for call in calls if call.turn in often):
        for about, entries in conversations.items():
            if f".{turn.task}.{turn.work}." not in f"{about}.":
                continue
            known = resumed([entry.checkpoint for entry in entries if entry.time < at - KNOWN_AFTER], ())
            if turn in {turns.get(message) for message in _messages(known.records)}:
                found.append(f"{turn.task}: {turn.work} asked again for turn {turn.turn} of its {turn.role}")
    return found


def answers(kept: Sequence[Kept]) -> int:
    """How many whole answers the journal holds."""
    return sum(len(_messages(entry.checkpoint.records)) for entry in kept)


def _messages(records: Sequence[Record]) -> list[str]:
    """The ids of the answers in ``records`` that came to their end."""
    return [record.value["message"]["id"] for record in records if record.answer and not record.part and not record.error]


def paid_twice(calls: Sequence[Call]) -> int:
    """Whole answers beyond the first to a turn: who heard the first was ended before it could be kept."""
    whole = Counter(call.turn for call in calls if call.whole)
    return sum(n - 1 for n in whole.values())


# ------------------------------------------------------------------------------------------------------------ recovery


def recovery(logs: Mapping[str, Sequence[Fact]], states: Mapping[str, State], faults: Sequence[Broke]) -> list[Recovered]:
    """Seconds from each fault to the next fact of each task that was under way."""
    found = []
    for task, facts in logs.items():
        state = states[task]
        if state.submitted is None:
            continue
        times = sorted(fact.time for fact in facts)
        ended = state.times.get("outcome", float("inf"))
        for fault in faults:
            later = next((time for time in times if time > fault.time), None)
            if state.submitted_at < fault.time < ended and later is not None:
                found.append(Recovered(later - fault.time, task, fault.what))
    return found


# --------------------------------------------------------------------------------------------------------------- wrong


def _broken(logs: Mapping[str, Sequence[Fact]], states: Mapping[str, State]) -> list[str]:
    found = [f"{task}: {wrong}" for task, facts in logs.items() for wrong in violations_of_log(facts)]
    for task, state in states.items():
        limits = state.submitted.limits if state.submitted else None
        if limits and limits.max_tokens and _tokens(state.usage) > limits.max_tokens:
            found.append(f"{task}: {_tokens(state.usage)} tokens were used, and {limits.max_tokens} allowed")
    return found


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens + usage.cache_write_tokens + usage.cache_read_tokens


def endings(logs: Mapping[str, Sequence[Fact]]) -> dict[str, list[str]]:
    """How tasks ended: by status, the reasons."""
    found: dict[str, list[str]] = defaultdict(list)
    for task, facts in logs.items():
        outcome = fold(task, facts).outcome
        found[outcome.status.value if outcome else "none"].append(f"{task}: {outcome.reason if outcome else ''}")
    return dict(sorted(found.items()))
