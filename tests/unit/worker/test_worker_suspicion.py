"""What of the deliveries before one counts against its work, and who is tried alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concertino.worker.suspicion import Standing, Told, standing


@pytest.mark.parametrize(
    ("delivery", "told", "stands"),
    [
        (1, Told(), Standing(1)),
        (3, Told(), Standing(3)),
        (4, Told(), Standing(4, alone=True)),
        (5, Told(begun={4}), Standing(5)),
        (5, Told(), Standing(4, alone=True)),  # it waited for its turn, and was lost with another
        (5, Told(returned={2}), Standing(4, alone=True)),
        (5, Told(kept={2}), Standing(4, alone=True)),
        (9, Told(kept=range(1, 9)), Standing(1)),
        (4, Told(ended={1, 2, 3}), Standing(4)),  # errors took nobody along
        (4, Told(ended={1, 2}), Standing(4, alone=True)),
        (4, Told(ended={1, 2, 3}, failed={1, 2, 3}, kept={1, 2, 3}), Standing(4)),
        (5, Told(ended={4}), Standing(5)),
    ],
)
def test_what_counts(delivery: int, told: Told, stands: Standing) -> None:
    found = standing(delivery, 4, told)
    assert found.counted == stands.counted
    assert found.counted > 4 or found == stands


NUMBERS = st.frozensets(st.integers(1, 20))


@given(st.integers(1, 20), st.integers(1, 6), st.builds(Told, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS))
def test_work_is_given_up_only_after_it_was_tried_alone_or_told_of_each_end(delivery: int, attempts: int, told: Told) -> None:
    stands = [standing(number, attempts, told) for number in range(1, delivery + 1)]
    counted = [found.counted for found in stands]
    assert counted == sorted(counted)
    assert counted[-1] <= delivery
    if counted[-1] <= attempts:
        return
    last = counted.index(attempts + 1) - 1
    lost = {number for number in range(1, last + 1) if number not in told.ended and number not in told.returned}
    assert attempts == 1 or not lost or stands[last].alone
