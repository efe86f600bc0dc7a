"""What follows from a failure."""

from __future__ import annotations

import pytest

from concertino.contracts.errors import (
    BusUnavailable,
    Cancelled,
    DeadlineExceeded,
    ModelUnavailable,
    QuoteNotSeen,
    RateLimited,
    SourceError,
)
from concertino.worker.middleware.deadline import TooLate
from concertino.worker.policy import GiveUp, Later, Retry, after, poisoned


@pytest.mark.parametrize(
    ("attempt", "chance", "delay"),
    [(1, 0.0, 0.5), (1, 1.0, 1.0), (2, 1.0, 2.0), (3, 0.5, 3.0), (6, 1.0, 30.0), (40, 1.0, 30.0)],
)
def test_back_off_doubles_up_to_its_cap(attempt: int, chance: float, delay: float) -> None:
    assert after(BusUnavailable("x"), attempt, 50, lambda: chance) == Retry(delay, "bus_unavailable")


def test_nobody_comes_back_before_the_time_that_the_error_names() -> None:
    away = ModelUnavailable("x", after=70.0)
    assert after(away, 1, 4, lambda: 1.0, left=500.0) == Retry(71.0, "model_unavailable")
    assert after(away, 3, 4, lambda: 0.0, left=500.0) == Retry(72.0, "model_unavailable")


def test_a_rate_limit_is_waited_for_without_an_attempt_and_not_by_all_at_once() -> None:
    limited = RateLimited("x", after=20.0)
    assert after(limited, 4, 4, lambda: 0.0, left=500.0) == Later(20.0, "rate_limited")
    assert after(limited, 4, 4, lambda: 1.0, left=500.0) == Later(40.0, "rate_limited")
    assert after(RateLimited("x"), 1, 4, lambda: 0.0, left=500.0) == Later(1.0, "rate_limited")
    assert isinstance(after(limited, 1, 4, lambda: 0.0, left=20.0), GiveUp)


@pytest.mark.parametrize("left", [-1.0, 0.0, 69.0, 70.0])
def test_where_that_is_too_late_no_attempt_is_spent(left: float) -> None:
    assert isinstance(after(ModelUnavailable("x", after=70.0), 1, 4, lambda: 0.0, left=left), GiveUp)


@pytest.mark.parametrize(
    "error", [SourceError("x"), QuoteNotSeen("x"), Cancelled("x"), TooLate("x"), ValueError("x"), KeyError()]
)
def test_what_cannot_succeed_is_given_up_at_once(error: Exception) -> None:
    assert isinstance(after(error, 1, 4, lambda: 0.0), GiveUp)


@pytest.mark.parametrize("error", [BusUnavailable("x"), DeadlineExceeded("x")])
def test_the_last_attempt_is_the_last(error: Exception) -> None:
    assert isinstance(after(error, 3, 4, lambda: 0.0), Retry)
    assert isinstance(after(error, 4, 4, lambda: 0.0), GiveUp)


def test_a_bug_is_called_one() -> None:
    decision = after(ValueError("odd"), 1, 4, lambda: 0.0)
    assert isinstance(decision, GiveUp)
    assert (decision.failure.code, decision.failure.message) == ("bug", "ValueError: odd")


def test_poison_is_what_was_begun_too_often() -> None:
    assert poisoned(4, 4) is None
    failure = poisoned(5, 4)
    assert failure is not None
    assert failure.code == "abandoned"
    assert "begun 4 times" in failure.message
