"""What follows from a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concertino.contracts.errors import (
    BusUnavailable,
    Cancelled,
    DeadlineExceeded,
    LedgerUnavailable,
    ModelUnavailable,
    QuoteNotSeen,
    RateLimited,
    SourceError,
    Unfit,
    Unusable,
    category,
)
from concertino.contracts.messages import Failure, Spent
from concertino.worker.middleware.deadline import TooLate
from concertino.worker.policy import BACKOFF, GiveUp, Later, Retry, after, poisoned, with_history
from concertino.worker.quoting import ANOTHER_TRY

PASSING = (BusUnavailable("x"), DeadlineExceeded("x"), ModelUnavailable("x"), LedgerUnavailable("x"))
FINAL = (SourceError("x"), QuoteNotSeen("x"), Cancelled("x"), TooLate("x"), Unusable("x"), Unfit("x"))
BUGS = (ValueError("odd"), KeyError(), ConnectionResetError("gone"), TimeoutError())


@pytest.mark.parametrize(
    ("attempt", "chance", "delay"),
    [(1, 0.0, 0.5), (1, 1.0, 1.0), (2, 1.0, 2.0), (3, 0.5, 3.0), (6, 1.0, 30.0), (40, 1.0, 30.0)],
)
def test_back_off_doubles_up_to_its_cap(attempt: int, chance: float, delay: float) -> None:
    assert after(BusUnavailable("x"), attempt, 50, lambda: chance) == Retry(delay, "bus_unavailable", "transient")


@pytest.mark.parametrize(("attempt", "delay"), [(1, 4.0), (2, 8.0), (3, 16.0), (4, 32.0), (5, 40.0), (40, 40.0)])
def test_who_is_asked_for_too_much_is_left_alone_for_longer(attempt: int, delay: float) -> None:
    assert after(ModelUnavailable("x"), attempt, 50, lambda: 1.0) == Retry(delay, "model_unavailable", "overloaded")


def test_nobody_comes_back_before_the_time_that_the_error_names() -> None:
    away = ModelUnavailable("x", after=70.0)
    assert after(away, 1, 4, lambda: 1.0, left=500.0) == Retry(74.0, "model_unavailable", "overloaded")
    assert after(away, 3, 4, lambda: 0.0, left=500.0) == Retry(78.0, "model_unavailable", "overloaded")


def test_a_rate_limit_is_waited_for_without_an_attempt_and_not_by_all_at_once() -> None:
    limited = RateLimited("x", after=20.0)
    assert after(limited, 4, 4, lambda: 0.0, left=500.0) == Later(20.0, "rate_limited")
    assert after(limited, 4, 4, lambda: 1.0, left=500.0) == Later(40.0, "rate_limited")
    assert after(RateLimited("x"), 1, 4, lambda: 0.0, left=500.0) == Later(1.0, "rate_limited")
    assert isinstance(after(limited, 1, 4, lambda: 0.0, left=20.0), GiveUp)


@given(
    error=st.sampled_from((*PASSING, *BUGS)) | st.builds(lambda after: ModelUnavailable("x", after=after), st.floats(0, 1e6)),
    attempt=st.integers(1, 60),
    attempts=st.integers(1, 50),
    chance=st.floats(0, 1),
    left=st.floats(-100, 1e6),
)
def test_a_retry_waits_as_long_as_its_category_says_and_comes_in_time(
    error: Exception, attempt: int, attempts: int, chance: float, left: float
) -> None:
    decision = after(error, attempt, attempts, lambda: chance, left)
    backoff, asked = BACKOFF[category(error)], getattr(error, "after", None) or 0.0
    if isinstance(decision, Retry):
        assert attempt < attempts
        assert attempt < (backoff.attempts or attempts)
        assert decision.delay < left
        longest = min(backoff.longest, backoff.first * 2 ** (attempt - 1))
        assert asked + longest / 2 <= decision.delay <= asked + longest
    else:  # for one of these reasons, and no other
        late = asked + backoff.most(attempt) * (0.5 + chance / 2) >= left
        assert attempt >= min(attempts, backoff.attempts or attempts) or late


@given(st.sampled_from(FINAL), st.integers(1, 50), st.integers(1, 50))
def test_what_would_end_as_before_is_never_tried_again(error: Exception, attempt: int, attempts: int) -> None:
    assert isinstance(after(error, attempt, attempts, lambda: 0.0), GiveUp)


@given(st.sampled_from(BUGS), st.integers(2, 50))
def test_a_bug_is_tried_once_more_at_the_most(error: Exception, attempt: int) -> None:
    assert isinstance(after(error, 1, 4, lambda: 0.0), Retry)
    assert isinstance(after(error, 1, 1, lambda: 0.0), GiveUp)
    assert isinstance(after(error, attempt, 50, lambda: 0.0), GiveUp)


@pytest.mark.parametrize("error", [BusUnavailable("x"), DeadlineExceeded("x")])
def test_the_last_attempt_is_the_last(error: Exception) -> None:
    assert isinstance(after(error, 3, 4, lambda: 0.0), Retry)
    assert isinstance(after(error, 4, 4, lambda: 0.0), GiveUp)


def test_who_waits_for_the_model_has_time_for_the_longest_pause() -> None:
    """Else a handler raises to wait for another attempt, and there is none."""
    assert BACKOFF["overloaded"].longest < ANOTHER_TRY


def test_a_bug_is_called_one() -> None:
    decision = after(ValueError("odd"), 2, 4, lambda: 0.0)
    assert isinstance(decision, GiveUp)
    assert (decision.failure.code, decision.failure.message) == ("bug", "ValueError: odd")


def test_the_last_failure_tells_of_those_before_it() -> None:
    last = Failure(code="source", message="it is gone", retryable=False)
    assert with_history(last, []) == last
    assert with_history(last, [Spent(attempt=1, why="handed back")]) == last
    earlier = [
        Spent(attempt=1, code="bus_unavailable", category="transient"),
        Spent(attempt=2, code="model_unavailable", category="overloaded"),
    ]
    told = "it is gone [earlier attempts: 1: bus_unavailable (transient); 2: model_unavailable (overloaded)]"
    assert with_history(last, earlier).message == told


def test_whose_time_was_up_tells_what_had_taken_it() -> None:
    last = Failure(code="deadline", message="the time is up", retryable=True)
    earlier = [
        Spent(attempt=1, why="the API of m is overloaded (HTTP 529)", code="model_unavailable", category="overloaded"),
        Spent(attempt=2, why="the time is up", code="deadline", category="transient"),
        Spent(attempt=2, why="handed back"),
    ]
    assert with_history(last, earlier).message == (
        "the time is up [earlier attempts: 1: model_unavailable (overloaded); 2: deadline (transient); "
        "before that: the API of m is overloaded (HTTP 529)]"
    )
    assert with_history(last, earlier[1:]).message == "the time is up [earlier attempts: 2: deadline (transient)]"


def test_poison_is_what_was_begun_too_often() -> None:
    assert poisoned(4, 4) is None
    failure = poisoned(5, 4)
    assert failure is not None
    assert failure.code == "abandoned"
    assert "begun 4 times" in failure.message
    assert poisoned(1, 4, deliveries=20) is None
    failure = poisoned(1, 4, deliveries=21)
    assert failure is not None
    assert "begun 20 times" in failure.message
