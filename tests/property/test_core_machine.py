"""The core in a world where everything goes wrong that can, with its invariants checked after every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from core_strategies import settled, tasks, well_settled
from core_world import TASK, Replica, World, disordered
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from concertino.contracts.messages import COORDINATOR, Begun, Cancel, Finish, Returned, Spent, Submitted
from concertino.contracts.state import fold
from concertino.contracts.subjects import FactName, nth
from concertino.orchestrator.core.decide import decide
from concertino.orchestrator.core.effects import Dispatch, SetTimer
from concertino.orchestrator.core.invariants import violations
from concertino.orchestrator.core.policies import hedge, join
from concertino.orchestrator.core.policies.hedge import OFF, Hedging

MISFORTUNES = [
    "cancel",
    "finish",
    "strangers",
    "full queues",
    "deaf replicas",
    "lost work",
    "early timers",
    "skewed clocks",
    "lag",
    "crash",
    "gone workers",
]
HEDGINGS = [
    OFF,
    Hedging({"web": 1.5}, {"web": 1}),
    Hedging({"web": 1.5, "code": 5.5}, {"web": 9, "code": 9}),
    Hedging({"web": 2.0, "code": 300.0}, {"web": 0, "code": 9}),
]
STRANGE_PLACES = [
    "plan.0",
    "plan.00",
    "dispatched.1",
    "dispatched.3",
    "dispatched.999999999",
    "result.web.r0s0",
    "result.code.r0s0",
    "synthesis.0",
]
STRANGE_PLACES += ["cancel", "timer.join", "timer.hedge-1", "due.hedge-x", "due.limit-7", "outcome", "later.0"]
STRANGE_PLACES += ["finish", "due.finish-begun", "timer.room", "due.room"]


def may(misfortune: str) -> Callable[[Any], Any]:
    return precondition(lambda self: misfortune in self.misfortunes)


class Orchestration(RuleBasedStateMachine):
    """One task, three replicas. Which misfortunes there are is drawn first: with all of them at once no task gets far."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.misfortunes: set[str] = set()
        self.lost = False
        self.timed = False

    @initialize(
        task=tasks,
        misfortunes=st.sets(st.sampled_from(MISFORTUNES), max_size=4),
        unreadable=st.sampled_from([*[False] * 30, True]),
        strange=st.lists(st.sampled_from(STRANGE_PLACES), max_size=2, unique=True),
        good_days=st.sampled_from([True, True, False]),
        hedging=st.sampled_from(HEDGINGS),
        days=st.sampled_from([4, 8, 2, 3, 1, 0]),
        slow=st.booleans(),
        idle=st.booleans(),
        data=st.data(),
    )
    def submit(
        self,
        task: Submitted,
        misfortunes: set[str],
        unreadable: bool,
        strange: list[str],
        good_days: bool,
        hedging: Hedging,
        days: int,
        slow: bool,
        idle: bool,
        data: st.DataObject,
    ) -> None:
        """The task, and how far it has come when misfortune sets in."""
        self.misfortunes, self.good_days, self.world.hedging = misfortunes, good_days, hedging
        if "strangers" in misfortunes:
            for name in strange:
                self.world.write_raw(name, b"?", {})
        skew = 25.0 if "skewed clocks" in misfortunes else 0.0
        self.replicas = [Replica(self.world), Replica(self.world, skew), Replica(self.world, -skew)]
        if unreadable:
            self.world.write_raw("submitted", b'{"request": 7}', {})
        else:
            self.world.write("submitted", task)
        for _ in range(days):
            self.settle_down()
            if slow:
                self.work_is_slow(1.0)
            self.a_day_of_work(data)
        self.settle_down()
        if idle:  # nobody takes what is in the queues, until somebody has waited too long
            if slow:
                self.work_is_slow(1.0)
            self.it_is_time(True)

    # --- replicas

    @rule(data=st.data(), which=st.integers(0, 2), disorder=st.integers(0, 3))
    @precondition(lambda self: self.world.triggers)
    def hear(self, data: st.DataObject, which: int, disorder: int) -> None:
        """A replica gets a trigger, any of those that wait: the oldest may be the last to be heard."""
        replica = self.replicas[which]
        if not replica.busy:
            replica.disorder = disorder
            replica.begin(data.draw(st.sampled_from(self.world.triggers)))

    @rule(which=st.integers(0, 2), words=st.integers(1, 4))
    def go_on(self, which: int, words: int) -> None:
        for _ in range(words):
            if self.replicas[which].busy:
                self.replicas[which].step()
        self._note_timers()

    @rule()
    def settle_down(self) -> None:
        """A quiet moment: whoever is at work gets done, and everything there is is heard."""
        for replica in self.replicas:
            replica.finish()
        self._hear_all(self.replicas[0])

    @rule(which=st.integers(0, 2), other=st.integers(0, 2))
    def tell(self, which: int, other: int) -> None:
        """A replica has had another look, which says how far it saw to everything."""
        self.replicas[which].hear_of(self.replicas[other])

    @rule(data=st.data())
    def hear_twice(self, data: st.DataObject) -> None:
        heard = [f.sequence for f in self.world.log if f.name.type in ("submitted", "plan", "begun", "result", "due")]
        self.world.triggers.append(data.draw(st.sampled_from(heard)))

    @rule(which=st.integers(0, 2))
    @may("crash")
    def crash(self, which: int) -> None:
        self.replicas[which].crash()

    @rule(which=st.integers(0, 2), lag=st.integers(0, 4))
    @may("lag")
    def lag(self, which: int, lag: int) -> None:
        self.replicas[which].lag = lag

    @rule(data=st.data())
    @may("deaf replicas")
    def never_hear(self, data: st.DataObject) -> None:
        """A trigger is lost on everybody. A later one, or a timer, has to make up for it."""
        due = {fact.sequence for fact in self.world.log if fact.name.type == "due"}
        if heard := [sequence for sequence in self.world.triggers if sequence not in due]:
            self.lost = True
            self.world.triggers.remove(data.draw(st.sampled_from(heard)))

    # --- workers

    @rule(data=st.data(), again=st.booleans())
    @precondition(lambda self: self.world.queue)
    def work(self, data: st.DataObject, again: bool) -> None:
        """Work gets done, well or badly; where ``again``, its queue delivers it a second time."""
        id_ = data.draw(st.sampled_from(sorted(self.world.queue)))
        work = self.world.queue[id_] if again else self.world.queue.pop(id_)
        self.world.write(work.id, data.draw(settled(work)))

    @rule(data=st.data(), delivery=st.integers(1, 2), hedge=st.sampled_from([True, True, True, False]))
    @precondition(lambda self: self.world.enqueued)
    def work_goes_on(self, data: st.DataObject, delivery: int, hedge: bool) -> None:
        """A worker says so: of what is queued, done long since, or a second attempt itself."""
        work = self.world.enqueued[data.draw(st.sampled_from(sorted(self.world.enqueued)))]
        self.world.write(f"begun.{work.id}.{nth(work.attempt, delivery)}", Begun(worker="w1", seconds=1.0, hedge=hedge))

    @rule(data=st.data(), ending=st.sampled_from([Spent(why="overloaded"), Returned()]))
    def an_attempt_ends_in_vain(self, data: st.DataObject, ending: Spent | Returned) -> None:
        begun = sorted(self.world.state.begun)
        if begun:
            type_ = "spent" if isinstance(ending, Spent) else "returned"
            self.world.write(f"{type_}.{data.draw(st.sampled_from(begun))}", ending)

    @rule(seconds=st.sampled_from([1.0, 4.0, 9.0]))
    @precondition(lambda self: self.world.queue)
    def all_work_is_slow(self, seconds: float) -> None:
        self.work_is_slow(seconds)

    def work_is_slow(self, seconds: float) -> None:
        """All that is queued is taken, goes on, and does not come to an end; and the orchestrators are well."""
        for work in list(self.world.queue.values()):
            self.world.write(f"begun.{work.id}.{nth(work.attempt, 1)}", Begun(worker="w1", seconds=1.0, hedge=True))
        self.settle_down()
        self.world.now += seconds
        for name, at in list(self.world.timers.items()):
            if at <= self.world.now:
                self.world.fire(name)
        self.settle_down()

    @rule(data=st.data())
    @precondition(lambda self: self.world.queue)
    def a_day_of_work(self, data: st.DataObject) -> None:
        """All of it gets done, and heard."""
        for id_, work in list(self.world.queue.items()):
            del self.world.queue[id_]
            self.world.write(work.id, data.draw(settled(work)))
        self.settle_down()

    @rule(data=st.data())
    @may("lost work")
    @precondition(lambda self: self.world.queue)
    def lose_work(self, data: st.DataObject) -> None:
        self.lost = True
        del self.world.queue[data.draw(st.sampled_from(sorted(self.world.queue)))]

    @rule(kinds=st.sampled_from([{"web", "code"}, {"web"}, set()]))
    @may("gone workers")
    def workers_come_and_go(self, kinds: set[str]) -> None:
        self.world.kinds = frozenset(kinds)

    @rule(room=st.sampled_from([0, 1, 2]))
    @may("full queues")
    def queues_are_full(self, room: int) -> None:
        self.world.room = room

    # --- time, people

    @rule(seconds=st.sampled_from([0.1, 1.0, 1.0, 8.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        for name, at in list(self.world.timers.items()):
            if at + 30 < self.world.now:  # late, and no later
                self.world.fire(name)

    @rule(heard=st.booleans())
    @precondition(lambda self: set(self.world.timers) - {join.JOIN, join.DEADLINE})
    def it_is_time(self, heard: bool) -> None:
        """The next timer that ends no task goes off when it should."""
        timers = [(at, name) for name, at in self.world.timers.items() if name not in (join.JOIN, join.DEADLINE)]
        if not timers:
            return
        at, name = min(timers)
        self.world.now = max(self.world.now, at)
        self.world.fire(name)
        if heard:
            self.settle_down()

    @rule(data=st.data())
    @may("early timers")
    @precondition(lambda self: self.world.timers)
    def a_timer_goes_off(self, data: st.DataObject) -> None:
        self.world.fire(data.draw(st.sampled_from(sorted(self.world.timers))))

    @rule(data=st.data())
    @may("early timers")
    @precondition(lambda self: self.world.timers)
    def a_timer_is_overdue(self, data: st.DataObject) -> None:
        self.world.overdue(data.draw(st.sampled_from(sorted(self.world.timers))))

    @rule(reason=st.sampled_from(["", "changed my mind"]))
    @may("cancel")
    def cancel(self, reason: str) -> None:
        self.world.write("cancel", Cancel(reason=reason))

    @rule(reason=st.sampled_from(["", "enough"]))
    @may("finish")
    def finish(self, reason: str) -> None:
        self.world.write("finish", Finish(reason=reason))

    @rule(name=st.sampled_from(STRANGE_PLACES), data=st.sampled_from([b"", b"\xff", b"[]", b'{"status": 3}', b'{"work": 1}']))
    @may("strangers")
    def a_stranger_writes(self, name: str, data: bytes) -> None:
        self.world.write_raw(name, data, {})

    # --- what holds for any knowledge of the log, with holes and in any order

    @rule(data=st.data(), order=st.integers(1, 3), skew=st.sampled_from([-30.0, 0.0, 30.0, 700.0]))
    @precondition(lambda self: self.world.kinds == {"web", "code"})
    def anybody_looks(self, data: st.DataObject, order: int, skew: float) -> None:
        log = self.world.log
        known = log if data.draw(st.booleans()) else data.draw(st.lists(st.sampled_from(log), max_size=len(log)))
        state, now = fold(TASK, known), self.world.now + skew
        hedging = self.world.hedging
        effects = decide(state, now, self.world.kinds, hedging)
        assert not (wrong := violations(state, now, self.world.kinds, effects)), wrong
        other = fold(TASK, disordered(known, order))
        assert other == state, "the fold depends on the order"
        assert decide(other, now, self.world.kinds, hedging) == effects
        later = decide(state, now + 50, self.world.kinds, hedging)
        assert not (wrong := violations(state, now + 50, self.world.kinds, later)), wrong
        # What an effect is called says what it is: the same work at another time is the same message.
        named = {(w.id, w.attempt): w for e in effects if isinstance(e, Dispatch) for w in e.work}
        assert all(named.get((w.id, w.attempt), w) == w for e in later if isinstance(e, Dispatch) for w in e.work)
        timers = {e.name: e for e in effects if isinstance(e, SetTimer)}
        assert all(timers.get(e.name, e) == e for e in later if isinstance(e, SetTimer))

    # --- in the end

    def teardown(self) -> None:
        if not self.world.log:
            return
        for replica in self.replicas:
            if replica.busy:
                replica.crash()
        self._note_timers()
        healthy = Replica(self.world)
        if self.good_days and not self.lost and self.world.kinds:
            self._good_days(healthy)
        self._only_timers(healthy)
        if not self.world.outcome and not self.timed:  # the one trigger of this task was lost: its redelivery never will be
            self.world.now += 10_000
            healthy.begin(1)
            healthy.finish()
        assert self.world.outcome, "no outcome"
        event(f"{self.world.outcome.status} after {len(self.world.state.rounds)} rounds")
        if self.world.hedging != OFF and hedge.HEDGE in self.world.state.sent.values():
            event("hedged")
        if self.world.state.finish:
            event(f"finished after {len(self.world.state.rounds)} rounds")
        if any(result.worker == COORDINATOR for result in self.world.state.results.values()):
            event("ended by a limit")
        self._check_told()
        ended = self.world.sequence
        newcomer = Replica(self.world)
        newcomer.begin(1)
        newcomer.finish()
        assert self.world.sequence == ended, "something happens after the end"

    def _check_told(self) -> None:
        """Nobody works for nothing: who was sent something that was still to be done at the end has been told of it."""
        state = self.world.state
        if self.lost and decide(state, self.world.now, self.world.kinds):
            self._hear_again()  # whoever wrote the outcome may have died with the only trigger
            state = self.world.state
        order = {str(fact.name): fact.sequence for fact in self.world.log}
        before = {
            w for n, wave in state.dispatched.items() for w, _ in wave.work if order[f"dispatched.{n}"] < order["outcome"]
        }
        if before & state.unfinished:
            assert state.halted, "the task is over, and its workers do not know"
        if state.halted:
            event("halted")
            assert self.world.told, "who listened was not told"

    def _hear_again(self) -> None:
        healthy = Replica(self.world)
        healthy.begin(1)
        healthy.finish()

    def _good_days(self, replica: Replica) -> None:
        """Nothing was lost: with good workers the task ends without the clock."""
        state = self.world.state
        closed = state.submitted and ({join.JOIN, join.DEADLINE} & state.due or self.world.now >= join.join_at(state))
        for _ in range(60):
            self._hear_all(replica)
            if self.world.outcome:
                return
            for id_, work in list(self.world.queue.items()):
                del self.world.queue[id_]
                self.world.write(work.id, well_settled(work))
        assert closed, "nothing was lost, everybody works, and there is no end"

    def _only_timers(self, replica: Replica) -> None:
        for _ in range(6 + len(self.world.state.begun)):  # each that goes on may set a timer, and none sets two
            self._hear_all(replica)
            for name, at in list(self.world.timers.items()):
                self.world.now = max(self.world.now, at)
                self.world.fire(name)
        self._hear_all(replica)
        assert self.world.outcome or not self.timed, "timers went off, and there is no end"

    def _hear_all(self, replica: Replica) -> None:
        replica.lag, self.world.room = 0, None
        for _ in range(200):
            if not self.world.triggers:
                break
            replica.begin(self.world.triggers[0])
            replica.finish()
        assert not self.world.triggers, "triggers without end"
        self._note_timers()

    def _note_timers(self) -> None:
        self.timed = self.timed or any(f.name == FactName("timer", "join") and f.message is None for f in self.world.log)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
class TestOrchestration(Orchestration.TestCase):  # type: ignore[misc]
    settings = settings(
        max_examples=1000,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
        phases=set(Phase) - {Phase.explain},  # which traces every line, at twice the time
    )
