"""The tools of one piece of research, as the SDK's runner takes them."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

import anthropic
import msgspec
import structlog
from anthropic.lib.tools import BetaAsyncFunctionTool, ToolError
from anthropic.types.beta import BetaToolUseBlock
from msgspec import Struct

from concertino.contracts.errors import ConcertinoError
from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure, Passage, Record
from concertino.model.anthropic.budget import NEAR, Budget
from concertino.model.anthropic.shown import Mark, seen, shown
from concertino.model.observation import Checked, Observation
from concertino.model.port import Research

log = structlog.get_logger(__name__)


class Outcome(Struct, frozen=True):
    """What a call came to, as the model is shown it."""

    text: str
    failed: bool = False
    seen: tuple[Passage, ...] = ()
    observed: tuple[Observation, ...] = ()
    bug: Failure | None = None


class Desk:
    """Calls of one turn are made side by side; the runner, which asks for one after the other, finds them done.

    A tool with a bug does not cost the research: the model is told that it failed, and goes on without it. The bug is kept in
    ``bug`` for whoever reads the result, and logged with where it happened.
    """

    def __init__(self, job: Research, budget: Budget, mark: Mark) -> None:
        self._tools, self._budget, self._mark, self._journal = job.tools, budget, mark, job.hooks.journal
        self._done: defaultdict[str, deque[Outcome]] = defaultdict(deque)
        self.observed: list[Observation] = []
        """What tools that check have found: it can be reported as it is, whatever becomes of the model."""
        self.bug: Failure | None = None
        self._brought: set[str] = set()
        self.idle = 0
        """Turns up to now, without a break, in which no call brought anything new."""
        self.tools: list[BetaAsyncFunctionTool[Any]] = [
            anthropic.beta_async_tool(
                self._runnable(spec.name), name=spec.name, description=spec.description, input_schema=spec.parameters
            )
            for spec in job.tools.specs
        ]
        self.names = {spec.name for spec in job.tools.specs}

    async def make(self, calls: Sequence[BetaToolUseBlock]) -> None:
        """Make ``calls``, and keep what comes of them for the runner."""
        outcomes = await asyncio.gather(*(self._made(call) for call in calls))
        for call, outcome in zip(calls, outcomes, strict=True):
            self._done[call.name].append(outcome)
        new = {outcome.text for outcome in outcomes if not outcome.failed} - self._brought
        self._brought |= new
        self.idle = 0 if new else self.idle + 1

    def forget(self) -> None:
        """Let what was brought before count as new: it is out of the model's sight."""
        self._brought.clear()

    def results(self, calls: Sequence[BetaToolUseBlock]) -> list[dict[str, Any]]:
        """What came of ``calls``, for a message that no runner makes."""
        found: list[dict[str, Any]] = []
        for call in calls:
            outcome = self._done[call.name].popleft()
            result = {"type": "tool_result", "tool_use_id": call.id, "content": outcome.text}
            found.append({**result, "is_error": True} if outcome.failed else result)
        return found

    async def _made(self, call: BetaToolUseBlock) -> Outcome:
        self._budget.used += 1
        if self._budget.used > self._budget.allowed:
            return Outcome("no more calls: write up what there is", failed=True)
        if not isinstance(call.input, dict):
            return Outcome(f"{call.name}: its input has to be an object" + self._reminder(), failed=True)
        arguments = {str(name): value for name, value in call.input.items()}
        key = f"tool:{call.id}"
        if held := self._journal.recall(key):
            outcome = msgspec.convert(held.value, Outcome)
            self._tools.again(call.name, arguments, outcome.seen, failed=outcome.failed)
        else:
            await self._journal.turn()
            with self._journal.step():
                outcome = await self._returned(call, arguments)
                await self._journal.keep(Record(key=key, value=msgspec.to_builtins(outcome)))
        self.observed += outcome.observed
        self.bug = outcome.bug or self.bug
        return outcome

    async def _returned(self, call: BetaToolUseBlock, arguments: dict[str, Any]) -> Outcome:
        try:
            returned = await self._tools.call(call.name, **arguments)
        except ConcertinoError as e:
            return Outcome(self._mark.around("error", str(e)) + self._reminder(), failed=True)  # may repeat what it read
        except Exception as e:
            log.exception("a tool failed", tool=call.name)
            return Outcome(f"{call.name} is broken: do without it" + self._reminder(), failed=True, bug=failure(e))
        observed = returned.found if isinstance(returned, Checked) else ()
        return Outcome(shown(returned, self._mark) + self._reminder(), seen=seen(returned), observed=observed)

    def _reminder(self) -> str:
        left = self._budget.left
        return f"\n({left} calls are left: finish.)" if 0 < left <= NEAR else ""

    def _runnable(self, name: str) -> Any:
        async def run(**_: Any) -> str:
            outcome = self._done[name].popleft()
            if outcome.failed:
                raise ToolError(outcome.text)
            return outcome.text

        return run
