"""What a worker brings where its model does not: quotes, found with the same tools, and the reason."""

from __future__ import annotations

from msgspec import structs

from concertino.contracts.errors import ConcertinoError, Invalid, RateLimited, Refused, Transient
from concertino.contracts.facts import failure
from concertino.contracts.messages import Usage
from concertino.model.extractive import Extractive
from concertino.model.port import Answer, Findings, Research

ANOTHER_TRY = 45.0
"""Seconds that must be left for another attempt to be worth waiting for: its delay, and time to work."""
_SEARCH = "search"
"""The one tool that the extractive model asks for."""


def worth_waiting(error: Transient, left: float, *, last: bool) -> bool:
    """Whether what failed with ``error``, ``left`` seconds before its time is up, is better done by a later attempt, if this is
    not the ``last`` one. To wait for a rate limit is no attempt."""
    return (isinstance(error, RateLimited) or not last) and left - (error.after or 0.0) > ANOTHER_TRY


async def quoted(job: Research, why: ConcertinoError, spent: dict[str, Usage]) -> Answer[Findings]:
    """Findings on ``job`` without the model that ``spent`` what it did, and failed because of ``why``.

    Raises ``why`` where the job's tools cannot search, or may not be called any more.
    """
    if all(spec.name != _SEARCH for spec in job.tools.specs):
        raise why
    job.tools.forget()
    await job.hooks.progress("quoting, without the model")
    try:
        answer = await Extractive().research(job)
    except (Invalid, Refused):
        raise why from None
    shortfall = failure(type(why)(f"quoted, as no model read it: {why}"))
    return Answer(
        answer.value,
        shortfall=structs.replace(shortfall, retryable=False),
        prompt=job.prompt.id if job.prompt and spent else "",
        model="+".join([*spent, Extractive.name]),
    )
