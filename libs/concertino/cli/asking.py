"""The commands that wait for an outcome: ``ask``, ``plan`` and ``follow``."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from concertino.cli.display import Display, display
from concertino.cli.failing import summary
from concertino.cli.fleet.services import of_use
from concertino.cli.following import follow
from concertino.cli.host import host
from concertino.cli.interrupts import Interrupts
from concertino.cli.output import STATUS_EXITS, show_plan, show_report
from concertino.cli.question import Question, RedriveOptions
from concertino.cli.session import Session, configuration, connect, given_url, tracing
from concertino.cli.show.text import one_line
from concertino.client.asking import asking, told
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.ids import task_id
from concertino.contracts.redrive import redrive_id
from concertino.contracts.state import State
from concertino.contracts.subjects import PLAN, SYNTHESIZE, check_id
from concertino.contracts.view import view
from concertino.model.choice import KEYS, has_key
from concertino.runtime.config import load

HINT = f"concertino: passages are quoted here, not reasoned about: with {KEYS[0]} set, a model does that (docs/models.md)"
"""Said on a terminal after an answer that no model had a part in."""

Answer = Callable[[State], int]
"""Prints what there is to print, and returns the exit status."""


async def ask(question: Question, *, nats: str | None, task: str | None, as_json: bool, quiet: bool) -> int:
    """Submit, as ``task`` where that is given, follow, print the report. The exit status says how the task ended."""
    return await _ask(question, nats, quiet, lambda state: show_report(state, as_json=as_json), plan_only=False, given=task)


async def plan(question: Question, *, nats: str | None, as_json: bool, quiet: bool) -> int:
    """Have the request planned, and print the plan. Nothing is run."""

    def answer(state: State) -> int:
        task = view(state)
        if as_json or not task.plan.rounds:
            return show_report(state, as_json=as_json)
        show_plan(task)
        return STATUS_EXITS[task.status]

    return await _ask(question, nats, quiet, answer, plan_only=True)


async def watch(task: str, *, nats: str | None, as_json: bool, quiet: bool) -> int:
    """Follow a task that was submitted before. Ctrl-C leaves it alone."""
    config = configuration(nats)
    async with connect(config) as session:
        await session.client.state(task)  # says so where there is none
        with display(quiet=quiet) as screen:
            state = await follow(session, task, screen)
    code = show_report(state, as_json=as_json)
    _say_why(state)
    return code


async def again(
    task: str, subtasks: Sequence[str], options: RedriveOptions, *, nats: str | None, as_json: bool, quiet: bool
) -> int:
    """Run again what failed in ``task``, follow that, and print its report."""
    given = options.given()
    config = configuration(nats)
    screen = display(quiet=quiet)
    interrupts = Interrupts(screen.note)
    interrupts.at_once.append(lambda: screen.__exit__(None, None, None))
    interrupts.install()
    new = ""
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(tracing())
            span = stack.enter_context(asking())
            session = await stack.enter_async_context(connect(config))
            # What is asked for twice at once is one task.
            new = redrive_id(await session.client.state(task))

            async def begin() -> None:
                # Before, as it may be at work, and be seen, when this is only half done.
                interrupts.cancel = lambda: session.client.cancel(new, "cancelled at the terminal")
                found = await session.client.redrive(task, subtasks, new=new, **given)
                screen.note(summary(found))

            with screen:
                state = await follow(session, new, screen, begin)
            told(span, new, view(state).status)
            code = show_report(state, as_json=as_json)
            _say_why(state)
            interrupts.answered = True
            return code
    except asyncio.CancelledError:
        return _interrupted(interrupts, new, goes_on=True)


async def _ask(
    question: Question, nats: str | None, quiet: bool, answer: Answer, *, plan_only: bool, given: str | None = None
) -> int:
    task = check_id(given) if given is not None else task_id(time.time(), secrets.randbits)
    config = configuration(nats)
    screen = display(quiet=quiet)
    interrupts = Interrupts(screen.note)
    interrupts.at_once.append(lambda: screen.__exit__(None, None, None))
    interrupts.install()
    code = 1
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(tracing())
            span = stack.enter_context(asking())
            with screen:
                services = of_use(question.request, question.kinds, config, load(config.config), os.environ)
                here = await stack.enter_async_context(
                    host(config, given_url(nats), services, screen, interrupts.at_once.append)
                )
                session = await stack.enter_async_context(connect(config, here.url))
                await _look(session, screen, question, plan_only=plan_only)

                async def begin() -> None:
                    await session.client.submit(
                        question.request,
                        sources=question.sources,
                        limits=question.limits,
                        plan=question.plan,
                        lane=question.lane,
                        plan_only=plan_only,
                        task=task,
                        wait=question.wait,
                    )
                    interrupts.cancel = lambda: session.client.cancel(task, "cancelled at the terminal")

                state = await follow(session, task, screen, begin)
            told(span, task, view(state).status)
            # Printed before anything is taken down: nobody has to wait for that.
            code = answer(state)
            _say_why(state)
            if not (quiet or plan_only or given_url(nats)) and config.model == "auto" and not has_key(os.environ):
                _hint()
            interrupts.answered = True
            here.failed = code == STATUS_EXITS["failed"] and _services_at_fault(state)
            if here.failed and here.logs:
                print(f"concertino: the services' log is {here.logs}", file=sys.stderr)
            return code
    except ConcertinoError:
        if not (interrupts.answered and interrupts.hurried):
            raise
        return code  # what was killed in haste could not leave in order: the answer is out all the same
    except asyncio.CancelledError:
        return _interrupted(interrupts, task, goes_on=bool(given_url(nats)))


def _interrupted(interrupts: Interrupts, task: str, *, goes_on: bool) -> int:
    if interrupts.error:
        raise interrupts.error from None
    if interrupts.cancel is None:
        print("concertino: interrupted before there was a task", file=sys.stderr)
    elif goes_on:
        print(f"concertino: task {task} goes on: concertino follow {task}", file=sys.stderr)
    return interrupts.status


async def _look(session: Session, screen: Display, question: Question, *, plan_only: bool) -> None:
    """Say who is missing on the bus: a task waits for them, which would look like nothing happening."""
    there = {worker.kind for worker in await session.client.workers()}
    needed = {PLAN} if plan_only else {SYNTHESIZE} if question.plan else {PLAN, SYNTHESIZE}
    if missing := sorted(needed - there):
        screen.note(f"nobody on the bus does {' or '.join(missing)} yet: the task waits (start services with `concertino up`)")


def _services_at_fault(state: State) -> bool:
    """Whether the services' log may tell more than the reason does: it cannot where the caller's own words were at fault."""
    settled = (*state.plans.values(), *state.results.values(), *state.syntheses.values())
    return any(s.error and s.error.code in ("bug", "abandoned", "transient", "bus_unavailable") for s in settled)


def _hint() -> None:
    if sys.stderr.isatty():
        print(HINT, file=sys.stderr)


def _say_why(state: State) -> None:
    """One line on standard error, where what went to standard output does not say on this terminal why there is no report."""
    outcome = state.outcome
    if outcome and outcome.report is None and outcome.status.value in ("failed", "cancelled") and not sys.stdout.isatty():
        print(f"concertino: task {state.task} {outcome.status.value}: {one_line(outcome.reason)}", file=sys.stderr)
