"""What a task may spend on models, and what of it is taken: a ledger as a value, and what becomes of it. No I/O.

Who calls a model first takes what the call may cost at the most (:func:`reserve`), and says afterwards what it did cost
(:func:`settle`). As the sum of what is spent and what is taken never exceeds the limit, no number of workers that ask at once
can spend more, as long as no call takes more than was taken for it.

The last part of a budget is kept: :data:`LINES` says up to which share of it what kind of call may go. So who reads can still
write up what was read, and the synthesizer can still write a report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct, structs

from concertino.contracts.errors import BudgetSpent
from concertino.contracts.messages import Amount, Hold, Ledger, Limits, Subtask, Usage, Work

Line = Literal["work", "write_up", "report"]
"""What a call is for: to plan or to read, to write up what was read, or to write the report."""
LINES: Mapping[Line, float] = {"work": 0.7, "write_up": 0.85, "report": 1.0}
"""Of a task's budget: how far it may be used for that."""
OWN_LINES: Mapping[Line, float] = {"work": 0.8, "write_up": 1.0, "report": 1.0}
"""The same of the budget that a plan gives one subtask."""
LEAST = 4_000
"""Tokens of an answer without which a call is not worth its input."""
_AWAY = 86_400.0
"""Seconds for which orchestrators may be away, and a task whose time was up then still gets its outcome."""
_ROUNDING = 1e-9
"""Dollars by which sums of floats may be off."""


class Ask(Struct, frozen=True):
    """A call that is about to be made. ``id`` is like no other; ``delivery`` is that of the work's attempt."""

    id: str
    model: str
    work: str
    attempt: int
    delivery: int
    line: Line
    input_tokens: int
    """At the most."""
    room: int
    """Tokens that the answer may take; fewer are as good, down to :data:`LEAST`."""
    input_cost: float
    """Dollars for the input, and for whatever else the call may cost."""
    room_cost: float | None
    """Dollars for one token of the answer. None: the model has no price."""


class Budget(Struct, frozen=True):
    """What bounds one piece of work: the limits of its task, and what the plan gives its subtask."""

    task: Limits
    own: Subtask | None = None

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep a ledger for."""
        return any(limit.max_tokens is not None or limit.max_cost is not None for limit in self._limits())

    @property
    def priced(self) -> bool:
        """Whether dollars are limited."""
        return any(limit.max_cost is not None for limit in self._limits())

    def _limits(self) -> tuple[Limits | Subtask, ...]:
        return (self.task,) if self.own is None else (self.task, self.own)


class Taken(Struct, frozen=True):
    """``hold`` stands in ``ledger`` until it is settled; its answer may have ``room`` tokens."""

    ledger: Ledger
    hold: Hold
    room: int


class Refusal(Struct, frozen=True):
    """Why a call may not be made now. ``waits``: it may be once calls that are under way have said what they took."""

    error: BudgetSpent
    why: Literal["tokens", "cost", "unpriced"]
    waits: bool = False


def budget_of(work: Work) -> Budget:
    """What bounds ``work``."""
    has_own = work.brief.max_tokens is not None or work.brief.max_cost is not None
    return Budget(work.limits, work.brief if has_own else None)


class Bounds(Struct, frozen=True):
    """What an installation allows any task, whatever its caller says. None: nothing is narrowed."""

    max_cost: float | None = None
    """US dollars."""
    keep: float | None = None
    """Seconds for which a task's log is kept: its deadline is before that."""

    def narrow(self, limits: Limits) -> Limits:
        if self.keep is not None and limits.deadline > longest(self.keep):
            limits = structs.replace(limits, deadline=longest(self.keep))
        if self.max_cost is None or (limits.max_cost is not None and limits.max_cost <= self.max_cost):
            return limits
        return structs.replace(limits, max_cost=self.max_cost)


UNBOUND = Bounds()


def longest(keep: float) -> float:
    """Seconds that a task may take whose log is kept for ``keep`` seconds from each fact on. It has to end while all of it is
    there, and some time before, as who ends it may be away when its time is up."""
    return keep - min(_AWAY, keep / 2)


def reserve(ledger: Ledger, ask: Ask, budget: Budget) -> Taken | Refusal:
    """``ledger`` with what ``ask`` may cost taken from ``budget``; or why that cannot be.

    Earlier deliveries of the same attempt are over: what they had taken and never settled stays taken, as who died while a
    model was answering may have been billed; nobody waits for it any more.
    """
    if budget.priced and ask.room_cost is None:
        why = f"{ask.model} has no price, and dollars are limited: give it one under [prices] in the file that CTN_CONFIG names"
        return Refusal(BudgetSpent(why), "unpriced")
    # One of the same id is from a try whose answer was lost.
    ledger = structs.replace(ledger, holds=tuple(_buried(hold, ask) for hold in ledger.holds if hold.id != ask.id))
    least = min(ask.room, LEAST)
    bounds = list(_bounds(ledger, ask, budget))
    room, tightest = min(((bound.room(ask), bound) for bound in bounds), key=lambda found: found[0], default=(ask.room, None))
    if tightest is not None and room < least:
        waits = all(bound.room(ask, waited=True) >= least for bound in bounds)
        return Refusal(BudgetSpent(tightest.words(ask)), tightest.why, waits)
    room = min(room, ask.room)
    hold = Hold(
        id=ask.id,
        work=ask.work,
        attempt=ask.attempt,
        delivery=ask.delivery,
        amount=Amount(tokens=ask.input_tokens + room, cost=ask.input_cost + room * (ask.room_cost or 0.0)),
        own=budget.own is not None,
    )
    return Taken(structs.replace(ledger, holds=(*ledger.holds, hold), by=ask.id), hold, room)


def settle(ledger: Ledger, hold: Hold, took: Amount | None) -> Ledger:
    """``ledger`` once the call that ``hold`` was for is over. ``took`` None: nobody saw its end, so it counts as it was taken.

    What does not stand in it any more was settled before: then nothing changes.
    """
    if all(other.id != hold.id for other in ledger.holds):
        return ledger
    if took is None:
        holds = tuple(structs.replace(other, over=True) if other.id == hold.id else other for other in ledger.holds)
        return structs.replace(ledger, holds=holds, by=f"{hold.id}.")
    holds = tuple(other for other in ledger.holds if other.id != hold.id)
    works = {**ledger.works, hold.work: ledger.works.get(hold.work, _NOTHING) + took} if hold.own else ledger.works
    return structs.replace(ledger, holds=holds, works=works, spent=ledger.spent + took, by=f"{hold.id}.")


def amount(usage: Usage) -> Amount:
    """What ``usage`` comes to: every token counts once, whether it was read anew, cached, or written."""
    tokens = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens + usage.output_tokens
    return Amount(tokens=tokens, cost=usage.cost_usd)


def left_for_work(limits: Limits, spent: Amount) -> tuple[float, float]:
    """Tokens and dollars that planning and reading may still take, where ``spent`` is; infinite where there is no limit."""
    tokens = float("inf") if limits.max_tokens is None else limits.max_tokens * LINES["work"] - spent.tokens
    cost = float("inf") if limits.max_cost is None else limits.max_cost * LINES["work"] - spent.cost
    return tokens, cost


_NOTHING = Amount()


class _Bound(Struct, frozen=True):
    """One limit, and what of it is gone."""

    why: Literal["tokens", "cost"]
    whose: str
    limit: float
    """With what is kept for later taken off."""
    whole: float
    gone: float
    coming_back: float
    """Of what is gone: what calls that are under way may give back."""

    def room(self, ask: Ask, *, waited: bool = False) -> int:
        """Tokens of an answer that still fit."""
        left = self.limit - self.gone + (self.coming_back if waited else 0)
        if self.why == "tokens":
            return int(left) - ask.input_tokens
        left = left - ask.input_cost + _ROUNDING
        if left < 0:
            return -1
        return int(left / ask.room_cost) if ask.room_cost else ask.room

    def words(self, ask: Ask) -> str:
        kept = "" if self.limit >= self.whole else f", and the last {1 - self.limit / self.whole:.0%} are kept for writing"
        if self.why == "tokens":
            return (
                f"the budget is spent: {self.gone:,.0f} of the {self.whole:,.0f} tokens {self.whose} are gone{kept}; another "
                f"call takes at least {ask.input_tokens + min(ask.room, LEAST):,} (max_tokens)"
            )
        least = ask.input_cost + min(ask.room, LEAST) * (ask.room_cost or 0.0)
        return (
            f"the budget is spent: ${self.gone:.2f} of the ${self.whole:.2f} {self.whose} are gone{kept}; another call may "
            f"cost ${least:.2f} (max_cost)"
        )


def _bounds(ledger: Ledger, ask: Ask, budget: Budget) -> Iterator[_Bound]:
    mine = tuple(hold for hold in ledger.holds if hold.work == ask.work)
    yield from _of("of the task", budget.task, LINES[ask.line], ledger.spent, ledger.holds)
    if budget.own is not None:
        spent = ledger.works.get(ask.work, _NOTHING)
        yield from _of("of the subtask", budget.own, OWN_LINES[ask.line], spent, mine)


def _of(whose: str, limit: Limits | Subtask, share: float, spent: Amount, holds: tuple[Hold, ...]) -> Iterator[_Bound]:
    taken, live = _NOTHING, _NOTHING
    for hold in holds:
        taken += hold.amount
        live += _NOTHING if hold.over else hold.amount
    if (most := limit.max_tokens) is not None:
        yield _Bound("tokens", whose, most * share, most, spent.tokens + taken.tokens, live.tokens)
    if (dollars := limit.max_cost) is not None:
        yield _Bound("cost", whose, dollars * share, dollars, spent.cost + taken.cost, live.cost)


def _buried(hold: Hold, ask: Ask) -> Hold:
    same = (hold.work, hold.attempt) == (ask.work, ask.attempt) and hold.delivery < ask.delivery
    return structs.replace(hold, over=True) if same and not hold.over else hold
