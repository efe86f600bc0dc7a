"""Handlers: what they may return, and how that becomes what goes into the log."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from msgspec import structs

from concertino.contracts.messages import Finding, Plan, Planned, Report, Result, ResultStatus, Settled, Subtask, Synthesized
from concertino.model.port import Answer, Findings
from concertino.worker.context import Context

Handler: TypeAlias = Callable[[Subtask, Context], Any]
"""``async def handler(brief, context)``, or a plain function, which then runs in a thread."""


async def call(handler: Handler, context: Context) -> Settled:
    """Run ``handler`` and settle what it returns."""
    if inspect.iscoroutinefunction(handler):
        returned = await handler(context.work.brief, context)
    else:
        returned = await asyncio.to_thread(handler, context.work.brief, context)
        if isinstance(returned, Awaitable):
            returned = await returned
    settled = settle(returned, context)
    await context.evidence.keep()
    return settled


def settle(returned: Any, context: Context) -> Settled:
    """What goes into the log for what a handler returned; quotes become evidence here, or are dropped and named."""
    match returned:
        case Settled():
            return returned
        case Answer(value, usage):
            return structs.replace(settle(value, context), usage=usage, model=context.model.name)
        case Plan():
            return Planned(plan=returned)
        case Report():
            return Synthesized(report=returned)
        case Findings():
            findings, dropped = context.evidence.ground(returned)
            gaps = (*returned.gaps, *(f"not kept, as its quote was in nothing that was read: {claim}" for claim in dropped))
            status = ResultStatus.PARTIAL if dropped else ResultStatus.COMPLETE
            return Result(status=status, findings=findings, gaps=gaps)
        case None:
            return Result()
        case list() | tuple() if all(isinstance(item, Finding) for item in returned):
            return Result(findings=tuple(returned))
        case _:
            raise TypeError(
                f"a handler returns findings (a list of Finding, or Findings), a Result or None, not {type(returned).__name__}"
            )
