"""A task told as what happened, fact by fact, and what the core makes of it."""

from __future__ import annotations

from concertino.contracts.codec import encode
from concertino.contracts.facts import read_fact
from concertino.contracts.messages import (
    Begun,
    Dispatched,
    Failure,
    Finding,
    Limits,
    Message,
    Outcome,
    Plan,
    Planned,
    Report,
    Result,
    ResultStatus,
    Submitted,
    Subtask,
    Synthesized,
    Work,
)
from concertino.contracts.state import State
from concertino.contracts.subjects import FactName, Header
from concertino.orchestrator.core.decide import decide
from concertino.orchestrator.core.effects import Dispatch, Effect, SetTimer, WriteOutcome
from concertino.orchestrator.core.invariants import violations
from concertino.orchestrator.core.policies.hedge import OFF

START = 1_000_000.0
KINDS = {"web", "code"}
LIMITS = Limits(deadline=100.0)
JOIN_AT, END = START + 80.0, START + 100.0
"""When the time for results is up, and when the task's is."""

FOUND = Result(findings=(Finding(claim="so it is"),))
NOTHING = Result()
BROKEN = Result(status=ResultStatus.FAILED, error=Failure(code="source", message="src does not exist"))


def subtask(id_: str, *depends_on: str, kind: str = "web", objective: str = "") -> Subtask:
    return Subtask(id=id_, kind=kind, objective=objective or f"look into {id_}", depends_on=depends_on)


def plan(*subtasks: Subtask, synthesize: bool = True) -> Plan:
    return Plan(subtasks=subtasks, synthesize=synthesize)


def planned(*subtasks: Subtask) -> Planned:
    return Planned(plan=plan(*subtasks))


def report(*gaps: str, text: str = "It is so.") -> Synthesized:
    return Synthesized(report=Report(text=text, gaps=gaps, open=gaps))


class Story:
    """``submitted`` at START; then whatever :meth:`then` says. Each decision is checked against the invariants."""

    def __init__(self, task: Submitted | None = None, *, id_: str = "t") -> None:
        self.state, self.hedging = State(id_), OFF
        self.then("submitted", task or Submitted(request="What is it?", limits=LIMITS))

    @classmethod
    def untold(cls) -> Story:
        """Nothing is known of the task yet."""
        story = cls()
        story.state = State("t")
        return story

    def then(self, name: str, message: Message, at: float = START) -> Story:
        return self.raw(name, encode(message), {}, at)

    def raw(self, name: str, data: bytes, headers: dict[str, str], at: float = START) -> Story:
        type_, _, about = name.partition(".")
        self.state.apply(read_fact(FactName(type_, about), data, headers, self.state.sequence + 1, at))
        return self

    def timer(self, name: str) -> Story:
        return self.raw(f"timer.{name}", b"", {Header.SCHEDULE: "@at ..."})

    def due(self, name: str) -> Story:
        return self.raw(f"due.{name}", b"", {})

    def begun(self, work: str, nth: str = "1", at: float = START, seconds: float = 1.0) -> Story:
        return self.then(f"begun.{work}.{nth}", Begun(worker="w1", seconds=seconds), at)

    def effects(self, now: float = START, kinds: set[str] = KINDS) -> list[Effect]:
        effects = decide(self.state, now, kinds, self.hedging)
        assert not (wrong := violations(self.state, now, kinds, effects)), wrong
        return effects

    def sent(self, now: float = START) -> list[Work]:
        """The work that goes out now; from then on it counts as sent, and the timer as set."""
        out: list[Work] = []
        for effect in self.effects(now):
            match effect:
                case SetTimer(name, _):
                    self.timer(name)
                case Dispatch(wave, work, hedge_after):
                    out += work
                    sent = tuple((w.id, w.attempt) for w in work)
                    self.then(f"dispatched.{wave}", Dispatched(work=sent, hedge_after=hedge_after))
        return out

    def ids(self, now: float = START) -> list[str]:
        return [work.id for work in self.sent(now)]

    def ended(self, now: float = START, kinds: set[str] = KINDS) -> Outcome:
        [effect] = self.effects(now, kinds)
        assert isinstance(effect, WriteOutcome)
        return effect.outcome


def brought(*subtasks: Subtask, synthesize: bool = True, limits: Limits = LIMITS) -> Story:
    """A task whose caller brings the plan."""
    return Story(Submitted(request="What is it?", limits=limits, plan=plan(*subtasks, synthesize=synthesize)))
