"""The ledger as a value: what may be taken, by whom, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from msgspec import structs

from concertino.contracts.budget import LEAST, LINES, Ask, Bounds, Budget, Refusal, Taken, amount, longest, reserve, settle
from concertino.contracts.messages import Amount, Hold, Ledger, Limits, Subtask, Usage
from concertino.runtime.settings import Settings

TASK = Budget(Limits(max_tokens=100_000))


def ask(id_: str = "a", **more: Any) -> Ask:
    common: dict[str, Any] = {"model": "m", "work": "result.web.s1", "attempt": 1, "delivery": 1, "line": "work"}
    return Ask(id=id_, **{**common, "input_tokens": 10_000, "room": 20_000, "input_cost": 0.0, "room_cost": 0.0, **more})


def taken(ledger: Ledger, wanted: Ask, budget: Budget = TASK) -> Taken:
    found = reserve(ledger, wanted, budget)
    assert isinstance(found, Taken), found
    return found


def refused(ledger: Ledger, wanted: Ask, budget: Budget = TASK) -> Refusal:
    found = reserve(ledger, wanted, budget)
    assert isinstance(found, Refusal), found
    return found


def test_what_is_taken_counts_until_it_is_settled_and_then_what_it_took() -> None:
    first = taken(Ledger(), ask("a"))
    assert (first.room, first.hold.amount) == (20_000, Amount(tokens=30_000))

    second = taken(first.ledger, ask("b", room=10_000))
    assert refused(second.ledger, ask("c", input_tokens=17_000)).waits

    ledger = settle(settle(second.ledger, first.hold, Amount(tokens=12_000)), second.hold, Amount(tokens=8_000))
    assert (ledger.spent, ledger.holds) == (Amount(tokens=20_000), ())
    assert taken(ledger, ask("c", room=50_000)).room == 40_000  # what is left of the share for work, and no more


def test_to_settle_twice_is_to_settle_once() -> None:
    first = taken(Ledger(), ask())
    once = settle(first.ledger, first.hold, Amount(tokens=5))
    assert settle(once, first.hold, Amount(tokens=5)) == once


def test_a_reservation_whose_answer_was_lost_is_made_once() -> None:
    first = taken(Ledger(), ask())
    assert taken(first.ledger, ask()).ledger.holds == first.ledger.holds


def test_the_last_of_a_budget_is_for_writing() -> None:
    ledger = Ledger(spent=Amount(tokens=70_000 - LEAST))
    found = refused(ledger, ask(input_tokens=1))
    assert (found.why, found.waits, found.error.code) == ("tokens", False, "budget")
    assert str(found.error) == (
        "the budget is spent: 66,000 of the 100,000 tokens of the task are gone, and the last 30% are kept for writing; "
        "another call takes at least 4,001 (max_tokens)"
    )
    assert taken(ledger, ask(line="write_up")).room == 85_000 - 66_000 - 10_000
    assert taken(ledger, ask(line="report")).room == 20_000


def test_dollars_bound_too_and_the_tighter_limit_counts() -> None:
    both = Budget(Limits(max_tokens=100_000, max_cost=1.0))
    assert taken(Ledger(), ask(input_cost=0.1, room_cost=0.00006), both).room == 10_000
    found = refused(Ledger(spent=Amount(cost=0.6)), ask(input_cost=0.1, room_cost=0.00006), both)
    assert (found.why, found.waits) == ("cost", False)
    assert "$0.60 of the $1.00 of the task are gone" in str(found.error)
    assert "may cost $0.34 (max_cost)" in str(found.error)


def test_a_model_without_a_price_is_not_asked_where_dollars_are_limited() -> None:
    found = refused(Ledger(), ask(room_cost=None), Budget(Limits(max_cost=1.0)))
    assert (found.why, found.waits) == ("unpriced", False)
    assert "m has no price" in str(found.error)
    assert taken(Ledger(), ask(room_cost=None)).room == 20_000  # tokens need none


def test_a_subtask_with_a_budget_of_its_own_stays_within_both() -> None:
    own = Budget(Limits(max_tokens=100_000), Subtask(id="s1", kind="web", objective="o", max_tokens=40_000))
    first = taken(Ledger(), ask(), own)
    assert first.room == 20_000
    ledger = settle(first.ledger, first.hold, Amount(tokens=20_000))
    assert ledger.works == {"result.web.s1": Amount(tokens=20_000)}
    assert "of the subtask" in str(refused(ledger, ask("b"), own).error)
    assert taken(ledger, ask("b", line="write_up"), own).room == 10_000
    assert taken(ledger, ask("b", work="result.web.s2")).room == 20_000
    assert refused(Ledger(spent=Amount(tokens=69_000)), ask(), own).why == "tokens"


def test_what_a_killed_worker_had_taken_stays_taken_and_nobody_waits_for_it() -> None:
    first = taken(Ledger(), ask(room=50_000))
    assert refused(first.ledger, ask("b", work="result.web.s2")).waits

    again = taken(first.ledger, ask("c", delivery=2, line="report"))

    assert [(hold.id, hold.over) for hold in again.ledger.holds] == [("a", True), ("c", False)]
    alone = settle(again.ledger, again.hold, Amount(tokens=1))
    assert not refused(alone, ask("b", work="result.web.s2", room=50_000)).waits
    late = settle(alone, first.hold, Amount(tokens=12_000))  # it was not dead, only slow
    assert (late.spent, late.holds) == (Amount(tokens=12_001), ())


def test_a_second_attempt_beside_the_first_does_not_bury_it() -> None:
    first = taken(Ledger(), ask())
    assert [hold.over for hold in taken(first.ledger, ask("b", attempt=2, room=10_000)).ledger.holds] == [False, False]


def test_a_call_whose_end_nobody_saw_counts_as_it_was_taken() -> None:
    first = taken(Ledger(), ask())
    ledger = settle(first.ledger, first.hold, None)
    found = refused(ledger, ask("b", input_tokens=36_001))
    assert (found.waits, ledger.spent) == (False, Amount())


@pytest.mark.parametrize(("asked", "allowed", "found"), [(None, None, None), (1.0, None, 1.0), (None, 2.0, 2.0)])
def test_an_installation_narrows(asked: float | None, allowed: float | None, found: float | None) -> None:
    assert Bounds(allowed).narrow(Limits(max_cost=asked)).max_cost == found


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_an_installation_never_widens(asked: float, allowed: float) -> None:
    found = Bounds(allowed).narrow(Limits(max_cost=asked, deadline=7.0))
    assert found == Limits(max_cost=min(asked, allowed), deadline=7.0)


@given(st.floats(0.01, 7 * 86_400), st.floats(60, 30 * 86_400))
def test_a_task_ends_well_before_its_log_does(asked: float, keep: float) -> None:
    found = Bounds(keep=keep).narrow(Limits(deadline=asked, max_tokens=7))
    assert found == Limits(deadline=min(asked, longest(keep)), max_tokens=7)
    assert keep / 2 <= longest(keep) <= max(keep / 2, keep - 86_400)


def test_unless_told_otherwise_an_installation_keeps_the_longest_task() -> None:
    assert Bounds(keep=Settings().keep).narrow(Limits(deadline=7 * 86_400)).deadline == 7 * 86_400


def test_every_token_counts_once() -> None:
    used = Usage(input_tokens=1, output_tokens=20, cache_write_tokens=300, cache_read_tokens=4000, cost_usd=0.5)
    assert amount(used) == Amount(tokens=4321, cost=0.5)


LIMITS = [Limits(max_tokens=60_000), Limits(max_cost=1.0), Limits(max_tokens=80_000, max_cost=0.5)]


class Spending(RuleBasedStateMachine):
    """Any number of workers, some of which die or do not see the end of a call; whatever they do, the limit holds."""

    calls: Bundle[Hold] = Bundle("calls")

    @initialize(limits=st.sampled_from(LIMITS), own=st.sampled_from([None, 20_000]))
    def begin(self, limits: Limits, own: int | None) -> None:
        self.limits, self.ledger, self.number, self.killed = limits, Ledger(), 0, Amount()
        brief = Subtask(id="s1", kind="web", objective="o", max_tokens=own) if own else None
        self.budgets = [Budget(limits, brief), Budget(limits)]

    @rule(
        target=calls,
        work=st.integers(0, 1),
        delivery=st.integers(1, 3),
        line=st.sampled_from(list(LINES)),
        tokens=st.integers(1, 20_000),
        room=st.integers(1, 20_000),
    )
    def reserve(self, work: int, delivery: int, line: Any, tokens: int, room: int) -> Any:
        self.number += 1
        wanted = ask(
            f"h{self.number}",
            work=f"result.web.s{work + 1}",
            delivery=delivery,
            line=line,
            input_tokens=tokens,
            room=room,
            input_cost=tokens * 3e-6,
            room_cost=15e-6,
        )
        found = reserve(self.ledger, wanted, self.budgets[work])
        if isinstance(found, Refusal):
            return structs.replace(_NOBODY, id=wanted.id)
        assert min(room, LEAST) <= found.room <= room
        self.ledger = found.ledger
        return found.hold

    @rule(hold=consumes(calls), share=st.floats(0, 1))
    def settle(self, hold: Hold, share: float) -> None:
        took = Amount(tokens=int(hold.amount.tokens * share), cost=hold.amount.cost * share)
        self.ledger = settle(self.ledger, hold, took)

    @rule(hold=consumes(calls))
    def lose(self, hold: Hold) -> None:
        self.ledger = settle(self.ledger, hold, None)

    @invariant()
    def within_the_limit(self) -> None:
        total = self.ledger.spent
        for hold in self.ledger.holds:
            total += hold.amount
        assert self.limits.max_tokens is None or total.tokens <= self.limits.max_tokens
        assert self.limits.max_cost is None or total.cost <= self.limits.max_cost + 1e-6
        if own := self.budgets[0].own:
            mine = sum(hold.amount.tokens for hold in self.ledger.holds if hold.work == "result.web.s1")
            assert mine + self.ledger.works.get("result.web.s1", Amount()).tokens <= (own.max_tokens or 0)


_NOBODY = Hold(id="", work="", attempt=1, delivery=1, amount=Amount())

TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
