"""A server that speaks the Messages API and answers by script."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from concertino.testing import requests, wire
from concertino.testing.asked import Asked
from concertino.testing.caching import Cache
from concertino.testing.composing import CHARACTERS_PER_TOKEN, BadScript, compose, events, signature, sse
from concertino.testing.http import Broken, Request, Response, Server
from concertino.testing.limits import Buckets, Limits
from concertino.testing.replies import Break, Fault, Hang, Message, Raw, Reply
from concertino.testing.script import Match, Rule, Scripted, matches, reply_to
from concertino.testing.threads import Threads

_MESSAGES, _COUNT = "/v1/messages", "/v1/messages/count_tokens"
_LARGEST = 32 * 1024 * 1024
_BEGUN = 4
"""Events of a message before a fault in midstream: the last of them is a piece of text."""


class MessagesApi:
    """``async with MessagesApi() as api``: real HTTP on 127.0.0.1, for the SDK with ``api.environment()``.

    ``key`` is the only key that is accepted. ``window`` is the context window of every model, in tokens of four characters.
    ``limits`` are the rate limits of that key; there are none unless they are given.
    """

    def __init__(self, *, key: str = "test", window: int = 1_000_000, limits: Limits | None = None) -> None:
        self._key, self._window, self._buckets = key, window, Buckets(limits or Limits())
        self._server = Server(self._handle)
        self._rules: list[Rule] = []
        self._cache, self._threads = Cache(), Threads()
        self._paused: set[str] = set()
        self._numbers = 0
        self.asked: list[Asked] = []
        """Every request for a message, in the order they came, whatever became of it."""
        self.answers: list[tuple[Asked, dict[str, Any]]] = []
        """Every message that was made, with the request that it answers, whether or not it came to its end."""
        self.unexpected: list[Asked] = []
        """Requests that nothing was scripted for, and those that the script went wrong for: answered with HTTP 400."""
        self.rejected: list[tuple[Asked, str]] = []
        """Requests that the API would not take either, and why: answered with HTTP 400."""
        self.limited: list[Asked] = []
        """Requests beyond the rate limits: answered with HTTP 429."""
        self.abandoned: list[Asked] = []
        """Requests whose client hung up before the answer was complete."""
        self.counted: list[Asked] = []
        """Requests to count tokens."""

    @property
    def url(self) -> str:
        return self._server.url

    def environment(self) -> dict[str, str]:
        """What a process needs to talk to this server instead of the API."""
        return {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": self._key}

    def on(self, match: Match, *replies: Scripted, every: Scripted | None = None) -> None:
        """Answer the requests that ``match`` with ``replies`` in order, and then with ``every`` if there is one.

        A text matches where it stands anywhere in system prompt, messages or results of tools. Rules are tried in the order
        in which they were made; one whose replies are used up does not match any more. A reply may be a function of the
        request.
        """
        self._rules.append(Rule(match, replies, every))

    @property
    def left(self) -> int:
        """Scripted replies that nobody asked for."""
        return sum(len(rule.left) for rule in self._rules)

    def count(self, match: Match) -> int:
        """How many requests for a message matched."""
        return sum(matches(match, asked) for asked in self.asked)

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.stop()

    # --- one request

    async def _handle(self, request: Request) -> Response:
        self._numbers += 1
        number = self._numbers
        body = _parsed(request.body)
        whole = self._threads.whole(body) if body is not None else {}
        known = whole if isinstance(whole, dict) else body or {}
        asked = Asked(request.path.partition("?")[0], request.headers, body or {}, known)
        if asked.path == _MESSAGES:
            self.asked.append(asked)
        refused = self._refused(request, asked) or (whole if isinstance(whole, Fault) else self._rejected(asked, body))
        if refused is not None:
            return self._error(refused, number)
        if asked.path == _COUNT:
            self.counted.append(asked)
            return wire.answer({"input_tokens": _tokens(asked.whole)}, number, self._buckets.headers())
        if limited := self._buckets.take():
            self.limited.append(asked)
            return self._error(limited, number)
        try:
            return await self._answer(await reply_to(asked, self._rules), asked, number)
        except asyncio.CancelledError:
            self.abandoned.append(asked)
            raise
        except (BadScript, AttributeError, LookupError, TypeError, ValueError) as e:  # whatever a reply can be wrong in
            self.unexpected.append(asked)
            return self._error(Fault(400, message=str(e) if isinstance(e, BadScript) else f"the script failed: {e!r}"), number)

    def _refused(self, request: Request, asked: Asked) -> Fault | None:
        """What the API says before it looks into a request."""
        if request.method != "POST" or asked.path not in (_MESSAGES, _COUNT):
            return Fault(404, message=f"{request.method} {asked.path} is not served here")
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if key != self._key:
            return Fault(401, message="invalid x-api-key" if key else "x-api-key header is required")
        if len(request.body) > _LARGEST:
            return Fault(413, message="Request exceeds the maximum size")
        return None

    def _rejected(self, asked: Asked, body: dict[str, Any] | None) -> Fault | None:
        counting = asked.path == _COUNT
        why = requests.problem(
            None if body is None else {"max_tokens": 1, **asked.whole} if counting else asked.whole, asked.betas
        )
        if "anthropic-version" not in asked.headers:
            why = "anthropic-version: header is required"
        why = why or self._bad_turn(asked.whole["messages"])
        if why is None and not counting and _tokens(asked.whole) > self._window:
            why = f"prompt is too long: {_tokens(asked.whole)} tokens > {self._window} maximum"
        if why is None:
            return None
        self.rejected.append((asked, why))
        return Fault(400, message=why)

    def _bad_turn(self, messages: list[dict[str, Any]]) -> str | None:
        """Only what was handed back unfinished may stand at the end, and what the model thought is sent back as it was."""
        if messages[-1]["role"] == "assistant" and _shape(messages[-1]["content"]) not in self._paused:
            return "This model does not support assistant message prefill. The conversation must end with a user message."
        for index, message in enumerate(messages):
            for block in message["content"] if isinstance(message["content"], list) else ():
                if block["type"] == "thinking" and block["signature"] != signature(block["thinking"]):
                    return f"messages.{index}: `thinking` blocks cannot be modified: Invalid `signature` in `thinking` block"
        return None

    # --- its answer

    async def _answer(self, reply: Reply, asked: Asked, number: int) -> Response:
        match reply:
            case Fault(midstream=True) if asked.streams:
                return self._cut(Break().reply, asked, number, _BEGUN, _failed(reply, number))
            case Fault():
                return self._error(reply, number)
            case Raw(body, status, type_, headers):
                return Response(status, {"content-type": type_, **headers}, body)
            case Break(after, inner) if after > 0 and asked.streams:
                return self._cut(inner, asked, number, after, _broken())
            case Break():
                raise Broken
            case Hang(seconds, after, inner) if after > 0 and asked.streams:
                return self._cut(inner, asked, number, after, _silent(seconds))
            case Hang(seconds):
                await asyncio.sleep(seconds)
                raise Broken
            case _:
                return self._finished(self._message(reply, asked, number), asked, number)

    def _message(self, reply: Message, asked: Asked, number: int) -> dict[str, Any]:
        message = compose(reply, asked, number, self._cache.count(asked.whole))
        used = message["usage"]
        read, written, said = (used.get(f"{name}_tokens") or 0 for name in ("input", "cache_creation_input", "output"))
        self._buckets.pay(read + written, said)
        self.answers.append((asked, message))
        return message

    def _finished(self, message: dict[str, Any], asked: Asked, number: int) -> Response:
        def done() -> None:
            self._threads.keep(asked.whole, message)
            if message["stop_reason"] == "pause_turn":
                self._paused.add(_shape(message["content"]))

        if asked.streams:
            body = self._streamed([sse(*event) for event in events(message)], asked, done)
            return wire.stream(body, number, self._buckets.headers())
        done()
        return wire.answer(message, number, self._buckets.headers())

    def _cut(self, reply: Message, asked: Asked, number: int, after: int, end: AsyncIterator[bytes]) -> Response:
        pieces = [sse(*event) for event in events(self._message(reply, asked, number))]
        return wire.stream(self._streamed(pieces[:after], asked, then=end), number, self._buckets.headers())

    def _error(self, fault: Fault, number: int) -> Response:
        return wire.error(fault, number, self._buckets.headers())

    async def _streamed(
        self,
        pieces: list[bytes],
        asked: Asked,
        done: Callable[[], None] = lambda: None,
        then: AsyncIterator[bytes] | None = None,
    ) -> AsyncIterator[bytes]:
        try:
            for index, piece in enumerate(pieces):
                if index == len(pieces) - 1:
                    done()  # before the client can ask again
                yield piece
            if then is not None:
                async for piece in then:
                    yield piece
        except (asyncio.CancelledError, GeneratorExit):
            self.abandoned.append(asked)
            raise


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _shape(content: Any) -> str:
    """What tells a turn from another, also when a client sends it back with nulls filled in."""
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return json.dumps([[block["type"], block.get("id"), block.get("text"), block.get("tool_use_id")] for block in blocks])


def _tokens(body: Mapping[str, Any]) -> int:
    read = {name: body.get(name) for name in ("system", "tools", "messages")}
    return math.ceil(len(json.dumps(read)) / CHARACTERS_PER_TOKEN)


async def _failed(fault: Fault, number: int) -> AsyncIterator[bytes]:
    yield sse("error", wire.error_body(fault, number))


async def _broken() -> AsyncIterator[bytes]:
    raise Broken
    yield b""  # what makes it a generator


async def _silent(seconds: float) -> AsyncIterator[bytes]:
    await asyncio.sleep(seconds)
    raise Broken
    yield b""  # what makes it a generator
