"""A pull consumer that heals itself.

Theory of operation. A pull request asks the server for up to ``batch`` messages; it is open until they came, it expired, or it
failed. Messages arrive on their own subject, so nothing says which request they answer: they are charged to the oldest, as
the server serves them in order, and what drifts is put right when the request ends, since its last word (a status message on
the request's own inbox) closes it. While a request is open the server sends idle heartbeats; a request that heard nothing for
two of them is dead (the server restarted, the leader moved, the consumer is gone) and is replaced. Never more is asked for
than can be started now, so a busy replica hoards nothing that an idle one could do.

A puller may come *after* another one, which shares its slots: it asks only for what that one leaves free, and only once the
server has said that nothing waits for that one. The question is a request for a message of one byte, which none is: so none
comes, and the answer is behind all that the server sent before. It is put again only where anything came or was asked for
since. What had been asked for when the other filled the slots is taken back where they stay full: the server forgets requests
to an inbox that nobody listens to, so it gets a new one; what was on its way to the old one is still taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import nats.errors
import structlog
from msgspec import Struct
from nats.aio.subscription import Subscription

from concertino.bus.connection import reason
from concertino.bus.fastclient import FastClient
from concertino.bus.frames import Frame
from concertino.contracts.errors import ConcertinoError

EXPIRES = 30.0
MAX_BYTES = 8 * 1024 * 1024
"""Bytes at the most that come of one request; then the server says so, and it is asked again. It cuts off who is slower to read
than it is to send, once 64 MiB lie there: a thousand large tasks would."""
RETRY_PAUSE = 0.25
ANSWERED = 0.5
"""Seconds in which the server says whether anything waits. It does not where a limit holds back what waits."""
LOOK_AGAIN = 0.02
"""Seconds after which something that waits has come, or another replica has it."""
FAILED_PAUSE = 1.0
"""Seconds after which the message of a handler that raised is delivered again: at once would spin."""

_ENDED = {"404", "408", "409"}  # no messages, expired or closed, and everything that 409 stands for
_ANYTHING = msgspec.json.encode({"batch": 1, "no_wait": True, "max_bytes": 1})
_SOMETHING = {"Message Size Exceeds MaxBytes", "Requests Pending"}  # the latter where requests before it will get all there is
_GONE = ("Consumer Deleted", "No Responders")

log = structlog.get_logger(__name__)


class _Request(Struct):
    credits: int
    heard: float


class Puller:
    """Messages of ``subject`` (``$JS.API.CONSUMER.MSG.NEXT.<stream>.<consumer>``) to ``handle``, ``slots`` at once.

    ``hand_back`` gives a message back, to be delivered again after some seconds. ``restore`` sees to it that there is the
    consumer (who may not make one looks for it) or raises; it is called when the server says that there is none, as it also
    does for a while after a restart. ``heartbeat`` is in seconds.
    """

    def __init__(
        self,
        nc: FastClient,
        subject: str,
        handle: Callable[[Frame], Coroutine[Any, Any, None] | None],
        hand_back: Callable[[Frame, float], Awaitable[None]],
        restore: Callable[[], Awaitable[None]],
        slots: int,
        heartbeat: float,
        after: Puller | None = None,
    ) -> None:
        self._nc, self._subject, self._slots, self._heartbeat = nc, subject, slots, heartbeat
        self._handle, self._hand_back, self._restore = handle, hand_back, restore
        self._after = after
        self._followers: list[Puller] = []
        if after:
            after._followers.append(self)
        self._requests: dict[str, _Request] = {}
        self._numbers = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()
        self._returning: set[asyncio.Task[None]] = set()
        self._kick = asyncio.Event()
        self._stopped = False
        self._missing = False
        self._pause = 0.0
        self._nothing = False
        self._questions: dict[str, asyncio.Future[bool]] = {}
        self._inbox = nc.new_inbox() + "."
        self._subscription: Subscription | None = None
        self._leaving: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()  # to ask for it each time costs a call of the system
        self._clock, self._create_task = loop.time, loop.create_task
        self._heard = self._clock()
        self._loop = asyncio.create_task(self._run())
        self._loop.add_done_callback(self._ended)

    @property
    def alive(self) -> bool:
        silent = self._clock() - self._heard
        return not self._loop.done() and (silent < 4 * self._heartbeat or self._room <= 0)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def _room(self) -> int:
        """How many may be started now."""
        return self._slots - len(self._running) - (self._after.running if self._after else 0)

    @property
    def _credits(self) -> int:
        """How many were asked for and did not come yet."""
        return sum(request.credits for request in self._requests.values())

    @property
    def _wanted(self) -> int:
        """How many to ask for now. None for a slot or two of many, while others have been asked for."""
        wanted = self._room - self._credits
        return wanted if wanted >= max(1, self._slots // 2) or not self._requests else 0

    def reconnected(self) -> None:
        """The server may have forgotten every request: ask again at once."""
        self._requests.clear()
        self._nothing = False
        self._kick.set()

    async def stop(self) -> None:
        """Ask for nothing more. Handlers that run go on; a message still on its way is handed back."""
        self._stopped = True
        self._kick.set()
        if self._subscription:
            self._loop.cancel()
        await asyncio.wait([self._loop])
        if self._subscription and self._nc.is_connected:
            # No more from the server, a round trip, and what came before it goes through `_on_message`, which hands it back.
            await asyncio.shield(self._leave(self._subscription))
        if self._leaving:
            await asyncio.shield(self._leaving)
        if self._returning:
            await asyncio.wait(self._returning)

    def _leave(self, subscription: Subscription) -> asyncio.Task[None]:
        """Listen no more to ``subscription``, once all that was on its way there has come.

        In a task of its own, as cancelling nats-py in the middle of a round trip kills its read loop.
        """

        async def drain() -> None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await subscription.drain()  # type: ignore[no-untyped-call]

        return asyncio.create_task(drain())

    def _ended(self, loop: asyncio.Task[None]) -> None:
        if not loop.cancelled() and (error := loop.exception()):
            log.error("a consumer was given up", consumer=self._subject, exc_info=error)

    async def _run(self) -> None:
        await self._listen()
        while not self._stopped:
            self._kick.clear()
            self._drop_dead()
            if self._missing:
                await self._heal()
            if self._pause:
                await asyncio.sleep(self._pause)
                self._pause = 0.0
            if self._nc.is_connected and self._wanted > 0:
                if self._after and await self._after._expects():
                    self._pause = LOOK_AGAIN
                    self._kick.set()
                elif (wanted := self._wanted) > 0:  # something may have come meanwhile
                    await self._pull(wanted)
            try:
                async with asyncio.timeout(self._heartbeat / 2):
                    await self._kick.wait()
            except TimeoutError:
                # Only where it stays like this: quick work in the other lane fills the slots a thousand times a second.
                if self._after and self._credits > max(self._room, 0) and not (self._leaving and not self._leaving.done()):
                    await self._take_back()

    async def _listen(self) -> None:
        self._subscription = await self._nc.listen(f"{self._inbox}{next(self._numbers)}.*", self._on_message)

    async def _take_back(self) -> None:
        """Others are to have what was asked for and cannot be started now."""
        before = self._subscription
        self._requests.clear()
        try:
            await self._listen()
        except (nats.errors.Error, OSError) as e:
            log.warning("what was asked for could not be taken back yet", consumer=self._subject, error=str(e))
        else:
            assert before is not None
            self._leaving = self._leave(before)

    def _drop_dead(self) -> None:
        now = self._clock()
        for number, request in list(self._requests.items()):
            if now - request.heard > 2.2 * self._heartbeat:
                log.warning("pull request heard nothing, asking again", consumer=self._subject)
                del self._requests[number]

    async def _pull(self, batch: int) -> None:
        number = self._number()
        self._nothing = False
        self._requests[number] = _Request(batch, self._clock())
        times = {"expires": int(EXPIRES * 1e9), "idle_heartbeat": int(self._heartbeat * 1e9)}
        request = {"batch": batch, "max_bytes": MAX_BYTES, **times}
        try:
            await self._nc.publish(self._subject, msgspec.json.encode(request), reply=number)
        except (nats.errors.Error, OSError) as e:
            log.warning("pull request could not be sent", consumer=self._subject, error=str(e))
            self._requests.pop(number, None)
            self._pause = RETRY_PAUSE

    def _number(self) -> str:
        """The inbox of one request."""
        assert self._subscription is not None
        return self._subscription.subject.removesuffix("*") + str(next(self._numbers))

    async def _expects(self) -> bool:
        """Whether anything waits on the server that goes to this one. Where it does not say, nobody waits for it."""
        if self._nothing or not self._subscription:
            return False
        number = self._number()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        try:
            async with asyncio.timeout(ANSWERED):
                await self._nc.publish(self._subject, _ANYTHING, reply=number)
                return await answer
        except (TimeoutError, nats.errors.Error, OSError) as e:
            log.warning("whether work waits that goes first is not known", consumer=self._subject, error=reason(e))
            return False
        finally:
            del self._questions[number]

    async def _heal(self) -> None:
        self._missing = False  # the next request says if it still is
        try:
            await self._restore()
            log.warning("nobody answered for a consumer; it is there now", consumer=self._subject)
        except ConcertinoError as e:
            log.warning("nobody answers for a consumer; it is not there yet", consumer=self._subject, error=str(e))
        self._pause = RETRY_PAUSE

    def _on_message(self, message: Frame) -> None:
        now = self._clock()
        # Only the server writes to our inbox; a stored message keeps its own subject, and may carry a header `Status`.
        if message.subject.startswith(self._inbox):
            self._on_status(message, now)
            return
        self._heard = now
        self._nothing = False  # there may be more behind it
        oldest = next(iter(self._requests), None)
        if oldest is not None:
            request = self._requests[oldest]
            request.credits, request.heard = request.credits - 1, now
            if request.credits <= 0:
                del self._requests[oldest]
                self._kick.set()
        if self._stopped or len(self._running) >= self._slots:
            # More than was asked for comes where a request outlived a connection that broke.
            self._give_back(message, 0)
            return
        try:
            handling = self._handle(message)
        except Exception:
            log.exception("a message handler failed; its message goes back", consumer=self._subject)
            self._give_back(message, FAILED_PAUSE)
            return
        if handling is not None:
            task = self._create_task(self._guard(message, handling))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _on_status(self, message: Frame, now: float) -> None:
        number = message.subject
        headers = message.headers
        status, description = headers.get("Status", ""), headers.get("Description", "")
        gone = status == "503" or description in _GONE
        if not gone:  # that there is no consumer is no word of one
            self._heard = now
        if status == "100":
            if number in self._requests:
                self._requests[number].heard = now
            return
        self._requests.pop(number, None)
        if (answer := self._questions.get(number)) and not answer.done():
            self._nothing = status == "404"
            answer.set_result(description in _SOMETHING)
            if status in _ENDED:
                return
        if gone:
            self._missing = True
        elif status not in _ENDED:
            log.warning("pull request refused", consumer=self._subject, status=status, description=description)
            self._pause = RETRY_PAUSE
        elif description.startswith("Exceeded"):
            # A limit of the consumer: asking again at once would spin.
            self._pause = RETRY_PAUSE
        self._kick.set()

    async def _guard(self, message: Frame, handling: Awaitable[None]) -> None:
        try:
            await handling
        except ConcertinoError as e:
            log.warning("a message could not be handled yet; it goes back", consumer=self._subject, error=str(e))
            await self._return(message, FAILED_PAUSE)
        except Exception:
            log.exception("a message handler failed; its message goes back", consumer=self._subject)
            await self._return(message, FAILED_PAUSE)

    def _give_back(self, message: Frame, delay: float) -> None:
        returning = asyncio.create_task(self._return(message, delay))
        self._returning.add(returning)
        returning.add_done_callback(self._returning.discard)

    async def _return(self, message: Frame, delay: float) -> None:
        try:
            await self._hand_back(message, delay)
        except ConcertinoError as e:
            log.warning("a message comes back only when its lease ends", consumer=self._subject, error=str(e))

    def _done(self, task: asyncio.Task[None]) -> None:
        if len(self._running) >= self._slots:
            self._heard = self._clock()  # nothing was asked for until now, so nothing could be heard
        self._running.discard(task)
        if not self._requests or len(self._running) <= self._slots // 2:
            self._kick.set()
        for follower in self._followers:
            follower._freed()

    def _freed(self) -> None:
        """There may be room that the puller before this one had taken."""
        if not self._requests:
            self._heard = self._clock()
            self._kick.set()
