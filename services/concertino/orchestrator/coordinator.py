"""The coordinator: reads the facts of a task, asks the core what is to be done, and does it. It keeps nothing.

What it remembers of a task is a cache of its log. Any replica may handle any trigger; a trigger is acknowledged only once all
effects that follow from it are, so a crash at any point means that somebody does the same again, under the same names.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence

import msgspec
import structlog
from msgspec import Struct, structs

from concertino.bus import topology
from concertino.bus.announcements import kinds
from concertino.bus.port import Bus, Consumption, Delivery
from concertino.bus.tasklog import TaskLog
from concertino.contracts.budget import within
from concertino.contracts.codec import encode
from concertino.contracts.errors import BusUnavailable, ConcertinoError, InvalidId, QueueFull
from concertino.contracts.facts import Fact
from concertino.contracts.messages import (
    COORDINATOR,
    Dispatched,
    Halted,
    Lane,
    Message,
    Outcome,
    OutcomeStatus,
    Result,
    ResultStatus,
    Settled,
    Signal,
    Work,
)
from concertino.contracts.state import State
from concertino.contracts.subjects import FINISH, HALTED, LANES, PLAN, FactName, Subjects, check_id
from concertino.orchestrator.core.decide import decide
from concertino.orchestrator.core.effects import Dispatch, Effect, Halt, SetTimer, WriteFailed, WriteOutcome
from concertino.orchestrator.core.policies import ending, hedge
from concertino.orchestrator.stragglers import Stragglers
from concertino.orchestrator.turns import Turns
from concertino.runtime.clock import Clock
from concertino.telemetry import logs, metrics, tracing
from concertino.telemetry.labels import OTHER
from concertino.telemetry.names import Attribute, Event

SLOTS = 4000
"""Triggers in hand. As many as that may stand before an urgent one, and it still comes at once."""
BATCH_AT_ONCE = 64
"""Batch tasks that are handled at the same time: enough to keep the server busy, few for an interactive one to stand among."""
SLICE = 256
"""Pieces of work that are sent before others have their turn."""
REMEMBERED = 5_000
"""Tasks whose state is kept between triggers."""
BUG_ATTEMPTS = 5
"""Deliveries after which a task that makes us fail is ended, so that it is not stuck for ever."""
FULL_DELAY, LONGEST_FULL = 1.0, 15.0
"""Seconds until work is tried again whose queue is full: at first, and at the most."""
RETRY_DELAY = 0.5
"""Seconds until a trigger comes back; twice as many with each attempt where the fault may be the task's own."""

LAST_WORDS = 5.0
"""Seconds for what is being handled when a replica leaves."""

_URGENT = ("cancel", FINISH)
"""Facts that end what their task costs."""

log = structlog.get_logger(__name__)


class _InLane(Struct):
    """What of a submitted task says who waits for it. (Any other fact has no lane.)"""

    lane: Lane | None = None


class _Triggers(Struct):
    """Deliveries about one task that wait to be handled together: k results cost a few reads, not k."""

    reach: int
    deliveries: list[Delivery]


class Coordinator:
    """One replica. ``clock`` gives Unix seconds; ``max_cost`` is what any task may spend, in US dollars. None: what its caller
    says. ``stragglers`` say what is slow; without them nothing is hedged."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        max_cost: float | None = None,
        stragglers: Stragglers | None = None,
    ) -> None:
        self._bus, self._subjects, self._clock = bus, subjects, clock
        self._max_cost, self._stragglers = max_cost, stragglers
        self._log = TaskLog(bus, subjects)
        self._waiting: dict[str, _Triggers] = {}
        self._busy: set[str] = set()
        self._handling: set[asyncio.Task[None]] = set()
        self._triggers: Consumption | None = None
        self._turns = Turns(BATCH_AT_ONCE, self._in_hand, topology.COORDINATOR_LEASE)
        self._states: OrderedDict[str, State] = OrderedDict()
        self._kinds: frozenset[str] = frozenset()
        for outcome, lane in itertools.product(OutcomeStatus, LANES):
            metrics.TASKS.labels(outcome, lane)  # seen as 0 before the first

    def start(self) -> Consumption:
        """Handle triggers from now on."""
        self._triggers = self._bus.consume(topology.coordinator(self._subjects), self._on_trigger, SLOTS)
        return self._triggers

    async def stop(self) -> None:
        """Take no more triggers, finish what is being handled, and leave to others what waits."""
        if self._triggers:
            await self._triggers.stop()
        waiting = list(self._in_hand())
        self._waiting.clear()
        self._turns.end()
        try:
            await _settle(waiting, 0.0)
        except BusUnavailable as e:
            log.warning("triggers could not be handed back; they go to others when their lease ends", error=str(e))
        if self._handling:
            await asyncio.wait(self._handling, timeout=LAST_WORDS)

    async def _on_trigger(self, delivery: Delivery) -> None:
        handling = asyncio.current_task()
        assert handling is not None
        self._handling.add(handling)
        try:
            await self._take(delivery)
        finally:
            self._handling.discard(handling)

    async def _take(self, delivery: Delivery) -> None:
        task, name = self._subjects.parse_fact(delivery.message.subject)
        triggers = self._waiting.setdefault(task, _Triggers(0, []))
        triggers.reach = max(triggers.reach, delivery.message.sequence)
        triggers.deliveries.append(delivery)
        if task in self._busy:
            if name.type in _URGENT:
                self._turns.hurry(task)
            return
        self._busy.add(task)
        try:
            await asyncio.sleep(0)  # whatever came in the same read of the socket joins this group
            async with self._turns.turn(task, patient=name.type not in _URGENT and self._lane(task, delivery) == "batch"):
                while task in self._waiting:
                    await self._handle(task, self._waiting.pop(task))
        finally:
            # Were something left (only where this is cancelled), it would come back when its lease ends.
            self._waiting.pop(task, None)
            self._busy.discard(task)

    def _lane(self, task: str, delivery: Delivery) -> Lane | None:
        """The lane of ``task`` as far as it can be told without reading its log."""
        if (state := self._states.get(task)) and state.submitted:
            return state.submitted.lane
        try:
            return msgspec.json.decode(delivery.message.data, type=_InLane).lane
        except msgspec.DecodeError:
            return None

    def _in_hand(self) -> Iterator[Delivery]:
        """What waits for its task to be handled."""
        return itertools.chain.from_iterable(triggers.deliveries for triggers in self._waiting.values())

    async def _handle(self, task: str, triggers: _Triggers) -> None:
        logs.about(task)
        retry: float | None = None
        try:
            await self.reconcile(task, triggers.reach)
        except BusUnavailable as e:
            log.warning("could not reconcile, trying again", error=str(e))
            retry = RETRY_DELAY
        except QueueFull as e:
            log.warning("work waits for room in its queue", error=str(e))
            retry = _until_room(max(d.attempt for d in triggers.deliveries))
        except Exception as e:
            log.exception("a bug, or a log that nobody foresaw")
            retry = await self._after_fault(task, e, max(d.attempt for d in triggers.deliveries))
        try:
            await _settle(triggers.deliveries, retry)
        except BusUnavailable as e:
            log.warning("triggers could not be settled; they come back when their lease ends", error=str(e))

    async def _after_fault(self, task: str, error: Exception, attempt: int) -> float | None:
        """Seconds after which to try ``task`` again that made us fail; None once it has been ended for that."""
        state = self._states.pop(task, None) or State(task)
        retry = RETRY_DELAY * float(2 ** min(attempt - 1, BUG_ATTEMPTS))
        if attempt < BUG_ATTEMPTS:
            return retry
        reason = f"the orchestrator cannot handle this task ({type(error).__name__}: {error}): please report it with its log"
        if isinstance(error, ConcertinoError):
            reason = str(error)  # it says what to do
        try:
            await self._end(state, ending.failed(State(task), reason))
            await self._halt(task)
        except ConcertinoError as e:
            log.warning("could not end the task, trying again", error=str(e))
            return retry
        return None

    async def reconcile(self, task: str, reach: int) -> None:
        """Bring ``task`` as far as its facts allow now, reading the log at least up to sequence ``reach``."""
        try:
            check_id(task)
        except InvalidId as e:
            # Its log is not even read: `*` can stand in a subject, and would mean the facts of every task.
            await self._end(State(task), ending.failed(State(task), f"the task's id: {e}"))
            return
        state = self._state(task)
        if not state.outcome and state.sequence < reach:
            await self._read(state, reach)
        while effects := await self._decide(state):
            for effect in effects:
                if not await self._do(state, effect):
                    await self._catch_up(state)
                    break
        if state.outcome:
            # All that matters of an ended task is that it has ended.
            self._remember(State(task, sequence=state.sequence, outcome=state.outcome, halted=state.halted))

    async def _decide(self, state: State) -> list[Effect]:
        kinds = await self._kinds_for(state)
        hedging = self._stragglers.hedging({subtask.kind for subtask in state.subtasks}) if self._stragglers else hedge.OFF
        return decide(state, self._clock(), kinds, hedging)

    def _state(self, task: str) -> State:
        state = self._states.get(task) or State(task)
        self._remember(state)
        return state

    def _remember(self, state: State) -> None:
        """Keep ``state``, and forget what was not asked for the longest. (Who works on that has it, and the log has it too.)"""
        self._states[state.task] = state
        self._states.move_to_end(state.task)
        while len(self._states) > REMEMBERED:
            self._states.popitem(last=False)

    async def _read(self, state: State, reach: int = 0) -> None:
        told = state.finish is not None
        for fact in await self._log.read(state.task, state.sequence, reach):
            state.apply(fact)
            if isinstance(fact.message, Result) and str(fact.name) in state.sent:
                await self._learn(state, str(fact.name), fact.message)
        if state.finish and not told and not state.outcome:
            await self._tell(state, self._subjects.finish_signal(state.task), "the caller asked to finish")
        if state.submitted:
            limits = within(state.submitted.limits, self._max_cost)
            state.submitted = structs.replace(state.submitted, limits=limits)

    async def _learn(self, state: State, work: str, result: Result) -> None:
        """A result counts for what is slow, and ends what is done beside it."""
        kind = work.split(".")[1]
        if self._stragglers and result.status != ResultStatus.FAILED:
            self._stragglers.saw(kind, hedge.took(state, work))
        if result.worker == COORDINATOR and result.error:
            await self._tell(state, self._subjects.signal(state.task, work), result.error.message)
        elif state.sent[work] >= hedge.HEDGE:
            await self._tell(state, self._subjects.signal(state.task, work), "another attempt was first")

    async def _tell(self, state: State, subject: str, reason: str) -> None:
        """Whoever it is about, because of a fact that was just read."""
        try:
            await self._bus.publish(subject, encode(Signal(reason=reason)))
        except BusUnavailable:
            self._states.pop(state.task, None)  # so that it is read, and said, again
            raise

    async def _catch_up(self, state: State) -> None:
        """Another replica was first with a fact of ours: what it says counts."""
        known = state.sequence
        await self._read(state)
        if state.sequence == known:
            # Asking at once again would do all the effects again, as fast as we can, until the reader has caught up.
            raise BusUnavailable("the log holds a fact that the replica which was read has not seen yet")

    async def _kinds_for(self, state: State) -> Collection[str]:
        """The kinds on the bus, looked up anew where a plan names one that was not there yet."""
        if not self._kinds.issuperset(subtask.kind for subtask in state.subtasks):
            found = await kinds(self._bus, self._subjects)
            self._kinds = frozenset(a.kind for a in found if not a.internal)
        return self._kinds

    async def _do(self, state: State, effect: Effect) -> bool:
        """Do it, and let ``state`` know. False where the fact was there already."""
        match effect:
            case SetTimer(name, at):
                timer, due = self._subjects.timer(state.task, name), self._subjects.due(state.task, name)
                await self._bus.schedule(timer, at, due)
                _apply(state, "timer", name, None)
            case Dispatch(wave, work, hedge_after):
                assert state.submitted is not None
                lane = state.submitted.lane
                said = {Attribute.BATCH: len(work), Attribute.WAVE: wave, Attribute.LANE: lane}
                with tracing.sending(self._subjects.work("{lane}", "{kind}"), state.task, said, parent=state.trace) as span:
                    sent, full = await self._enqueue(lane, work)
                    of = {w.brief.kind for w in sent}
                    dispatched = Dispatched(
                        work=tuple((w.id, w.attempt) for w in sent),
                        hedge_after={kind: after for kind, after in hedge_after.items() if kind in of},
                    )
                    if not await self._log.write(state.task, f"dispatched.{wave}", dispatched):
                        span.event(Event.EXISTS)
                        return False
                    _apply(state, "dispatched", str(wave), dispatched)
                self._count_sent(sent)
                if full:
                    raise full  # the rest is the next wave, once there is room
            case WriteFailed(results):
                for few in (results[i : i + SLICE] for i in range(0, len(results), SLICE)):
                    await asyncio.gather(*(self._fail(state, work, result) for work, result in few))
                return False  # it is read again: what counts is what stands there
            case WriteOutcome(outcome, timers):
                if not await self._end(state, outcome):
                    return False
                _apply(state, "outcome", "", outcome)
                for name in timers:
                    await self._bus.unschedule(self._subjects.timer(state.task, name))
            case Halt():
                if not await self._halt(state.task):
                    return False
                _apply(state, HALTED, "", Halted())
        return True

    async def _halt(self, task: str) -> bool:
        """Say that ``task`` is over to whoever listens, then to whoever will look. False: the latter was said already.

        In this order a crash between the two means that both are said again. Workers of every kind hear it, so it says no more.
        """
        await self._bus.publish(self._subjects.signal(task), encode(Signal(reason="the task is over")))
        return await self._log.write(task, HALTED, Halted())

    async def _enqueue(self, lane: Lane, work: Sequence[Work]) -> tuple[list[Work], QueueFull | None]:
        """What of ``work`` its queues took, and what those say that are full. Raises that where they took nothing."""
        sent: list[Work] = []
        full: dict[str, QueueFull] = {}
        for first in range(0, len(work), SLICE):
            some = [w for w in work[first : first + SLICE] if w.brief.kind not in full]
            answers = await asyncio.gather(*(self._log.enqueue(lane, w) for w in some), return_exceptions=True)
            for one, answer in zip(some, answers, strict=True):
                if isinstance(answer, QueueFull):
                    full[one.brief.kind] = answer
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    sent.append(one)
        for kind in full:
            metrics.QUEUE_FULL.labels(kind, lane).inc()
        why = next(iter(full.values()), None)
        if why and not sent:
            raise why
        return sent, why

    async def _fail(self, state: State, work: str, result: Settled) -> None:
        """Write ``result`` in the place of a worker's, unless that was first."""
        if await self._log.write(state.task, work, result):
            type_, _, about = work.partition(".")
            kind = PLAN if type_ == "plan" else about.partition(".")[0]
            metrics.RESULTS.labels(kind, result.status).inc()
            metrics.FAILURES.labels(kind, result.error.code if result.error else OTHER).inc()

    async def _end(self, state: State, outcome: Outcome) -> bool:
        """Write ``outcome``. False: there is one already."""
        said = {Attribute.OUTCOME: outcome.status.value, Attribute.COST: outcome.usage.cost_usd}
        with tracing.sending(self._subjects.fact("{task}", "outcome"), state.task, said, parent=state.trace) as span:
            written = await self._log.write(state.task, "outcome", outcome)
            if not written:
                span.event(Event.EXISTS)
            elif outcome.status == OutcomeStatus.FAILED:
                span.failed(outcome.status.value)
        if written:
            self._count(state, outcome)
        return written

    def _count_sent(self, work: Sequence[Work]) -> None:
        """Only whoever wrote that it was sent does."""
        for kind in {w.brief.kind for w in work if w.id.startswith("result.")}:
            metrics.hedged(kind)
        for w in work:
            if w.attempt == hedge.HEDGE:
                metrics.HEDGES.labels(w.brief.kind).inc()
                if self._stragglers:
                    self._stragglers.hedged(w.brief.kind)

    def _count(self, state: State, outcome: Outcome) -> None:
        """Only whoever wrote the outcome does, so each task counts once. What cannot be read has no lane, and no beginning."""
        metrics.TASKS.labels(outcome.status, state.submitted.lane if state.submitted else OTHER).inc()
        metrics.TASK_ROUNDS.inc(len(state.rounds))
        if state.submitted:
            metrics.TASK_SECONDS.labels(outcome.status).observe(max(self._clock() - state.submitted_at, 0.0))
        for subtask in state.subtasks:
            if state.sent.get(subtask.work_id, 0) == hedge.HEDGE:
                result = state.results.get(subtask.work_id)
                metrics.HEDGES_ENDED.labels(subtask.kind, "won" if result and result.hedge else "lost").inc()
        if outcome.status != OutcomeStatus.CANCELLED:
            for round_ in state.rounds:
                kinds = {subtask.work_id: subtask.kind for subtask in round_.plan.subtasks}
                if not kinds.keys().isdisjoint(state.sent):  # else it was never begun: nobody waited
                    for work in kinds.keys() - state.results.keys():
                        metrics.MISSING.labels(kinds[work]).inc()


def _until_room(attempt: int) -> float:
    """Seconds until a task whose queue is full is looked at again: longer and longer, and not for all at the same moment."""
    return min(FULL_DELAY * 2.0 ** min(attempt - 1, 10), LONGEST_FULL) * random.uniform(0.5, 1.0)  # noqa: S311


async def _settle(deliveries: Sequence[Delivery], retry: float | None) -> None:
    for delivery in deliveries:
        await (delivery.ack() if retry is None else delivery.nak(retry))


def _apply(state: State, type_: str, about: str, message: Message | None) -> None:
    """A fact of our own, at sequence 0: how far the log was read does not change."""
    state.apply(Fact(FactName(type_, about), message, 0, 0.0, tracing.here()))
