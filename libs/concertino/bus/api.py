"""The server's JetStream API as requests and replies: what an error code means, and for how long to try again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from concertino.bus import calls
from concertino.bus.fastclient import FastClient
from concertino.bus.frames import Frame
from concertino.bus.port import Headers
from concertino.bus.requests import NobodyAnswers, Outgoing, Requests
from concertino.contracts.errors import BusUnavailable, ConcertinoError, MessageTooLarge, QueueFull, Refused
from concertino.contracts.subjects import Header

T = TypeVar("T")

# Error codes of the server (its errors.json).
WRONG_LAST_SEQUENCE = {10071, 10164}
NAME_IN_USE = {10058, 10148, 10013}
NOT_LEADER = 10009
CONSUMER_NOT_FOUND, STREAM_NOT_FOUND = 10014, 10059
MESSAGE_NOT_FOUND = 10037
_MESSAGE_TOO_LARGE = 10054
_LIMIT_REACHED = 10077
_NO_ROOM = {10002, 10023, 10028, 10047}

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.8
FULL_FOR = 2.0
"""Seconds after which to look again whether a full queue has room."""


class ApiError(Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""

    def __str__(self) -> str:
        return f"{self.description} (code {self.err_code})"


class StreamState(Struct, frozen=True):
    messages: int = 0
    first_ts: datetime | None = None
    last_seq: int = 0
    subjects: dict[str, int] = {}


class StreamConfig(Struct, frozen=True):
    max_msgs_per_subject: int = -1
    discard_new_per_subject: bool = False
    max_age: int = 0
    """Nanoseconds."""
    num_replicas: int = 1


class ConsumerInfo(Struct, frozen=True):
    name: str = ""
    num_pending: int = 0
    num_ack_pending: int = 0


class Reply(Struct, frozen=True):
    """What of the API's JSON replies is read here; the rest is ignored."""

    error: ApiError | None = None
    stream: str = ""
    created: datetime | None = None
    seq: int = 0
    num_pending: int = 0
    num_ack_pending: int = 0
    state: StreamState = StreamState()
    config: StreamConfig = StreamConfig()
    total: int = 0
    consumers: tuple[ConsumerInfo, ...] | int = ()
    """In a list of consumers; elsewhere their number."""


class TooManyResults(Exception):
    """More subjects match than the server answers for at once."""


_decode = msgspec.json.Decoder(Reply).decode


class Api:
    """JetStream over ``nc``. Every call is repeated for ``patience`` seconds while the server is away: all of them may be.
    ``unanswered`` is told where nobody answers for what was asked."""

    def __init__(self, nc: FastClient, patience: float, unanswered: Callable[[], None]) -> None:
        self.requests = Requests(nc)
        self._nc, self._patience, self._unanswered = nc, patience, unanswered

    async def call(self, subject: str, data: bytes = b"") -> Reply:
        """A call of the API. The reply may hold an error that will not go away by itself."""

        async def attempt() -> Reply:
            [message] = await self.requests.ask(subject, data)
            reply = _decode(message.data)
            if reply.error and (reply.error.code == 503 or reply.error.err_code == NOT_LEADER):
                raise BusUnavailable(f"{subject}: {reply.error}")
            return reply

        return await self.patiently(attempt)

    async def store(self, subject: str, data: bytes, headers: Headers) -> tuple[Reply, bool]:
        """The reply for a stored message, or the one that says that its subject is taken; and whether it was sent twice."""
        patience, repeated = _Patience(self._nc, self._patience, self._unanswered), False
        while True:  # as in `patiently`: a closure and two coroutines more would cost every message
            try:
                [message] = await self.requests.ask(subject, data, headers)
                return _stored(subject, message), repeated
            except BusUnavailable as e:
                await patience.wait(e)
                repeated = True

    async def store_each(self, messages: Sequence[Outgoing]) -> list[QueueFull | None]:
        """Store all ``messages``, and for each say whether its queue is full. Anything else that is wrong is raised."""
        answers: list[Exception | None] = []
        again: list[int] = []
        for number, (message, answer) in enumerate(zip(messages, await self.requests.ask_each(messages), strict=True)):
            try:
                if isinstance(answer, ConcertinoError):
                    raise answer
                _stored(message.subject, answer)
                answers.append(None)
            except BusUnavailable:
                answers.append(None)
                again.append(number)
            except ConcertinoError as e:
                answers.append(e)
        later = (self.store(m.subject, m.data, m.headers) for m in (messages[number] for number in again))
        for number, found in zip(again, await asyncio.gather(*later, return_exceptions=True), strict=True):
            answers[number] = found if isinstance(found, Exception) else None
        full: list[QueueFull | None] = []
        for error in answers:
            if error is not None and not isinstance(error, QueueFull):
                raise error
            full.append(error)
        return full

    async def direct(self, stream: str, request: dict[str, Any]) -> tuple[list[Frame], bool]:
        """Messages by one direct get, from whichever replica answers; and whether there are more."""
        *messages, end = await self.requests.ask(calls.direct(stream), msgspec.json.encode(request), many=True)
        headers = end.headers
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "413":
            raise TooManyResults(description)
        # For the newest of each subject "Message Not Found" says that the server found one and could not read it.
        if status == "404" and ("multi_last" not in request or description == "No Results"):
            return messages, False
        if status != "204":
            raise BusUnavailable(f"reading {stream}: {status} {description}")
        return messages, headers.get("Nats-Num-Pending", "0") != "0"

    async def count(self, stream: str, subjects: str) -> int:
        """Messages on ``subjects``: the server says beside the first one how many follow."""
        messages, _ = await self.direct(stream, {"seq": 1, "batch": 1, "next_by_subj": subjects})
        return sum(1 + int(message.headers.get("Nats-Num-Pending", 0)) for message in messages)

    async def newest(self, stream: str, subject: str) -> Frame | None:
        """The newest message on ``subject``, from whichever replica answers."""
        [message] = await self.requests.ask(calls.newest(stream, subject), b"")
        headers = message.headers
        if Header.SEQUENCE in headers:
            return message
        if headers.get("Status") != "404":
            raise BusUnavailable(f"reading {subject}: {headers.get('Status', '')} {headers.get('Description', '')}")
        return None

    async def settle(self, reply: str, word: bytes) -> None:
        """The last word about a delivery, and the server's nod to it."""

        async def attempt() -> None:
            await self.requests.ask(reply, word)

        await self.patiently(attempt)

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of ``attempt``, which is made again where it raises :class:`BusUnavailable`, with growing pauses."""
        patience = _Patience(self._nc, self._patience, self._unanswered)
        while True:
            try:
                return await attempt()
            except BusUnavailable as e:
                await patience.wait(e)


class _Patience:
    """Of one call over ``nc``, which may take so many ``seconds`` from now on. ``unanswered`` is told where nobody answers."""

    __slots__ = ("_give_up", "_nc", "_pause", "_unanswered")

    def __init__(self, nc: FastClient, seconds: float, unanswered: Callable[[], None]) -> None:
        self._nc, self._unanswered = nc, unanswered
        self._give_up, self._pause = time.monotonic() + seconds, _FIRST_PAUSE

    async def wait(self, error: BusUnavailable) -> None:
        """Until the next attempt, longer each time; raise ``error`` where there is to be none."""
        if isinstance(error, NobodyAnswers):
            self._unanswered()
        if self._nc.is_closed or time.monotonic() + self._pause > self._give_up:
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


def _stored(subject: str, message: Frame) -> Reply:
    """The reply for a message that is stored, or whose subject is taken. Raises where it is neither."""
    reply = _decode(message.data)
    if reply.error is not None and reply.error.err_code not in WRONG_LAST_SEQUENCE:
        raise _refusal(subject, reply.error)
    return reply


def expect_no_error(reply: Reply, what: str) -> None:
    """Raises :class:`Refused` where ``reply`` says that ``what`` did not happen."""
    if reply.error:
        raise Refused(f"{what}: {reply.error}")


def _refusal(subject: str, error: ApiError) -> Exception:
    """What it means that a message was not stored."""
    if error.err_code == _MESSAGE_TOO_LARGE:
        return MessageTooLarge(f"{subject}: {error}: store it as a blob")
    if error.err_code == _LIMIT_REACHED:
        return QueueFull(f"{subject}: the queue is full ({error}): try again later", after=FULL_FOR)
    if error.err_code in _NO_ROOM:
        return BusUnavailable(f"{subject}: the NATS server has no room for it (a full disk, a limit of its account): {error}")
    if 400 <= error.code < 500 and error.code not in (408, 429):
        return Refused(f"{subject}: {error}")
    return BusUnavailable(f"{subject}: {error}")
