"""Watching one task until it has its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from concertino.bus.port import Stored
from concertino.cli.display import Display
from concertino.cli.session import Session
from concertino.client.client import OVERDUE
from concertino.contracts.codec import decode
from concertino.contracts.errors import BusUnavailable, DeadlineExceeded, Invalid
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Progress
from concertino.contracts.state import State

AWAY = 60.0
"""Seconds for which the bus may be away before a command gives up watching."""


Begin: TypeAlias = Callable[[], Awaitable[object]]


async def _nothing() -> None:
    """The task is there already."""


async def follow(session: Session, task: str, display: Display, begin: Begin = _nothing) -> State:
    """The state of ``task`` once it has its outcome; ``display`` learns everything on the way.

    ``begin`` submits the task: it is called once everything is heard, as what a worker says first is said but once.
    Raises :class:`BusUnavailable` where the bus is away for long, and :class:`DeadlineExceeded` where no orchestrator ends a
    task whose time is up: the task goes on without us.
    """
    state, doing = State(task), dict[str, Progress]()
    prefix = len(session.subjects.progress(task, "_")) - 1

    async def on_progress(message: Stored) -> None:
        try:
            progress = decode(Progress, message.data)
        except Invalid:
            return  # no fact, only talk; the client's own reader has logged it
        work = message.subject[prefix:]
        doing[work] = progress
        display.progress(state, doing, work)

    watching = await session.bus.subscribe(session.subjects.progress(task), on_progress)
    try:
        reading = asyncio.create_task(_read(session, state, display, begin))
        losing = asyncio.create_task(_lost(session, state))
        try:
            await asyncio.wait((reading, losing), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                losing.result()
            await reading
        finally:
            reading.cancel()
            losing.cancel()
    finally:
        await watching.stop()
    return state


async def _read(session: Session, state: State, display: Display, begin: Begin) -> None:
    async with session.client.follow(state.task) as events:
        await begin()
        async for event in events:
            if isinstance(event, Fact):
                state.apply(event)
                display.fact(state, event)
            if state.outcome:
                return


async def _lost(session: Session, state: State) -> None:
    clock = asyncio.get_running_loop().time
    began = seen = clock()
    while clock() - seen < AWAY:
        if session.bus.connected:
            seen = clock()
        # By our own clock: the server's may be another. For a task that was there before us, this is lenient.
        if state.submitted and clock() - began > state.submitted.limits.deadline + OVERDUE:
            raise DeadlineExceeded(
                f"task {state.task} has no outcome, though its time is up: no orchestrator is at work (`concertino workers` "
                f"shows who is). It ends once there is one: concertino follow {state.task}"
            )
        await asyncio.sleep(1.0)
    raise BusUnavailable(
        f"the NATS server is away for {AWAY:g} s; task {state.task} goes on once it is back: concertino follow {state.task}"
    )
