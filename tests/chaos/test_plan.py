"""The plan of a run follows from its seed, and has everything in it that is to break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.chaos import orders, plan
from tests.chaos.orders import Material
from tests.chaos.services import ALL

from concertino.contracts.messages import Submitted
from concertino.contracts.plans import problems
from concertino.contracts.subjects import check_id

MATERIAL = Material("/docs", "/code", "http://127.0.0.1:1/")
seeds = st.integers(0, 10**6)


@given(seeds, st.integers(0, 1))
def test_the_same_seed_gives_the_same_plan(seed: int, half: int) -> None:
    assert plan.script(seed, half, 60.0, ALL) == plan.script(seed, half, 60.0, ALL)
    assert plan.script(seed, half, 60.0, ALL) != plan.script(seed + 1, half, 60.0, ALL)
    assert plan.script(seed, 0, 60.0, ALL).orders != plan.script(seed, 1, 60.0, ALL).orders


@given(seeds)
def test_all_is_within_its_time_and_ids_are_distinct(seed: int) -> None:
    script = plan.script(seed, 0, 60.0, ALL)
    assert all(0 <= each.at < 60 for each in (*script.orders, *script.faults))
    assert len({order.task for order in script.orders}) == len(script.orders)
    assert all(check_id(order.task) for order in script.orders)
    assert all(fault.whom in ALL or fault.what in plan.OF_SERVERS for fault in script.faults)


@given(seeds)
def test_every_sort_of_fault_comes_before_any_comes_again(seed: int) -> None:
    first = [fault.what for fault in plan.script(seed, 0, 600.0, ALL).faults[: len(plan.FAULTS)]]
    assert sorted(first) == sorted(plan.FAULTS)


def test_there_is_an_overload_of_ten_times_as_many() -> None:
    script = plan.script(1, 0, 600.0, ALL)
    most = max(sum(begin <= order.at < begin + 10 for order in script.orders) for begin in range(0, 600, 5))
    usual = len(script.orders) * 10 / 600
    assert most > 4 * usual
    assert {order.shape for order in script.orders} == set(plan.SHAPES)


@given(seeds)
def test_every_plan_that_is_brought_can_be_run(seed: int) -> None:
    kinds = {*orders.RESEARCH, orders.OWN, orders.BRITTLE}
    for order in plan.script(seed, 0, 30.0, ALL).orders:
        asked = orders.submission(order, MATERIAL)
        assert orders.marks(asked.request) == [(order.task, "", "")]
        if asked.plan is None:
            continue
        submitted = Submitted(request=asked.request, sources=asked.sources, limits=asked.limits, plan=asked.plan)
        assert problems(asked.plan, submitted, kinds, brought=True) == []
        for subtask in asked.plan.subtasks:
            assert orders.marks(subtask.objective) == [(order.task, subtask.kind, subtask.id)]


@pytest.mark.parametrize("round_", [0, 1])
def test_a_second_round_reads_what_the_first_had(round_: int) -> None:
    for number in range(50):
        found = orders.kinds(f"c1-0-{number:04}", round_)
        assert found
        assert set(found) <= set(orders.kinds(f"c1-0-{number:04}"))
