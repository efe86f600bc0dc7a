"""Ids and subjects: what they look like, how they sort, and that they can be read back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concertino.bus.topology import FACTS, TIMERS, TRIGGERS
from concertino.bus.wildcards import matches
from concertino.contracts.errors import InvalidId
from concertino.contracts.ids import task_id
from concertino.contracts.subjects import FactName, Subjects, check_id

ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
times = st.floats(0, 2**47 / 1000)


@given(times, times, st.integers())
def test_ids_sort_by_the_time_they_were_made(earlier: float, later: float, seed: int) -> None:
    chance = random.Random(seed).getrandbits
    a, b = task_id(earlier, chance), task_id(later, chance)

    assert len(a) == 26
    assert check_id(a) == a
    if int(earlier * 1000) < int(later * 1000):
        assert a < b


def test_ids_of_one_moment_differ() -> None:
    chance = random.Random(7).getrandbits

    assert len({task_id(1e9, chance) for _ in range(1000)}) == 1000


@given(
    ids, st.sampled_from(["submitted", "plan.0", "dispatched.12", "result.web.s-1_x", "synthesis.3", "cancel", "outcome"]), ids
)
def test_a_fact_reads_back_from_its_subject(task: str, name: str, prefix: str) -> None:
    subjects = Subjects(prefix)

    found, fact = subjects.parse_fact(subjects.fact(task, name))

    assert (found, str(fact)) == (task, name)
    assert subjects.parse_fact(subjects.timer(task, "join")) == (task, FactName("timer", "join"))
    assert subjects.parse_fact(subjects.due(task, "join")) == (task, FactName("due", "join"))


@pytest.mark.parametrize("id_", ["", "a.b", "a b", "*", ">", "a/b", "ü", "x" * 65, "a\n", "٣"])
def test_what_cannot_stand_as_one_token_is_no_id(id_: str) -> None:
    with pytest.raises(InvalidId, match="1 to 64 letters, digits, '_' or '-'"):
        check_id(id_)


def test_every_fact_has_a_place_in_the_stream_and_every_trigger_is_a_fact() -> None:
    subjects = Subjects()
    for name in (
        "submitted",
        "plan.0",
        "dispatched.1",
        "result.web.a",
        "returned.plan.0.1",
        "returned.result.web.a.1",
        "spent.synthesis.0.2",
        "spent.result.web.a.1",
        "synthesis.0",
        "cancel",
        "finish",
        "timer.join",
        "due.join",
        "overdue.join",
        "outcome",
        "halted",
    ):
        subject = subjects.fact("t", name)
        assert sum(matches(subjects.fact("*", pattern), subject) for pattern in FACTS + TIMERS) == 1
        assert matches(subjects.task("t"), subject)
        assert not matches(subjects.task("other"), subject)
    assert set(TRIGGERS) < set(FACTS + TIMERS)


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        *(
            ("submitted", "client"),
            ("cancel", "client"),
            ("finish", "client"),
            ("dispatched.1", "orchestrator"),
            ("outcome", "orchestrator"),
        ),
        *(("plan.0", "plan"), ("synthesis.1", "synthesize"), ("result.web.s1", "web"), ("spent.result.web.s1.2", "web")),
        *(("begun.plan.0.1", "plan"), ("returned.synthesis.0.1", "synthesize"), ("later.0", "orchestrator")),
    ],
)
def test_a_fact_belongs_to_the_role_that_writes_it(name: str, writer: str) -> None:
    assert Subjects().parse_fact(f"ctn.task.t.{name}")[1].writer == writer
