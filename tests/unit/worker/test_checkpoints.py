"""What checkpoints come to for whoever goes on from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concertino.contracts.checkpoints import Resumed, beyond, resumed, together
from concertino.contracts.messages import Checkpoint, Failure, Record, Usage

ONE = Usage(model_calls=1, input_tokens=10, output_tokens=2, cost_usd=0.5)
WHY = Failure(code="budget", message="spent")


def answer(key: str, **more: object) -> Record:
    return Record(key=key, answer=True, spent={"m": ONE}, **more)  # type: ignore[arg-type]


def kept(*records: Record, by: int = 1, **more: object) -> Checkpoint:
    return Checkpoint(worker=f"w{by}", delivery=by, records=records, **more)  # type: ignore[arg-type]


def test_what_a_worker_that_died_paid_for_is_nowhere_booked() -> None:
    tool = Record(key="tool:1", value="found")
    assert resumed([kept(answer("a"), tool), kept(answer("b")), kept(by=2)], ()) == Resumed(
        (answer("a"), tool, answer("b")), {"m": ONE + ONE}
    )


def test_what_stands_in_the_log_is_not_booked_again() -> None:
    left = [kept(answer("a")), kept(left="handed_back"), kept(by=2), kept(answer("b"), by=2), kept(by=3)]
    assert resumed(left, {1}).unbooked == {"m": ONE}
    assert resumed(left, ()).unbooked == {"m": ONE + ONE}  # it died before it had booked it
    assert resumed([*left, kept(by=3, left="tried_again")], {1, 3}).unbooked == {}  # what it took over was booked with it


def test_who_was_taken_over_booked_only_what_was_not_kept() -> None:
    assert resumed([kept(answer("a")), kept(by=2)], {1}).unbooked == {"m": ONE}


def test_another_try_is_made_at_what_failed_and_handing_over_is_none() -> None:
    failed = [kept(answer("a"), Record(key="b", error=WHY), answer("c"))]
    assert [record.key for record in resumed([*failed, kept(left="handed_back")], ()).records] == ["a", "b", "c"]
    assert [record.key for record in resumed([*failed, kept(left="tried_again")], ()).records] == ["a", "c"]


def test_an_answer_that_is_to_blame_is_dropped_with_what_came_after_it() -> None:
    records = (Record(key="once:now", value=1), answer("a"), answer("b"), Record(key="tool:1"))
    found = resumed([kept(*records), kept(left="tried_again", doubted=True)], {1})
    assert [record.key for record in found.records] == ["once:now", "a"]
    assert resumed([kept(left="tried_again", doubted=True)], ()).records == ()


def test_pieces_of_an_answer_make_way_for_the_whole_of_it() -> None:
    first, second = answer("a", part=True, value=1), answer("a", part=True, value=2)
    whole = answer("a", value="whole")
    assert resumed([kept(first), kept(second)], ()).records == (first, second)
    assert resumed([kept(first), kept(second), kept(whole)], ()).records == (whole,)
    assert resumed([kept(whole), kept(first)], ()).records == (whole, first)
    assert resumed([kept(first), kept(answer("b"))], ()).records == (first, answer("b"))


usages = st.builds(Usage, model_calls=st.integers(1, 9), output_tokens=st.integers(0, 99))
bills = st.dictionaries(st.sampled_from("ab"), usages)


@given(bills, bills)
def test_what_is_beyond_a_part_is_the_rest(one: dict[str, Usage], other: dict[str, Usage]) -> None:
    assert beyond(together(one, other), one) == other
    assert beyond(one, together(one, other)) == {}


checkpoints = st.lists(
    st.builds(
        Checkpoint,
        worker=st.just("w"),
        delivery=st.integers(1, 4),
        records=st.lists(
            st.builds(Record, key=st.sampled_from("abc"), answer=st.booleans(), part=st.booleans(), spent=bills), max_size=3
        ).map(tuple),
        left=st.sampled_from(["", "handed_back", "tried_again"]),
        doubted=st.booleans(),
    ),
    max_size=8,
)


@given(checkpoints, st.sets(st.integers(1, 4)))
def test_nothing_is_booked_that_was_not_paid_and_nothing_comes_back_that_was_not_kept(
    found: list[Checkpoint], booked: set[int]
) -> None:
    end = resumed(found, booked)
    paid = [record.spent for checkpoint in found for record in checkpoint.records]
    total: dict[str, Usage] = {}
    for spent in paid:
        total = dict(together(total, spent))
    assert beyond(end.unbooked, total) == {}
    if not booked:
        assert end.unbooked == total
    records = [record for checkpoint in found for record in checkpoint.records]
    assert all(record in records for record in end.records)


@pytest.mark.parametrize("one", [Usage(), ONE])
def test_nothing_is_less_than_nothing(one: Usage) -> None:
    assert Usage() - one == Usage()
