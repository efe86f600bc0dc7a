"""Handlers: what they may return, and how that becomes what goes into the log."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeAlias

from msgspec import structs

from concertino.contracts.codec import decode, encode
from concertino.contracts.errors import InvalidMessage, Unfit
from concertino.contracts.messages import Finding, Plan, Planned, Report, Result, ResultStatus, Settled, Subtask, Synthesized
from concertino.model.port import Answer, Findings
from concertino.runtime.threads import in_thread_of
from concertino.worker.context import Context
from concertino.worker.exits import exits_are_bugs
from concertino.worker.intake import settled_type

Handler: TypeAlias = Callable[[Subtask, Context], Any]
"""``async def handler(brief, context)``, or a plain function, which then runs in a thread."""


async def call(handler: Handler, context: Context, threads: Executor, task: asyncio.Task[Any] | None = None) -> Settled:
    """Run ``handler`` in this ``task``, settle what it returns, and keep what that quotes. A plain function runs in one of
    ``threads``."""
    with exits_are_bugs(task):
        if inspect.iscoroutinefunction(handler):
            returned = await handler(context.work.brief, context)
        else:
            returned = await in_thread_of(threads, _plainly, handler, context)
            if isinstance(returned, Awaitable):
                returned = await returned
    settled = settle(returned, context)
    notes = [*context.notes, *_another(settled, context.work.limits.model)]
    settled = _checked(_noted(settled, notes), context.work.id)
    await context.evidence.keep()
    return settled


def _plainly(handler: Handler, context: Context) -> Any:
    context.in_thread = True
    try:
        with exits_are_bugs():  # in here, as a coroutine that waits for it would take some of them for its own end
            return handler(context.work.brief, context)
    finally:
        context.in_thread = False


def _another(settled: Settled, asked: str) -> list[str]:
    """Said where the task ``asked`` for a model, and another one (or none) did the thinking."""
    if not asked or not settled.model or asked in settled.model.split("+"):
        return []
    return [f"the task asked for the model {asked}, which was not to be had here: {settled.model} did it"]


def _noted(settled: Settled, notes: list[str]) -> Settled:
    return structs.replace(settled, notes=(*settled.notes, *notes)) if notes and isinstance(settled, Result) else settled


def settle(returned: Any, context: Context) -> Settled:
    """What goes into the log for what a handler returned; quotes become evidence here, or are dropped and named.

    Raises :class:`Unfit` for what is none of the things that a handler may return.
    """
    match returned:
        case list() | tuple() if all(isinstance(item, Finding) for item in returned):
            return Result(findings=tuple(returned))
        case Settled():
            return returned
        case Answer():
            return _answered(returned, context)
        case Plan():
            return Planned(plan=returned)
        case Report():
            return Synthesized(report=returned)
        case Findings():
            findings, dropped = context.evidence.ground(returned)
            status = ResultStatus.PARTIAL if dropped else ResultStatus.COMPLETE
            return Result(status=status, findings=findings, gaps=returned.gaps, notes=dropped)
        case None:
            return Result()
        case _:
            raise Unfit(
                f"a handler returns findings (a list of Finding, or Findings), a Result or None, not {_named(returned)}"
            )


def _answered(answer: Answer[Any], context: Context) -> Settled:
    """A shortfall makes it partial, whatever there is."""
    settled = structs.replace(settle(answer.value, context), model=answer.model or context.model.name, prompt=answer.prompt)
    if answer.shortfall is None:
        return settled
    return structs.replace(settled, status=ResultStatus.PARTIAL, error=answer.shortfall)


def _checked(settled: Settled, work: str) -> Settled:
    """``settled``, if whoever reads the log can read it and finds there what belongs there. Structs do not check themselves."""
    wanted = settled_type(work)
    if type(settled) is not wanted:
        raise Unfit(f"{work} ends with a {wanted.__name__}, and the handler returned a {type(settled).__name__}")
    try:
        decode(wanted, encode(settled))
    except (InvalidMessage, TypeError, ValueError) as e:
        raise Unfit(f"the handler returned what no reader accepts: {e}") from e
    return settled


def _named(value: Any) -> str:
    if isinstance(value, list | tuple):
        strange = next((item for item in value if not isinstance(item, Finding)), None)
        return f"a {type(value).__name__} with a {type(strange).__name__} in it"
    return type(value).__name__
