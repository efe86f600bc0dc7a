"""Research: the SDK's tool runner over our tools, within a budget of calls and of time, written up in any case."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anthropic.lib.tools import BetaAsyncStreamingToolRunner
from anthropic.types.beta import BetaMessage, BetaToolUseBlock

from concertino.contracts.errors import (
    BudgetSpent,
    ConcertinoError,
    DeadlineExceeded,
    Finished,
    ModelRejected,
    NothingNew,
    RateLimited,
    Unusable,
)
from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure
from concertino.model import prompts
from concertino.model.anthropic.asking import Question
from concertino.model.anthropic.budget import MOST_IDLE, Budget, write_up_at
from concertino.model.anthropic.desk import Desk
from concertino.model.anthropic.faults import too_long
from concertino.model.anthropic.forms import form_of, salvaged, text_of
from concertino.model.anthropic.history import History
from concertino.model.anthropic.session import CUT, Session, objected, read, roomier
from concertino.model.anthropic.shown import Mark
from concertino.model.anthropic.told import told
from concertino.model.observation import Observation
from concertino.model.port import Answer, Claim, Findings, Prompt, Quote, Research

COMPACT_AT = 150_000
"""Tokens of a conversation from which on it is summarized before the next turn."""
_COMPACTION_BETA = "compact-2026-09-04"
_COMPACTION = Path(__file__).with_name("compaction.md")

_CALLS_UP = "No more calls can be made. Give your findings now, from what you have read, in the form that is asked for."
_TIME_UP = "The time is nearly up, and no more calls can be made. Give your findings now, from what you have read so far."
_FINISH_UP = (
    "What there is, is wanted now, and no more calls can be made. Give your findings now, briefly, from what you have read."
)
_BUDGET_UP = (
    "The budget is nearly spent, and no more calls can be made. Give your findings now, briefly, from what you have read."
)
_CIRCLES = (
    "The last calls brought nothing new, so no more are made. Give your findings now, from what you have read, and name as "
    "gaps what you looked for in vain."
)
_DONE = "Give your findings now, in the form that is asked for."
_FORM = "\nThe form: nothing but a JSON object by this schema:\n"
_REFUSED = "no calls are made any more: give your findings now, in the form that is asked for"
_ASKED = 2
"""How often the findings are asked for in words. To forbid tools, or to ask for another form than before, costs the cache of
the whole conversation."""


async def research(session: Session, job: Research) -> Answer[Findings]:
    """Findings on ``job.work.brief``. What was found before a fault that does not pass is kept, with the reason.

    Raises what :meth:`Session.ask` raises, where nothing was found.
    """
    inquiry = _Inquiry(session, job)
    try:
        return await inquiry.answer()
    finally:
        await inquiry.close()


class _Inquiry:
    def __init__(self, session: Session, job: Research) -> None:
        self._session, self._job, self._calls = session, job, session.calls
        now = self._calls.once("now", self._calls.world.clock)
        mark = Mark(self._calls.once("mark", lambda: secrets.token_hex(8)))
        self._budget = Budget(job.tools, job.work, hosted="web_search" in job.hosted)
        self._until = write_up_at(job.work, now)
        self._desk = Desk(job, self._budget, mark, self._calls.world.clock, self._until)
        first = told(job.work, self._budget, mark, now=now, hosted=bool(job.hosted))
        self._history = History({"role": "user", "content": first})
        self._room = session.room
        self._runner: BetaAsyncStreamingToolRunner[None] | None = None
        self._runs_with = 0
        """Tokens that an answer may have, as the runner asks for it."""
        self._compacts, self._due = True, False
        self._compaction: Prompt | None = None
        self._shortfall: Failure | None = None
        self._calls.pauses = True
        self._ends_early = False
        """Whether the findings were cut off for want of room: to ask for them again would cut them off again."""

    async def answer(self) -> Answer[Findings]:
        try:
            findings = await self._read(await self._text())
        except RateLimited:
            raise  # its turn comes, and whoever goes on then has all of it
        except ConcertinoError as e:
            findings = Findings(tuple(_claim(observation) for observation in self._desk.observed))
            if not findings.claims:
                raise
            self._shortfall = failure(type(e)(f"what was checked could not be judged: {e}"))
        used = [prompt.id for prompt in (self._job.prompt, self._compaction) if prompt]
        return Answer(findings, shortfall=self._shortfall or self._desk.bug, prompt=" ".join(used))

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.close()

    def _forget(self) -> None:
        """What was read is out of the model's sight, and may be read again."""
        self._job.tools.forget()
        self._desk.forget()

    # --- looking

    async def _text(self) -> str:
        """The findings as the model states them."""
        try:
            async with self._job.hooks.wish.unless_asked():
                text = await self._looked()
        except Finished as e:
            if not self._history.calls:
                raise Finished(f"{e} before anything had been read") from e
            self._shortfall = failure(Finished(f"{e}: what had been read after {self._budget.used} calls was written up"))
            self._give_up_calls()
            return await self._written(_FINISH_UP, insists=True)
        except DeadlineExceeded as e:
            if not self._history.calls:
                raise
            late = f", of which {', '.join(self._desk.late)} had not returned" if self._desk.late else ""
            made = f"{self._budget.used} calls of tools{late}"
            self._shortfall = failure(type(e)(f"the time was nearly up after {made}: what had been read was written up"))
            return await self._written(_TIME_UP)
        except BudgetSpent as e:
            if not self._history.calls:
                raise
            made = f"{self._budget.used} calls of tools"
            self._shortfall = failure(BudgetSpent(f"what had been read after {made} was written up: {e}"))
            return await self._written(_BUDGET_UP, insists=True)
        except NothingNew as e:
            self._shortfall = failure(NothingNew(f"research went in circles, and what had been read was written up: {e}"))
            return await self._written(_CIRCLES, insists=True)
        return text if text is not None else await self._written(_CALLS_UP if self._budget.spent else _DONE)

    async def _looked(self) -> str | None:
        """The model's last word, or None where it is still to be asked for the findings."""
        while True:
            message = await self._turn()
            if message is None:
                continue
            self._budget.turns += 1
            if message.stop_reason in CUT:
                if self._room > self._session.room:
                    self._ends_early = bool(salvaged(text_of(message)))
                    return text_of(message) if self._ends_early else None
                self._room = roomier(self._room)
                await self.close()
                continue
            self._room = self._session.room
            calls = _called(message)
            self._history.said(message, self._calls.model, called=bool(calls))
            await self._searched(message)
            if calls:
                await self._use(calls)
                if self._desk.late:
                    raise DeadlineExceeded("the time was up while tools were called")
                self._due = self._compacts and _size(message) >= COMPACT_AT
                if self._due and self._runner:
                    self._schedule(self._runner)
            elif message.stop_reason != "pause_turn":
                text = text_of(message)
                return text if not self._job.hosted or read(text, Findings, self._job.check).made else None
            if self._budget.spent:
                return None
            if calls and self._desk.idle >= MOST_IDLE:
                raise NothingNew(f"{self._desk.idle} turns in a row brought nothing that had not been read before")

    async def _turn(self) -> BetaMessage | None:
        """The model's next turn; None where the conversation was shortened instead."""
        try:
            message = await self._calls.persist(self._request, self._next, self._until)
        except ModelRejected as e:
            if self._due and not too_long(e):
                self._due = self._compacts = False  # a model that cannot summarize goes on as it is
            elif too_long(e) and self._history.lighten():
                self._due = False
                self._forget()
            else:
                raise
            return None
        if message.stop_reason != "compaction" or not self._due:  # one that nobody asked for is a turn as any other
            return message
        self._due = False
        if any(block.type == "compaction" and block.content for block in message.content):
            self._history.compacted(message)
            self._compaction = prompts.load(_COMPACTION)
            self._forget()
        else:
            self._compacts = False
        await self.close()
        return None

    async def _next(self, asked: Question) -> BetaMessage:
        """One request by the runner. After a fault another runner goes on from the turns that there are: no tool is called
        again for it."""
        try:
            # To summarize is another call within this one: it reads all of it, too.
            async with self._calls.metered(asked, times=2 if self._due else 1) as call:
                if self._runner is None or call.room != self._runs_with:
                    await self.close()
                    request = {**asked.request, "max_tokens": call.room}
                    self._runner, self._runs_with = self._started(asked.model, request), call.room
                stream = await anext(self._runner)
                return await self._calls.read(call, stream)
        except BaseException:
            await self.close()
            raise

    def _request(self, model: str) -> dict[str, Any]:
        """The next turn, as it is sent."""
        return {
            **self._session.request(model, self._system, None if self._job.hosted else Findings),
            "messages": self._history.messages(model),
            "tools": [*(tool.to_dict() for tool in self._desk.tools), *self._hosted],
            "max_tokens": self._room,
        }

    def _started(self, model: str, request: dict[str, Any]) -> BetaAsyncStreamingToolRunner[None]:
        arguments = {
            **request,
            "tools": [*self._desk.tools, *self._hosted],
            "betas": [_COMPACTION_BETA],
            "thread": False,  # after a fault we send the turns ourselves, to whoever answers then
        }
        runner: BetaAsyncStreamingToolRunner[None]
        runner = self._calls.client.beta.messages.tool_runner(model=model, stream=True, **arguments)
        if self._due:
            self._schedule(runner)
        return runner

    def _schedule(self, runner: BetaAsyncStreamingToolRunner[None]) -> None:
        runner.compact_before_next_turn({"type": "summarize", "instructions": prompts.load(_COMPACTION).text})

    async def _use(self, calls: Sequence[BetaToolUseBlock]) -> None:
        await self._desk.make(calls)
        if self._runner and all(call.name in self._desk.names and isinstance(call.input, dict) for call in calls):
            response = await self._runner.generate_tool_call_response()
            self._history.answered(response["content"] if response else ())  # type: ignore[arg-type]
        else:  # the runner has no result for a tool that does not exist
            self._history.answered(self._desk.results(calls))
            await self.close()

    async def _searched(self, message: BetaMessage) -> None:
        for block in message.content:
            if block.type == "server_tool_use":
                self._budget.used += 1
                asked = block.input.get("query", "") if isinstance(block.input, dict) else ""
                await self._job.hooks.progress(f"{block.name}: {asked}")

    # --- writing up

    async def _written(self, ask: str, *, insists: bool = False) -> str:
        """What the model says to ``ask``, after which no call is made. It is asked as it was before, so that the conversation
        is read from the cache; who goes on calling tools, or where it ``insists``, can only write."""
        await self.close()
        self._calls.line, self._calls.pauses = "write_up", False
        await self._job.hooks.progress("writing up what was found")
        self._history.asked(ask + (_FORM + json.dumps(form_of(Findings)["schema"]) if self._job.hosted and not insists else ""))
        for insisting in (True,) if insists else (*(False,) * _ASKED, True):
            message = await self._last_word(insisting)
            if not self._refused(message):
                break
        else:
            did = "paused" if message.stop_reason == "pause_turn" else "called tools"
            raise Unusable(f"the model {did} where it was to give its findings, also after the model was told why")
        self._history.said(message, self._calls.model)
        text = text_of(message)
        self._ends_early = message.stop_reason in CUT
        if self._ends_early and not salvaged(text):
            raise Unusable(f"the findings are longer than {roomier(self._session.room)} tokens, and were cut off twice")
        return text

    def _give_up_calls(self) -> None:
        """Calls that were made in vain are answered all the same: a model takes no other turn."""
        if calls := self._history.unanswered:
            refused = {"type": "tool_result", "content": _REFUSED, "is_error": True}
            self._history.answered({**refused, "tool_use_id": call} for call in calls)

    async def _last_word(self, insists: bool) -> BetaMessage:
        """What the model answers. Where it ``insists``, that is in the form, and no tools are called."""
        tools = [tool.to_dict() for tool in self._desk.tools]
        plain = insists and bool(self._job.hosted)
        offered: dict[str, Any] = {"tools": tools if plain else [*tools, *self._hosted]}
        if insists:
            offered["tool_choice"] = {"type": "none"}
        form = Findings if insists or not self._job.hosted else None

        def request(model: str) -> dict[str, Any]:
            messages = self._history.plain() if plain else self._history.messages(model)
            common = self._session.request(model, self._system, form)
            return {**common, **(offered if offered["tools"] else {}), "messages": messages, "betas": [_COMPACTION_BETA]}

        while True:
            try:
                message = await self._session.whole(request)
            except (BudgetSpent, ModelRejected) as e:
                # With less to read it may be paid for, too; with nothing to read there is nothing to write up.
                dear = isinstance(e, BudgetSpent)
                if not ((dear or too_long(e)) and self._history.lighten()) or (dear and not self._history.material):
                    raise
                self._forget()
            else:
                await self._searched(message)
                return message

    def _refused(self, message: BetaMessage) -> bool:
        """Whether ``message`` is not the last word; then its calls are answered, of which none is made any more."""
        calls = _called(message)
        if not calls and message.stop_reason != "pause_turn":
            return False
        self._history.said(message, self._calls.model, called=bool(calls))
        if calls:
            refused = {"type": "tool_result", "content": _REFUSED, "is_error": True}
            self._history.answered({**refused, "tool_use_id": call.id} for call in calls)
        else:
            self._history.asked(_REFUSED)
        return True

    async def _read(self, text: str) -> Findings:
        """The findings in ``text``. What is wrong with them is objected to once. What is still not in the form then is kept as
        far as it is whole; quotes of what was not read are dropped, and told, where they are looked up."""
        first = read(text, Findings, self._job.check)
        if first.made is not None and not first.wrong:
            return first.made
        rest = salvaged(text) if first.made is None else None
        if rest and self._ends_early:
            return self._cut(rest)
        try:
            text = await self._written(objected(first.wrong), insists=bool(self._job.hosted) and first.made is None)
        except ConcertinoError as e:
            if first.made is None and rest is None:
                raise
            self._shortfall = self._shortfall or failure(e)
            return first.made or self._cut(rest or Findings())
        second = read(text, Findings, self._job.check)
        if second.made is None and first.made is None and (rest := salvaged(text) or rest):
            return self._cut(rest)
        found = second.made or first.made
        if found is None:
            raise Unusable(f"the findings cannot be used, also after the model was told why: {'; '.join(second.wrong)}")
        return found

    def _cut(self, rest: Findings) -> Findings:
        why = "were cut off" if self._ends_early else "are not all in the form, also after the model was told why"
        error = Unusable(f"the model's findings {why}: the {len(rest.claims)} that are whole are kept")
        self._shortfall = self._shortfall or failure(error)
        return rest

    @property
    def _system(self) -> str:
        return self._job.prompt.text if self._job.prompt else ""

    @property
    def _hosted(self) -> list[Any]:
        if "web_search" not in self._job.hosted:
            return []
        return [
            {
                "type": "web_search_20260318",
                "name": "web_search",
                "max_uses": self._budget.searches,
                "allowed_callers": ["direct"],
            }
        ]


def _called(message: BetaMessage) -> list[BetaToolUseBlock]:
    """The calls that ``message`` ends with."""
    return [block for block in message.content if block.type == "tool_use" and message.stop_reason == "tool_use"]


def _size(message: BetaMessage) -> int:
    """Tokens of the conversation up to and with ``message``."""
    usage = message.usage
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return (usage.input_tokens or 0) + cached + (usage.output_tokens or 0)


def _claim(observation: Observation) -> Claim:
    """What a tool found, as a finding. Nobody judged it."""
    return Claim(
        claim=observation.claim,
        quotes=tuple(Quote(passage.source, passage.text, passage.root) for passage in observation.passages),
        quality=1.0,
        confidence=observation.confidence,
        severity=observation.severity,
        topic=observation.topic,
        advice=observation.advice,
    )
