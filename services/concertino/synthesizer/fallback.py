"""The report when the model does not write it: the same exhibits, quoted, so that no finding is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from msgspec import structs

from concertino.contracts.errors import (
    BudgetSpent,
    DeadlineExceeded,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    RateLimited,
    Unusable,
)
from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure
from concertino.model import marks
from concertino.model.extractive import Extractive
from concertino.model.extractive.markup import inline
from concertino.model.extractive.write import write
from concertino.model.port import Answer, Draft, Exhibit, Writing
from concertino.runtime.clock import Clock
from concertino.worker import Context
from concertino.worker.quoting import worth_waiting

RESERVE, RESERVE_SHARE = 5.0, 0.2
"""Seconds that are kept for a report without the model, and the share of a short time that they may take."""
LISTED = 100
"""Further claims that a report without the model lists; the rest is counted."""


async def written(context: Context, job: Writing, clock: Clock = time.time) -> Answer[Draft]:
    """The model's report; or one made of quotes, with the reason as its shortfall.

    Raises :class:`ModelUnavailable` or :class:`RateLimited` where another attempt may get the model's.
    """
    left = max(0.0, job.work.deadline - clock())
    reserve = min(RESERVE, left * RESERVE_SHARE)
    try:
        async with asyncio.timeout(left - reserve) as scope:
            # What the model tries again, it tries within its own time.
            return await context.model.write(
                structs.replace(job, work=structs.replace(job.work, deadline=job.work.deadline - reserve))
            )
    except (BudgetSpent, ModelRejected, ModelRefused, Unusable, DeadlineExceeded) as e:
        return without_model(job, failure(e))
    except (ModelUnavailable, RateLimited) as e:
        if worth_waiting(e, job.work.deadline - clock(), last=context.last_attempt):
            raise
        return without_model(job, failure(e))
    except TimeoutError:
        if not scope.expired():
            raise
        return without_model(job, failure(DeadlineExceeded("the time was up before the model had written it")))


def without_model(job: Writing, why: Failure) -> Answer[Draft]:
    """The report on ``job`` made of its quotes, every claim in it as far as there is room, and the reason why."""
    how = f"*Made of quotes, as no model wrote it: {inline(why.message.rstrip('.'))}. The claims are those of the workers.*"
    draft = write(job, how=how)
    also = _further(draft, job.exhibits)
    text = draft.text.replace(how, "\n".join([*also, how])) if also else draft.text
    shortfall = structs.replace(why, message=f"made of quotes, as no model wrote it: {why.message}", retryable=False)
    return Answer(structs.replace(draft, text=text), shortfall=shortfall, model=Extractive.name)


def _further(draft: Draft, exhibits: Sequence[Exhibit]) -> list[str]:
    shown = set(marks.ids(draft.text))
    rest = [exhibit for exhibit in exhibits if exhibit.id not in shown]
    if not rest:
        return []
    lines = [f"- {inline(exhibit.claim)} [{exhibit.id}]" for exhibit in rest[:LISTED]]
    more = [f"- … and {len(rest) - LISTED} more, in the results of the workers"] if len(rest) > LISTED else []
    return ["## Also found", "", *lines, *more, ""]
