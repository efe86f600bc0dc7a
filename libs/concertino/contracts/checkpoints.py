"""What checkpoints come to for whoever goes on from them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from concertino.contracts.messages import Checkpoint, Record, Usage

Bill = Mapping[str, Usage]
"""What was paid, by model."""


class Resumed(Struct, frozen=True):
    """``records`` are to be used again, in this order. ``unbooked`` was paid for them, and stands nowhere in the task's log."""

    records: tuple[Record, ...] = ()
    unbooked: Bill = {}


def resumed(checkpoints: Iterable[Checkpoint], booked: Collection[int]) -> Resumed:
    """What ``checkpoints``, in their order, come to. ``booked``: the deliveries whose cost stands in the task's log.

    Who leaves has booked all that was paid up to then. What failed is tried anew by an attempt that is made because of it; an
    answer that is to blame is asked for anew, and so is what came after it. Of an answer that is whole, the pieces that were
    kept while it came do not count.
    """
    records: list[Record] = []
    unbooked: Bill = {}
    for checkpoint in checkpoints:
        for record in checkpoint.records:
            if record.answer and not record.part:
                records = _without_parts(records, record.key)
            records.append(record)
            unbooked = together(unbooked, record.spent)
        if checkpoint.left and checkpoint.delivery in booked:
            unbooked = {}
        if checkpoint.left == "tried_again":
            records = [record for record in records if record.error is None]
        if checkpoint.doubted:
            records = records[: max((i for i, record in enumerate(records) if record.answer), default=len(records))]
    return Resumed(tuple(records), unbooked)


def _without_parts(records: Sequence[Record], key: str) -> list[Record]:
    """Without the pieces of the answer to ``key`` that is under way."""
    whole = max((i for i, record in enumerate(records) if record.key == key and not record.part), default=-1)
    return [record for i, record in enumerate(records) if i <= whole or record.key != key or not record.part]


def together(one: Bill, other: Bill) -> Bill:
    """Both."""
    return {model: one.get(model, Usage()) + other.get(model, Usage()) for model in dict.fromkeys((*one, *other))}


def beyond(one: Bill, other: Bill) -> Bill:
    """The calls that are in ``one`` and not in ``other``."""
    rest = {model: usage - other.get(model, Usage()) for model, usage in one.items()}
    return {model: usage for model, usage in rest.items() if usage.model_calls}
