"""What follows from a failure: try again later, or a failed result. Decisions only."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from concertino.contracts.errors import RateLimited, Transient
from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0
_FIRST_ELSEWHERE, _LONGEST_ELSEWHERE = 0.1, 5.0


class Retry(Struct, frozen=True):
    """Deliver again after ``delay`` seconds, because of an error of this code."""

    delay: float
    code: str


class Later(Struct, frozen=True):
    """Hand the work back, to be delivered again after ``delay`` seconds: no attempt, as nothing was tried."""

    delay: float
    code: str


class GiveUp(Struct, frozen=True):
    """Write a failed result with ``failure``."""

    failure: Failure


def after(
    error: Exception, attempt: int, attempts: int, chance: Callable[[], float], left: float = float("inf")
) -> Retry | Later | GiveUp:
    """What to do after attempt number ``attempt`` of at most ``attempts`` ended in ``error``, ``left`` seconds before the
    result is of no use any more.

    Only errors that say so are worth another try: exponential back-off, capped, with half of it left to ``chance`` (0 to 1),
    so that workers that failed together do not come back together. It begins when the error says that another try may succeed;
    where that is too late, there is none.
    """
    found = failure(error)
    asked = (error.after or 0.0) if isinstance(error, Transient) else 0.0
    if isinstance(error, RateLimited) and asked < left:
        # All who are sent away are told about the same time: they are not to come back together.
        return Later(max(asked, _FIRST_DELAY) * (1.0 + chance()), found.code)
    if not found.retryable or attempt >= attempts or (asked > 0 and asked >= left):
        return GiveUp(found)
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (attempt - 1))
    return Retry(asked + delay * (0.5 + chance() / 2), found.code)


def elsewhere(delivery: int) -> float:
    """Seconds after which a hedge that cannot be made here is offered again, after its delivery number ``delivery``."""
    return min(_LONGEST_ELSEWHERE, _FIRST_ELSEWHERE * 2.0 ** min(delivery - 1, 10))


def poisoned(attempt: int, attempts: int) -> Failure | None:
    """The failure of work that was begun ``attempts`` times and never came back: whoever took it died, or lost the bus."""
    if attempt <= attempts:
        return None
    return Failure(
        code="abandoned",
        message=f"begun {attempts} times and never finished: it ends its worker, or takes longer than a worker lives",
    )
