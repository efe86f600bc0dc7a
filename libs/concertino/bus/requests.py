"""Many requests in flight over one reply inbox: pipelined, with one sweep for time-outs.

nats-py's own request makes a task and a timer per call; at a thousand publishes for one task that is most of the cost.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence

import nats.errors
from msgspec import Struct

from concertino.bus.fastclient import FastClient
from concertino.bus.frames import Frame
from concertino.contracts.errors import BusUnavailable, ConcertinoError, InvalidMessage, Refused
from concertino.contracts.subjects import Header

NO_RESPONDERS = "503"
ANSWER_WITHIN = 5.0
"""Seconds for one answer. Whoever asks repeats the request while its patience lasts."""


_AT_ONCE = 64
"""Of many requests, so many are sent before the event loop has its turn."""


class Outgoing(Struct, frozen=True):
    """A request that is one of many."""

    subject: str
    data: bytes
    headers: Mapping[str, str]


class NobodyAnswers(BusUnavailable):
    """Nobody listens on the server where it was asked: a server or a leader is not there yet, or the stream is gone."""


class _Open(Struct, eq=False):
    subject: str
    future: asyncio.Future[list[Frame]]
    deadline: float
    many: bool
    got: list[Frame]


class Requests:
    """Requests over ``nc``. One reply, or with ``many`` replies up to the one that only carries a status."""

    def __init__(self, nc: FastClient, timeout: float = ANSWER_WITHIN) -> None:
        self._nc, self._timeout = nc, timeout
        self._inbox = nc.new_inbox() + "."
        self._tokens = itertools.count()
        self._open: dict[str, _Open] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()  # to ask for it each time is a system call on CPython 3.11

    async def start(self) -> None:
        await self._nc.listen(self._inbox + "*", self._on_reply)
        self._sweeper = asyncio.create_task(self._sweep())

    async def ask(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, *, many: bool = False
    ) -> list[Frame]:
        """The replies; with ``many`` the last is the one with the status. Raises :class:`BusUnavailable`, and
        :class:`Refused` where the user may not ask.
        """
        token = str(next(self._tokens))
        try:
            return await (await self._send(token, subject, data, headers, many)).future
        finally:
            self._open.pop(token, None)

    async def ask_each(self, messages: Sequence[Outgoing]) -> list[Frame | ConcertinoError]:
        """One reply to each of ``messages``, which are all sent before one is waited for; or what :meth:`ask` would raise.

        Without a task for each: of a thousand that is a third of the cost.
        """
        tokens = [str(next(self._tokens)) for _ in messages]
        sent: list[_Open | ConcertinoError] = []
        try:
            for number, (token, message) in enumerate(zip(tokens, messages, strict=True), 1):
                try:
                    sent.append(await self._send(token, message.subject, message.data, message.headers, many=False))
                except ConcertinoError as e:
                    sent.append(e)
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # these go out, and others have their turn
            return [one if isinstance(one, ConcertinoError) else await _reply(one) for one in sent]
        finally:
            for token in tokens:
                self._open.pop(token, None)

    async def _send(self, token: str, subject: str, data: bytes, headers: Mapping[str, str] | None, many: bool) -> _Open:
        if not self._nc.is_connected:
            # nats-py would keep it and send it some time after we gave up on it.
            raise BusUnavailable("the connection to the NATS server is lost: it is being made again")
        until = self._loop.time() + self._timeout
        request = self._open[token] = _Open(subject, self._loop.create_future(), until, many, [])
        try:
            await self._nc.publish(subject, data, reply=self._inbox + token, headers=headers)
        except (nats.errors.BadSubjectError, nats.errors.BadHeaderError) as e:
            raise InvalidMessage(f"{subject!r} with headers {sorted(headers or ())} cannot be sent: {e}") from e
        except (nats.errors.Error, OSError) as e:
            # nats-py's publish raises half a dozen types for one fact: there is no connection to write to.
            raise BusUnavailable(f"the NATS server cannot be reached: {type(e).__name__} {e}".rstrip()) from e
        return request

    def _on_reply(self, message: Frame) -> None:
        request = self._open.get(message.subject[len(self._inbox) :])
        if request is None or request.future.done():
            return
        request.got.append(message)
        # A stored message may carry any header, this one too; the server's own word is empty and names no sequence.
        headers = message.headers if not message.data else None
        status = headers.get("Status") if headers and Header.SEQUENCE not in headers else None
        if status == NO_RESPONDERS:
            request.future.set_exception(
                NobodyAnswers(
                    "nothing on the NATS server answers: JetStream is off (start it as `nats-server -js`), or its streams are "
                    "not provisioned (run `python -m concertino.runtime.provision`)"
                )
            )
        elif not request.many or status is not None:
            request.future.set_result(request.got)

    async def _sweep(self) -> None:
        # Requests have one time-out, so the oldest is always first and a sweep looks at little more than what expired.
        while True:
            await asyncio.sleep(self._timeout / 10)
            now = self._loop.time()
            for request in list(self._open.values()):
                if request.deadline > now:
                    break
                _fail(request, f"the NATS server did not answer in {self._timeout:g} s")

    def lost(self) -> None:
        """The connection broke: no answer will come to what was asked over it."""
        for request in list(self._open.values()):
            _fail(request, "the connection to the NATS server broke before it answered")

    def denied(self, subject: str) -> None:
        """The server says that this user may not publish on ``subject`` (in lower case): no answer will come."""
        for request in list(self._open.values()):
            if request.subject.lower() == subject and not request.future.done():
                why = f"the NATS user has no permission for {request.subject!r}: see docs/security.md"
                request.future.set_exception(Refused(why))

    async def stop(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
        for request in list(self._open.values()):
            _fail(request, "the connection to the NATS server was closed")


async def _reply(request: _Open) -> Frame | ConcertinoError:
    try:
        [message] = await request.future
    except ConcertinoError as e:
        return e
    return message


def _fail(request: _Open, reason: str) -> None:
    if not request.future.done():
        request.future.set_exception(BusUnavailable(reason))
