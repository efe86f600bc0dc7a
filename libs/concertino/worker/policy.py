"""What follows from a failure: try again later, or a failed result. Decisions only."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0


class Retry(Struct, frozen=True):
    """Deliver again after ``delay`` seconds."""

    delay: float


class GiveUp(Struct, frozen=True):
    """Write a failed result with ``failure``."""

    failure: Failure


def after(error: Exception, attempt: int, attempts: int, chance: Callable[[], float]) -> Retry | GiveUp:
    """What to do after attempt number ``attempt`` of at most ``attempts`` ended in ``error``.

    Only errors that say so are worth another try: exponential back-off, capped, with half of it left to ``chance`` (0 to 1),
    so that workers that failed together do not come back together.
    """
    found = failure(error)
    if not found.retryable or attempt >= attempts:
        return GiveUp(found)
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (attempt - 1))
    return Retry(delay * (0.5 + chance() / 2))


def poisoned(attempt: int, attempts: int) -> Failure | None:
    """The failure of work that was begun ``attempts`` times and never came back: whoever took it died, or lost the bus."""
    if attempt <= attempts:
        return None
    return Failure(
        code="abandoned",
        message=f"begun {attempts} times and never finished: it ends its worker, or takes longer than a worker lives",
    )
