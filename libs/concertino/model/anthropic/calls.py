"""Calls of models: each one metered, repeated where a fault passes, and made on the fallback where it does not."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anthropic
import msgspec
import structlog
from anthropic.lib.streaming import BetaAsyncMessageStream
from anthropic.types.beta import BetaMessage

from concertino.contracts.budget import Line
from concertino.contracts.checkpoints import Bill, together
from concertino.contracts.errors import BudgetSpent, ConcertinoError, DeadlineExceeded, RateLimited
from concertino.contracts.facts import failure, storable_in
from concertino.contracts.messages import Record, Usage
from concertino.model.anthropic.asking import Question, Said, error_of, question, said
from concertino.model.anthropic.defaults import Chosen
from concertino.model.anthropic.faults import Broken, Declined, Limited, NoApi, fault_of, free
from concertino.model.anthropic.material import size
from concertino.model.anthropic.usage import usage_of
from concertino.model.anthropic.world import World
from concertino.model.port import Call, Estimate, Hooks, Reservation, Turn
from concertino.model.pricing import dearest, priced
from concertino.runtime.config import Price

T = TypeVar("T")
Heard = Callable[[Any], Awaitable[None]]
"""Told of each event of a stream."""

TRIES = 5
"""Of one call on one model, for faults that pass."""
_EVENTS = "text/event-stream"
_FIRST_PAUSE = 1.0
_SEARCH = 10_000
"""Tokens that a search by the provider may add to what it reads."""
_LONGEST_ASKED = 60.0
"""Seconds that the API may ask to wait while there is another model to ask, which then is faster."""

log = structlog.get_logger(__name__)


class Metered:
    """One call, while it is made. ``room``: tokens that its answer may have."""

    def __init__(self, question: Question, room: int, turn: Turn | None) -> None:
        self.question, self.room, self.turn = question, room, turn
        self.message: BetaMessage | None = None
        """As far as it came."""
        self.ended = "bug"
        self.accounted = Usage()
        """What is kept of what it took."""


class Calls:
    """The calls of one job. ``model`` is who is asked now: the chosen one, and its fallback once that fails for good."""

    def __init__(
        self,
        client: anthropic.AsyncAnthropic,
        choice: Chosen,
        prices: Mapping[str, Price],
        hooks: Hooks,
        world: World,
        line: Line = "work",
    ) -> None:
        self.client, self.world = client, world
        self.model = choice.model
        self.line = line
        """What calls are for, from now on: how much of the budget they may use depends on it."""
        self.answered: dict[str, None] = {}
        """The models that gave an answer, in order."""
        self.stays = False
        """Whether the job has something that is lost where it is given back: then its calls wait here for their turn."""
        self.pauses = False
        """Whether it may be given back in the middle, where its journal lets others go on from there."""
        self.journal = hooks.journal
        self._fallback, self._prices, self._hooks = choice.fallback, prices, hooks
        self._until = 0.0
        self._unaccounted: Bill = {}
        """What calls took that came to nothing, by model, since something was kept."""

    async def persist(
        self,
        request: Callable[[str], Mapping[str, Any]],
        attempt: Callable[[Question], Awaitable[BetaMessage]],
        until: float,
        heard: Callable[[Any], None] = lambda _: None,
    ) -> BetaMessage:
        """The answer to what ``request`` makes for a model, by ``attempt`` in the end. ``until``: Unix seconds.

        What was answered in an earlier attempt at this work is not asked again. Of an answer that did not come to its end then,
        ``heard`` is told what was kept; after that ``request`` has to ask for the rest.

        Raises :class:`ModelUnavailable`, :class:`ModelRefused`, :class:`ModelRejected`, and :class:`DeadlineExceeded` when it
        is ``until``.
        """
        tries, before, self._until = 0, "", until
        while True:
            model = self.model
            asked = question(model, request(model))
            if held := self.journal.recall(asked.key):
                if held.part:
                    while held:
                        heard(held.value)
                        held = self.journal.recall(asked.key)
                    continue
                if held.error:
                    raise error_of(held.error)
            try:
                if held:
                    return self._recalled(msgspec.convert(held.value, Said))
                if self.world.clock() >= until:
                    raise DeadlineExceeded(f"the time is up: no model is asked any more{before}")
                await self.journal.turn()
                return await self._in_time(attempt(asked), until, before)
            except Limited as e:
                if (e.wait.away or e.wait.seconds > _LONGEST_ASKED) and self._other_than(model):
                    log.warning("the fallback is asked", instead_of=model, model=self.model, why=str(e))
                    tries = 0
                    continue
                limited = e.error(until - self.world.clock())
                if not isinstance(limited, RateLimited):  # that is asked again, and may be taken then
                    await self._failed(asked, limited)
                raise limited from None
            except Exception as e:
                fault = fault_of(e, model)
                if fault is None:
                    if isinstance(e, ConcertinoError):
                        await self._failed(question(model, request(model)), e)
                    raise
                log.debug("a call of the model failed", model=model, fault=str(fault.error), error=repr(e))
                tries += 1
                before = f"; before that, {fault.error}"
                pause = self._pause(tries, fault.wait)
                bearable = pause <= _LONGEST_ASKED or self._last(model)
                if fault.passes and tries < TRIES and self.world.clock() + pause < until and bearable:
                    if not (fault.shared and self._hooks.limiter):  # else the call waits for its turn, like all others
                        await self.world.sleep(pause)
                elif fault.elsewhere and self._other_than(model):
                    log.warning("the fallback is asked", instead_of=model, model=self.model, why=str(fault.error))
                    tries = 0
                else:
                    error = fault.after(tries)
                    await self._failed(question(model, request(model)), error)
                    raise error from e

    async def say(self, request: Callable[[str], Mapping[str, Any]], until: float) -> BetaMessage:
        """The whole answer to what ``request`` makes for a model, streamed."""

        async def attempt(asked: Question) -> BetaMessage:
            async with (
                self.metered(asked) as call,
                self.client.beta.messages.stream(model=asked.model, **{**asked.request, "max_tokens": call.room}) as stream,
            ):
                return await self.read(call, stream)

        return await self.persist(request, attempt, until)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` returned in the first attempt at this work: what an answer may depend on is the same for all."""
        if held := self.journal.recall(f"once:{name}"):
            known: T = held.value
            return known
        made = make()
        self.journal.note(Record(key=f"once:{name}", value=made))
        return made

    @contextlib.asynccontextmanager
    async def metered(self, asked: Question, *, times: int = 1) -> AsyncIterator[Metered]:
        """Around one call with ``asked``, which the model may read ``times`` over: paid for from the budget, if there is one.
        Whatever becomes of it, the hooks are told what it took.

        Raises :class:`BudgetSpent`, :class:`LedgerUnavailable` or :class:`Limited` before the call is made.
        """
        model, request = asked.model, asked.request
        searches = sum(tool.get("max_uses", 0) for tool in request.get("tools", ()))
        read = (size(request) + searches * _SEARCH) * times
        # What waits for its turn is not to hold money meanwhile that others could use.
        turn = await self._turn(model, read, times)
        try:
            paid = await self._reserved(model, read, searches, asked.room, times)
        except BaseException:
            if turn:
                turn.left(self.world.clock())
            raise
        call, started = Metered(asked, paid.room if paid else asked.room, turn), self.world.monotonic()
        charged = True
        try:
            with self.journal.step():
                yield call
        except asyncio.CancelledError:
            call.ended = "cancelled"
            raise
        except Exception as e:
            fault = fault_of(e, model)
            call.ended = "refusal" if isinstance(e, Declined) else fault.error.code if fault else failure(e).code
            charged = not free(e)
            if call.turn and fault and fault.limited and isinstance(e, anthropic.APIStatusError):
                await call.turn.failed(fault.limited, fault.wait, e.response.headers, self.world.clock())
            raise
        finally:
            usage = self._took(call)
            if call.turn:
                call.turn.left(self.world.clock())
                if call.message is not None and call.message.stop_reason is not None:
                    call.turn.took(usage)
            self._hooks.on_call(Call(model, usage, self.world.monotonic() - started, call.ended))
            self._unaccounted = together(self._unaccounted, {model: usage - call.accounted})
            if paid:
                ended = call.message is not None and call.message.stop_reason is not None
                await paid.settle(usage if ended or not (charged or call.message) else None)

    async def _reserved(self, model: str, read: int, searches: int, room: int, times: int) -> Reservation | None:
        """The right to make the call; None where nothing limits it."""
        if self._hooks.purse is None:
            return None
        input_cost, room_cost = dearest(model, read, searches, self._prices)
        extra = (times - 1) * room
        return await self._hooks.purse.reserve(
            Estimate(model, self.line, read + extra, room, input_cost + extra * (room_cost or 0.0), room_cost)
        )

    async def _turn(self, model: str, read: int, times: int) -> Turn | None:
        """The right to make the call now; None where nobody is asked. Raises :class:`Limited` where it would take too long."""
        if self._hooks.limiter is None:
            return None
        patience = math.inf if self.stays or (self.answered and not (self.pauses and self.journal.resumes)) else None
        turn, told = self._hooks.limiter.turn(model, self.line, read, times, patience), False
        try:
            while (wait := await turn.take(self.world.clock())) is not None:
                if not wait.booked or wait.away or self.world.clock() + wait.seconds >= self._until:
                    raise Limited(model, wait)
                if not told:
                    told = True
                    await self._hooks.progress("waiting for the provider's rate limit")
                await self.world.sleep(wait.seconds)
        except BaseException:
            turn.left(self.world.clock())
            raise
        return turn

    async def read(self, call: Metered, stream: BetaAsyncMessageStream[Any], heard: Heard | None = None) -> BetaMessage:
        """``stream`` to its end, where the answer is kept before anything else. Raises :class:`NoApi`, :class:`Broken` and
        :class:`Declined` besides what the SDK raises, and :class:`BudgetSpent` where it was cut off for want of money."""
        kind = stream.response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("", _EVENTS):
            raise NoApi(kind)
        if call.turn:
            call.turn.saw(stream.response.headers, self.world.clock())
        async for event in _events(stream):
            if event.type == "message_start" or call.message is not None:
                call.message = stream.current_message_snapshot
                if heard:
                    await heard(event)
        message = call.message
        if message is None or (ended := message.stop_reason) is None:
            raise Broken("it has no end")
        if ended == "max_tokens" and call.room < call.question.room:
            call.ended = ended
            raise BudgetSpent(f"the budget left {call.room:,} tokens for an answer, and it is longer")
        kept = said(call.question.model, message)
        if (clean := storable_in(kept)) != kept:  # what cannot be kept would be paid for again
            kept, message = clean, msgspec.convert(clean, Said).read()
        await self.keep(call, kept)
        if ended == "refusal":
            raise _declined(message)
        call.ended = ended
        self.answered[call.question.model] = None
        return message

    async def keep(self, call: Metered, value: Any, *, part: bool = False) -> None:
        """Have what ``call`` said kept, or a part of it, with what was paid for that."""
        took = self._took(call)
        spent = together(self._unaccounted, {call.question.model: took - call.accounted})
        self._unaccounted, call.accounted = {}, took
        await self.journal.keep(Record(key=call.question.key, value=value, answer=True, part=part, spent=_paid(spent)))

    def _took(self, call: Metered) -> Usage:
        return priced(call.question.model, usage_of(call.message), self._prices)

    def _recalled(self, kept: Said) -> BetaMessage:
        """What was answered before, by whichever of the two models: that one is asked from then on, as it was."""
        message = kept.read()
        if message.stop_reason == "refusal":
            raise _declined(message)
        if kept.model == self._fallback:
            self.model = kept.model
        self.answered[kept.model] = None
        return message

    async def _failed(self, asked: Question, error: ConcertinoError) -> None:
        """What is ``asked`` now, with what came of it so far, fails: so that the conversation can go on from here as it did,
        should it go on."""
        spent = _paid(self._unaccounted)
        self._unaccounted = {}
        record = Record(key=asked.key, error=failure(error), spent=spent)
        if spent:
            await self.journal.keep(record)
        else:
            self.journal.note(record)

    async def _in_time(self, doing: Awaitable[T], until: float, before: str) -> T:
        scope = asyncio.timeout(max(until - self.world.clock(), 0.0))
        try:
            async with scope:
                return await doing
        except TimeoutError as e:
            if not scope.expired():
                raise
            raise DeadlineExceeded(f"the time was up while the model was answering{before}") from e

    def _pause(self, tries: int, asked: float | None) -> float:
        backoff: float = _FIRST_PAUSE * 2 ** (tries - 1)
        return max(asked or 0.0, backoff * (0.5 + self.world.chance() / 2))

    def _last(self, model: str) -> bool:
        """Whether there is nobody else to ask than ``model``."""
        return self.model == model and self._fallback in ("", model)

    def _other_than(self, model: str) -> bool:
        """Whether there is another model to ask from now on. Calls side by side may have found it out before."""
        if self.model == model and not self._last(model):
            self.model = self._fallback
        return self.model != model


def _paid(spent: Bill) -> dict[str, Usage]:
    return {model: usage for model, usage in spent.items() if usage != Usage()}


def _declined(message: BetaMessage) -> Declined:
    return Declined((message.stop_details.category if message.stop_details else None) or "")


async def _events(stream: BetaAsyncMessageStream[Any]) -> AsyncIterator[Any]:
    """The events of ``stream``; what cannot be read in them is its fault, not ours."""
    events = aiter(stream)
    while True:
        try:
            event = await anext(events)
        except StopAsyncIteration:
            return
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:  # what the SDK trips over
            raise Broken("it cannot be read") from e
        yield event
