"""A model of the world around the pure core: a log that takes each fact once, queues, timers, and replicas that come and go.

Nothing here is asynchronous: a replica at work is a generator that stops before each word to the bus, so that a test decides
who speaks next, and who never speaks again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from msgspec import structs

from concertino.contracts.codec import encode
from concertino.contracts.facts import Fact, read_fact
from concertino.contracts.messages import Dispatched, Halted, Message, Outcome, Work
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import FactName, Header, Subjects
from concertino.orchestrator.core.decide import decide, phase
from concertino.orchestrator.core.effects import Dispatch, Effect, Halt, SetTimer, WriteFailed, WriteOutcome
from concertino.orchestrator.core.invariants import violations, violations_of_log
from concertino.orchestrator.core.lifecycle import Phase, allowed
from concertino.orchestrator.core.policies import join, rounds
from concertino.orchestrator.core.policies.hedge import OFF, Hedging

TASK = "t"
START = 1_000_000.0
TRIGGERS = {"submitted", "plan", "begun", "result", "synthesis", "cancel", "finish", "due"}
_ORDER = list(Phase)


@dataclass
class World:
    """What the server holds. ``queue`` is by message id; ``triggers`` are sequences that no replica has acknowledged."""

    now: float = START
    sequence: int = 0
    log: list[Fact] = field(default_factory=list)
    queue: dict[str, Work] = field(default_factory=dict)
    enqueued: dict[str, Work] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    triggers: list[int] = field(default_factory=list)
    kinds: frozenset[str] = frozenset({"web", "code"})
    hedging: Hedging = OFF
    room: int | None = None
    """Pieces of work that queues still take; None: any number."""
    told: bool = False
    """Whether it was signalled to workers that the task is over."""

    def write(self, name: str, message: Message) -> bool:
        """The first message on a subject stands."""
        return self.write_raw(name, encode(message), {})

    def write_raw(self, name: str, data: bytes, headers: dict[str, str]) -> bool:
        if any(str(fact.name) == name for fact in self.log):
            return False
        self._append(name, data, headers)
        return True

    def enqueue(self, work: Work) -> bool:
        """False where the queue is full. What it has had already it does not take again, and says nothing of it."""
        id_ = Subjects().message_id(work.task, work.id, work.attempt)
        if id_ not in self.enqueued:
            if self.room == 0:
                return False
            self.room = None if self.room is None else self.room - 1
            self.enqueued[id_] = self.queue[id_] = work
        return True

    def schedule(self, name: str, at: float) -> None:
        self.timers[name] = at
        self.log = [fact for fact in self.log if str(fact.name) != f"timer.{name}"]  # the new one replaces it
        self._append(f"timer.{name}", b"", {Header.SCHEDULE: "@at ..."})

    def fire(self, name: str) -> None:
        """Whenever the test says so: early, in time, or late."""
        del self.timers[name]
        self._append(f"due.{name}", b"", {})

    def overdue(self, name: str) -> None:
        """Said by an orchestrator. The server may still say so."""
        if f"overdue.{name}" not in map(str, (fact.name for fact in self.log)):
            self._append(f"overdue.{name}", b"", {})

    @property
    def state(self) -> State:
        return fold(TASK, self.log)

    @property
    def outcome(self) -> Outcome | None:
        return self.state.outcome

    def _append(self, name: str, data: bytes, headers: dict[str, str]) -> None:
        type_, _, about = name.partition(".")
        self.sequence += 1
        self.log.append(read_fact(FactName(type_, about), data, headers, self.sequence, self.now))
        if type_ in TRIGGERS:
            self.triggers.append(self.sequence)
        wrong = violations_of_log(self.log)
        assert not wrong, wrong


class Replica:
    """A coordinator: a state of its own, a clock that is off by ``skew`` seconds, and reads that may lag by ``lag`` facts.
    Up to ``done`` it knows of no trigger from which anything more follows."""

    def __init__(self, world: World, skew: float = 0.0) -> None:
        self.world, self.skew, self.lag = world, skew, 0
        self.disorder = 0
        self.trigger = 0
        self._work: Generator[None, None, bool] | None = None
        self._forget()

    @property
    def busy(self) -> bool:
        return self._work is not None

    def begin(self, trigger: int) -> None:
        self.trigger = trigger
        self._work = self._reconcile(trigger)

    def step(self) -> None:
        """As far as the next word to the bus. Done with all that follows from it, the trigger is acknowledged."""
        assert self._work is not None
        try:
            next(self._work)
        except StopIteration as stop:
            self._work = None
            if stop.value and self.trigger in self.world.triggers:
                self.world.triggers.remove(self.trigger)

    def finish(self) -> None:
        for _ in range(1000):
            if not self.busy:
                return
            self.step()
        raise AssertionError("one trigger called for more than a thousand words to the bus")

    def hear_of(self, other: Replica) -> None:
        """All that follows from what that one has seen to is done, whoever did it."""
        self.done = max(self.done, other.done)

    def crash(self) -> None:
        """Everything forgotten, the trigger not acknowledged."""
        self._work = None
        self._forget()

    def _forget(self) -> None:
        self.state = State(TASK)
        self.done = 0
        self._seen: tuple[int, int] = (0, 0)
        self._latest = 0.0

    def _reconcile(self, reach: int) -> Generator[None, None, bool]:
        yield
        if reach <= self.done:
            return True
        self._read(reach)
        while effects := self._decide():
            for effect in effects:
                if (yield from self._do(effect)):
                    continue
                known = self.state.sequence
                yield
                self._read(0)
                if self.state.sequence == known:
                    return False  # the read lags: handed back
                break
        self.done = max(self.done, reach, self.state.sequence)
        return True

    def _read(self, reach: int) -> None:
        if self.state.sequence >= reach > 0:
            return
        until = max(reach, self.world.sequence - self.lag)
        news = [fact for fact in self.world.log if self.state.sequence < fact.sequence <= until]
        for fact in disordered(news, self.disorder):
            self.state.apply(fact)

    def _decide(self) -> list[Effect]:
        """What is to be done; with every promise of the core checked."""
        self._latest = max(self._latest, self.world.now + self.skew)
        effects = decide(self.state, self._latest, self.world.kinds, self.world.hedging)
        assert not (wrong := violations(self.state, self._latest, self.world.kinds, effects)), wrong
        again = decide(self.state, self._latest, self.world.kinds, self.world.hedging)
        assert effects == again, "asked twice, answered differently"
        self._check_phase()
        return effects

    def _check_phase(self) -> None:
        """Rounds follow each other, phases follow each other in a round, and nothing ever goes back."""
        now = phase(self.state, self._latest)
        round_, before = self._seen
        assert allowed(_ORDER[before], now)
        here = rounds.current(self.state) if self.state.submitted else 0
        seen = (10 if now == Phase.ENDED else here, _ORDER.index(now))
        assert seen >= (round_, before), f"from round {round_}, {_ORDER[before]} back to round {here}, {now}"
        self._seen = seen

    def _do(self, effect: Effect) -> Generator[None, None, bool]:
        yield
        match effect:
            case SetTimer(name, at):
                self.world.schedule(name, at)
                self._know(f"timer.{name}", None)
            case Dispatch(wave, work, hedge_after):
                sent: list[Work] = []
                for one in work:
                    check_work(self.world, one)
                    if self.world.enqueue(one):
                        sent.append(one)
                    yield
                if not sent:
                    return False  # its queue is full: handed back, if nothing new is in the log
                dispatched = Dispatched(work=tuple((w.id, w.attempt) for w in sent), hedge_after=hedge_after)
                if not self.world.write(f"dispatched.{wave}", dispatched):
                    return False
                self._know(f"dispatched.{wave}", dispatched)
                return len(sent) == len(work)
            case WriteFailed(results):
                for name, result in results:
                    self.world.write(name, result)
                    yield
                return False  # read again, whoever was first
            case WriteOutcome(outcome):
                if not self.world.write("outcome", outcome):
                    return False
                self._know("outcome", outcome)
            case Halt():
                self.world.told = True
                yield
                if not self.world.write("halted", Halted()):
                    return False
                self._know("halted", Halted())
        return True

    def _know(self, name: str, message: Message | None) -> None:
        type_, _, about = name.partition(".")
        self.state.apply(Fact(FactName(type_, about), message, 0, 0.0))


def check_work(world: World, work: Work) -> None:
    """What goes into a queue is true of the log, whoever put it there and however little of the log it had seen."""
    truth = world.state
    assert work.id.startswith(("plan.", "result.", "synthesis."))
    for item in work.inputs:
        assert item.subtask in truth.subtasks
        assert item.result is None or item.result == truth.results[item.subtask.work_id]
    if work.id.startswith("result."):
        assert [i.subtask.id for i in work.inputs if i.result] == list(work.brief.depends_on)
    assert work.deadline <= join.ends_at(truth)
    if work.attempt > 1:
        # What is sent again is what was sent, and somebody is at work on it: no queue gets longer by work that waits in it.
        first = world.enqueued[Subjects().message_id(work.task, work.id, 1)]
        assert structs.replace(work, attempt=1) == first
        assert any(name.startswith(f"{work.id}.") and begun.hedge for name, begun in truth.begun.items())


def disordered(facts: Iterable[Fact], how: int) -> list[Fact]:
    """``facts`` as they may arrive: in order, backwards, rotated; some of them twice."""
    there = list(facts)
    match how % 4:
        case 1:
            return there[::-1]
        case 2:
            middle = len(there) // 2
            return there[middle:] + there[:middle] + there[:1]
        case 3:
            return there + there[::-2]
    return there
