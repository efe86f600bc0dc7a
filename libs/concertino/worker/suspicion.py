"""What of the deliveries before one counts against its work. Decisions only.

A process that dies takes all with it that was at work there, and nobody knows which of it was to blame. So the last attempt at
what was lost before is made alone: what dies then has nobody else to blame, and takes nobody along. Until then each of them
counts, whoever it was; and from then on, only those that said that they had begun: the others waited for their turn.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct


class Told(Struct, frozen=True):
    """What is known of deliveries, by their numbers."""

    returned: Collection[int] = ()
    """Handed back, for no fault of the work's."""
    begun: Collection[int] = ()
    """Said that they had begun."""
    ended: Collection[int] = ()
    """Told of their end: their worker lived on."""
    failed: Collection[int] = ()
    """Those of them that ended in an error."""
    kept: Collection[int] = ()
    """Kept an answer of a model, that those before had not brought."""


class Standing(Struct, frozen=True):
    """This attempt is the ``counted`` one, of those that count; ``alone``: nothing else is to be at work in the process."""

    counted: int
    alone: bool = False


def standing(delivery: int, attempts: int, told: Told) -> Standing:
    """Of delivery number ``delivery``, of work that may be begun ``attempts`` times.

    Who died after it had brought a conversation further does not count: whoever goes on from there is nearer to the end. What
    ended in an error counts all the same, as the same answer may be asked for anew because of it.
    """
    counted, lost = 0, False
    for number in range(1, delivery):
        if number in told.returned:
            continue
        if _alone(counted, lost, attempts) and number not in told.begun and number not in told.ended:
            continue
        lost |= number not in told.ended
        if number not in told.kept or number in told.failed:
            counted += 1
    return Standing(counted + 1, _alone(counted, lost, attempts))


def _alone(counted: int, lost: bool, attempts: int) -> bool:
    """Whether one more, after ``counted`` attempts, is the last."""
    return lost and counted >= attempts - 1
