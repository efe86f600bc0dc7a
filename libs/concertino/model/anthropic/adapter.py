"""Claude, through the SDK, once it is loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from msgspec import structs
from opentelemetry.trace import TracerProvider

from concertino.contracts.budget import Line, budget_of
from concertino.contracts.errors import ModelRejected, Refused
from concertino.contracts.messages import Plan, Work
from concertino.model.anthropic import plan, research, write
from concertino.model.anthropic.budget import effort_of
from concertino.model.anthropic.calls import Calls
from concertino.model.anthropic.client import connect
from concertino.model.anthropic.defaults import Chosen, asked_for
from concertino.model.anthropic.session import Session
from concertino.model.anthropic.world import World
from concertino.model.port import Answer, Draft, Findings, Hooks, Planning, Research, Writing
from concertino.runtime.config import Price

T = TypeVar("T")
LAST_WORDS = 5.0
"""Seconds (or a twentieth of what there is) that are left when a model has to be silent: to write down what it said."""


class Adapter:
    """What :class:`~concertino.model.anthropic.Anthropic` is once it is needed. ``environment`` holds the key."""

    def __init__(
        self,
        choice: Chosen,
        prices: Mapping[str, Price],
        environment: Mapping[str, str],
        world: World,
        stall: float,
        traces: TracerProvider | None,
    ) -> None:
        self._choice, self._prices, self._world = choice, prices, world
        self._client = connect(environment, stall=stall, traces=traces)

    async def plan(self, job: Planning) -> Answer[Plan]:
        return await self._with_session(job.work, job.hooks, lambda session: plan.plan(session, job))

    async def research(self, job: Research) -> Answer[Findings]:
        return await self._with_session(job.work, job.hooks, lambda session: research.research(session, job))

    async def write(self, job: Writing) -> Answer[Draft]:
        return await self._with_session(job.work, job.hooks, lambda session: write.write(session, job), "report")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()

    async def _with_session(
        self, work: Work, hooks: Hooks, do: Callable[[Session], Awaitable[Answer[T]]], line: Line = "work"
    ) -> Answer[T]:
        if hooks.purse is None and budget_of(work).limited:
            raise Refused("the task has a budget, and this job nothing to pay from: give it the hooks of its context")
        now = self._world.clock()
        until = work.deadline - min(LAST_WORDS, max(work.deadline - now, 0.0) / 20)
        choice = asked_for(work.limits.model, self._choice)
        calls = Calls(self._client, choice, self._prices, hooks, self._world, line)
        session = Session(calls, choice, effort_of(work) or choice.effort, until)
        await hooks.journal.begin()
        try:
            answer = await do(session)
        except ModelRejected as e:
            if not work.limits.model:
                raise
            raise ModelRejected(
                f"{e}; the task itself asks for this model: correct --model (limits.model), or leave it out"
            ) from e
        return structs.replace(answer, model=session.answered)
