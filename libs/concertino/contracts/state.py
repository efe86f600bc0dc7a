"""What the facts of a task add up to: the fold. Orchestrator, clients and tests read a task through it.

Applying a fact twice, or facts in another order, gives the same state: each fact has its own place, and the first one stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct, structs

from concertino.contracts.facts import Fact, Unreadable
from concertino.contracts.messages import (
    Again,
    Begun,
    Cancel,
    Dispatched,
    Done,
    Failure,
    Finish,
    Halted,
    Outcome,
    Plan,
    Planned,
    Result,
    Returned,
    Spent,
    Submitted,
    Subtask,
    Synthesized,
    Usage,
)
from concertino.contracts.subjects import is_number
from concertino.contracts.trace import NO_TRACE, Trace

_DUE = ("due", "overdue")
_HEADS = ("submitted", "dispatched.1")
"""The facts that say in which trace a task goes on: that of its caller, or else of who first did something about it."""


class Round(Struct, frozen=True):
    """One plan with what came of it."""

    number: int
    plan: Plan
    synthesis: Synthesized | None


@dataclass(slots=True)
class State:
    """Everything that is known of one task. Keys of ``times`` are fact names as in the subject (``result.web.s1``)."""

    task: str
    sequence: int = 0
    submitted: Submitted | None = None
    unreadable: Failure | None = None
    plans: dict[int, Planned] = field(default_factory=dict)
    dispatched: dict[int, Dispatched] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    """By work id. One under a kind that is not the one of its subtask in the plan stands in the log, and counts for nothing."""
    syntheses: dict[int, Synthesized] = field(default_factory=dict)
    lost: dict[str, Spent] = field(default_factory=dict)
    """What deliveries cost that brought no result, by work id and delivery (``result.web.s1.2``)."""
    begun: dict[str, Begun] = field(default_factory=dict)
    """Deliveries that were not over at once, named alike."""
    returned: dict[str, Returned] = field(default_factory=dict)
    """Deliveries that were no fault of the work's, named alike."""
    done: set[str] = field(default_factory=set)
    """Ids of the work whose results the task started with. What they took was paid by the task that they are from."""
    again: set[str] = field(default_factory=set)
    """The tasks that run again what failed in this one."""
    cancel: Cancel | None = None
    finish: Finish | None = None
    timers: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    outcome: Outcome | None = None
    halted: Halted | None = None
    times: dict[str, float] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """Sequences in the log, under the same names: what came before what. 0: who keeps this state wrote that fact itself."""
    sent: dict[str, int] = field(default_factory=dict)
    """Work id to the highest attempt that is in a queue."""
    hedge_after: dict[str, float] = field(default_factory=dict)
    """Work id to the seconds of work after which it is slow, where a second attempt may be made then."""
    heads: dict[str, Trace] = field(default_factory=dict)
    """Where a trace of it begins, by the name of the fact that says so."""

    def apply(self, fact: Fact) -> None:
        """Add one fact. Unknown types are left aside: a newer release wrote them."""
        self.sequence = max(self.sequence, fact.sequence)
        name, about, message = str(fact.name), fact.name.about, fact.message
        if fact.name.type == "overdue":
            name = f"due.{about}"  # whichever stands first
        if name in self.times and not (fact.name.type in _DUE and fact.sequence < self.places[name]):
            return
        match message:
            case Submitted():
                self.submitted = message
                if message.plan is not None:
                    self.plans[0] = Planned(plan=message.plan)
                    self._start_with(message.done, message.plan, fact)
            case Unreadable() if fact.name.type == "submitted":
                self.unreadable = message.error
            case Planned() if is_number(about):
                self.plans.setdefault(int(about), message)
            case Dispatched() if is_number(about):
                self.dispatched[int(about)] = message
                for work, attempt in message.work:
                    self.sent[work] = max(attempt, self.sent.get(work, 0))
                    if attempt == 1 and (after := message.hedge_after.get(_kind(work))) is not None:
                        self.hedge_after[work] = min(after, self.hedge_after.get(work, after))
            case Result():
                self.results[name] = message
            case Synthesized() if is_number(about):
                self.syntheses[int(about)] = message
            case Spent():
                self.lost[about] = message
            case Begun():
                self.begun[about] = message
            case Returned():
                self.returned[about] = message
            case Again():
                self.again.add(about)
            case Cancel():
                self.cancel = message
            case Finish():
                self.finish = message
            case Outcome():
                self.outcome = message
            case Halted():
                self.halted = message
            case None if fact.name.type == "timer":
                self.timers.add(about)
            case None if fact.name.type in _DUE:
                self.due.add(about)
            case _:
                return
        self.times[name], self.places[name] = fact.time, fact.sequence
        if fact.trace and name in _HEADS:
            self.heads[name] = fact.trace

    def _start_with(self, done: Iterable[Done], plan: Plan, fact: Fact) -> None:
        """Such a result stands, whatever is written in its place: the server cannot know that it is there."""
        planned = {subtask.work_id for subtask in plan.subtasks}
        for one in done:
            if one.work in planned and one.work not in self.done:
                self.done.add(one.work)
                self.results[one.work] = structs.replace(one.result, usage=_NOTHING, spent={})
                self.times[one.work], self.places[one.work] = fact.time, fact.sequence

    @property
    def trace(self) -> Trace:
        """The trace that whatever is done about the task goes on in: it is in the log, so every replica knows it."""
        return next((self.heads[name] for name in _HEADS if name in self.heads), NO_TRACE)

    @property
    def submitted_at(self) -> float:
        return self.times.get("submitted", 0.0)

    @property
    def rounds(self) -> list[Round]:
        """Rounds that have a plan, from the first on without a hole."""
        rounds: list[Round] = []
        while (planned := self.plans.get(len(rounds))) and planned.plan is not None:
            rounds.append(Round(len(rounds), planned.plan, self.syntheses.get(len(rounds))))
        return rounds

    @property
    def subtasks(self) -> list[Subtask]:
        """Of all rounds, in the order of the plans."""
        return [subtask for round_ in self.rounds for subtask in round_.plan.subtasks]

    @property
    def unfinished(self) -> set[str]:
        """The ids of work that was sent and has brought nothing yet."""
        plans, syntheses = (f"plan.{n}" for n in self.plans), (f"synthesis.{n}" for n in self.syntheses)
        return self.sent.keys() - {*plans, *self.results, *syntheses}

    @property
    def usage(self) -> Usage:
        """What all work of the task took, that of attempts in vain included."""
        total = Usage()
        results = (result for subtask in self.subtasks if (result := self.results.get(subtask.work_id)))
        settled = (*self.plans.values(), *results, *self.syntheses.values())
        for usage in (*(s.usage for s in settled), *(lost.usage for lost in self.lost.values())):
            if usage != _NOTHING:
                total = total + usage
        return total


_NOTHING = Usage()


def _kind(work: str) -> str:
    """Of a subtask's work; empty for a plan or a report."""
    type_, _, about = work.partition(".")
    return about.partition(".")[0] if type_ == "result" else ""


def fold(task: str, facts: Iterable[Fact]) -> State:
    """The state after ``facts``."""
    state = State(task)
    for fact in facts:
        state.apply(fact)
    return state
