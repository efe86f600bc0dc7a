"""The drill's yardstick can be missed: by a task, by a second, by work done twice."""

from __future__ import annotations

import pytest
from tests.chaos import drill
from tests.chaos.drill import SLACK, TASKS, Row


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("tally-1", TASKS, 20.0, 0), ""),
        (Row("tally-1", TASKS, 6.0 + 15.0 + SLACK, 0), ""),
        (Row("tally-1", TASKS, 6.5 + 15.0 + SLACK, 0), "0.5 s too late"),
        (Row("tally-1", TASKS - 2, 20.0, 0), "2 not answered"),
        (Row("", TASKS, 99.0, 0), ""),
        (Row("server", TASKS, 20.0, 3), "3 done twice"),
    ],
)
def test_what_is_missed_is_said(row: Row, said: str) -> None:
    assert drill.verdict(row, 6.0, 15.0) == said
    assert ("MISSED" in drill.line(row, 6.0, 15.0)) == bool(said)
