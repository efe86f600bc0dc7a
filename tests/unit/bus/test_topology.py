"""What streams are made of."""

from __future__ import annotations

import pytest

from concertino.bus.topology import Stream


@pytest.mark.parametrize(
    ("there", "said", "kept"),
    [
        ((30.0, 1), (8.0, 3), (30.0, 3)),
        ((8.0, 3), (30.0, 1), (30.0, 3)),
        ((0.0, 1), (8.0, 1), (0.0, 1)),
        ((8.0, 1), (0.0, 1), (0.0, 1)),
    ],
)
def test_nothing_is_taken_from_a_stream_that_keeps_more(
    there: tuple[float, int], said: tuple[float, int], kept: tuple[float, int]
) -> None:
    found = Stream("S", ("s.>",), max_age=said[0], replicas=said[1]).at_least(*there)
    assert (found.max_age, found.replicas) == kept
