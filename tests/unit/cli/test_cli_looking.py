"""What is said where nothing was asked of a task."""

from __future__ import annotations

from typing import Any

from concertino.cli.looking import already
from concertino.contracts import messages as m


def test_why_a_task_was_left_alone(told: Any) -> None:
    running, _ = told("dispatched.1")
    running.finish = m.Finish()
    assert already(running) == "was asked to finish before"
    running.cancel = m.Cancel()
    assert already(running) == "is being cancelled already"
    assert already(told()[0]) == "has ended before: partial"
