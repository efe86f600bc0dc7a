"""What follows from a failure: try again later, or a failed result. Decisions only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, structs

from concertino.contracts.errors import Category, DeadlineExceeded, RateLimited, Transient, category
from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure, Spent

_FIRST_ELSEWHERE, _LONGEST_ELSEWHERE = 0.1, 5.0
_LEAST_LATER = 1.0
_MOST = 5
"""Times the attempts at a piece of work: deliveries after which it is given up, whatever they brought."""


class Backoff(Struct, frozen=True):
    """Up to ``first`` seconds after the first attempt, twice as many after each further one, ``longest`` at the most.
    ``attempts``: no more than so many, whatever the installation allows."""

    first: float
    longest: float
    attempts: int | None = None

    def most(self, attempt: int) -> float:
        """The longest wait after attempt number ``attempt``."""
        return min(self.longest, self.first * 2.0 ** min(attempt - 1, 30))


BACKOFF: Mapping[Category, Backoff] = {
    "transient": Backoff(first=1.0, longest=30.0),
    "overloaded": Backoff(first=4.0, longest=40.0),
    # Most of them come again. But what a handler did not foresee may be a connection that broke.
    "bug": Backoff(first=1.0, longest=30.0, attempts=2),
}
"""By category of error. What is not here (``invalid``, ``refused``) would end as before: it is never tried again."""


class Retry(Struct, frozen=True):
    """Deliver again after ``delay`` seconds, because of an error of this code and category."""

    delay: float
    code: str
    category: Category


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

    Exponential back-off by the category of ``error``, capped, with half of it left to ``chance`` (0 to 1), so that workers that
    failed together do not come back together. It begins when the error says that another try may succeed; where it would end
    too late, there is no other try.
    """
    found, of = failure(error), category(error)
    asked = (error.after or 0.0) if isinstance(error, Transient) else 0.0
    if isinstance(error, RateLimited) and asked < left:
        # All who are sent away are told about the same time: they are not to come back together.
        return Later(min(max(asked, _LEAST_LATER) * (1.0 + chance()), (asked + left) / 2), found.code)
    backoff = BACKOFF.get(of)
    if backoff is None or attempt >= min(attempts, backoff.attempts or attempts):
        return GiveUp(found)
    delay = asked + backoff.most(attempt) * (0.5 + chance() / 2)
    return Retry(delay, found.code, of) if delay < left else GiveUp(found)


def with_history(found: Failure, earlier: Sequence[Spent]) -> Failure:
    """``found``, the failure of the last attempt, with what the ``earlier`` ones ended in. Where its time was up, the
    last of them that says more than that is told in full: it may be what took the time."""
    told = "; ".join(f"{spent.attempt}: {spent.code} ({spent.category})" for spent in earlier if spent.category)
    if found.code == DeadlineExceeded.code:
        whys = [spent.why for spent in earlier if spent.category and spent.why not in ("", found.message)]
        told += f"; before that: {whys[-1]}" if whys else ""
    return structs.replace(found, message=f"{found.message} [earlier attempts: {told}]") if told else found


def elsewhere(delivery: int) -> float:
    """Seconds after which a hedge that cannot be made here is offered again, after its delivery number ``delivery``."""
    return min(_LONGEST_ELSEWHERE, _FIRST_ELSEWHERE * 2.0 ** min(delivery - 1, 10))


def poisoned(attempt: int, attempts: int, deliveries: int = 0) -> Failure | None:
    """The failure of work that was begun ``attempts`` times and never came back: whoever took it died, or lost the bus. One
    that gets further each time is let be, up to so many ``deliveries``."""
    if attempt <= attempts and deliveries <= _MOST * attempts:
        return None
    often = attempts if attempt > attempts else deliveries - 1
    return Failure(
        code="abandoned",
        message=f"begun {often} times and never finished: it ends its worker, or takes longer than a worker lives",
    )
