"""A pull consumer that heals itself.

Theory of operation. A pull request asks the server for up to ``batch`` messages; it is open until they came, it expired, or it
failed. Messages arrive on their own subject, so nothing says which request they answer: they are charged to the oldest, as
the server serves them in order, and what drifts is put right when the request ends, since its last word (a status message on
the request's own inbox) closes it. While a request is open the server sends idle heartbeats; a request that heard nothing for
two of them is dead (the server restarted, the leader moved, the consumer is gone) and is replaced. Never more is asked for
than can be started now, so a busy replica hoards nothing that an idle one could do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from concertino.contracts.errors import ConcertinoError

EXPIRES = 30.0
HEARTBEAT = 5.0
RETRY_PAUSE = 0.25

_ENDED = {"404", "408", "409"}  # no messages, expired or closed, and everything that 409 stands for
_GONE = ("Consumer Deleted", "No Responders")

log = structlog.get_logger(__name__)


class _Request(msgspec.Struct):
    credits: int
    heard: float


class Puller:
    """Messages of ``subject`` (``$JS.API.CONSUMER.MSG.NEXT.<stream>.<consumer>``) to ``handle``, ``slots`` at once.

    ``restore`` makes the consumer anew; it is called when the server says that there is none.
    """

    def __init__(
        self,
        nc: Client,
        subject: str,
        handle: Callable[[Msg], Awaitable[None]],
        hand_back: Callable[[Msg], Awaitable[None]],
        restore: Callable[[], Awaitable[None]],
        slots: int,
    ) -> None:
        self._nc, self._subject, self._handle, self._restore, self._slots = nc, subject, handle, restore, slots
        self._hand_back = hand_back
        self._requests: dict[str, _Request] = {}
        self._numbers = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()
        self._kick = asyncio.Event()
        self._stopped = False
        self._missing = False
        self._inbox = nc.new_inbox()
        self._subscription: Subscription | None = None
        self._heard = asyncio.get_running_loop().time()
        self._loop = asyncio.create_task(self._run())

    @property
    def alive(self) -> bool:
        silent = asyncio.get_running_loop().time() - self._heard
        return not self._loop.done() and (silent < 4 * HEARTBEAT or len(self._running) >= self._slots)

    def reconnected(self) -> None:
        """The server has forgotten every request: ask again at once."""
        self._requests.clear()
        self._kick.set()

    async def stop(self) -> None:
        """Ask for nothing more. Handlers that run go on; a message still on its way is handed back."""
        self._stopped = True
        self._kick.set()
        await asyncio.gather(self._loop, return_exceptions=True)
        if self._subscription and self._nc.is_connected:
            await self._subscription.unsubscribe()

    async def _run(self) -> None:
        self._subscription = await self._nc.subscribe(
            self._inbox + ".*", cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        clock = asyncio.get_running_loop().time
        while not self._stopped:
            for number, request in list(self._requests.items()):
                if clock() - request.heard > 2 * HEARTBEAT + 1:
                    log.warning("pull request heard nothing, asking again", consumer=self._subject)
                    del self._requests[number]
            if self._missing:
                await self._heal()
            wanted = self._slots - len(self._running) - sum(r.credits for r in self._requests.values())
            if self._nc.is_connected and (wanted >= max(1, self._slots // 2) or (wanted > 0 and not self._requests)):
                await self._pull(wanted)
            self._kick.clear()
            try:
                await asyncio.wait_for(self._kick.wait(), 1.0)
            except TimeoutError:
                continue

    async def _pull(self, batch: int) -> None:
        number = str(next(self._numbers))
        self._requests[number] = _Request(batch, asyncio.get_running_loop().time())
        request = {"batch": batch, "expires": int(EXPIRES * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}
        try:
            await self._nc.publish(self._subject, msgspec.json.encode(request), reply=f"{self._inbox}.{number}")
        except (nats.errors.Error, OSError) as e:
            log.warning("pull request could not be sent", consumer=self._subject, error=str(e))
            self._requests.pop(number, None)
            await asyncio.sleep(RETRY_PAUSE)

    async def _heal(self) -> None:
        try:
            await self._restore()
            self._missing = False
        except ConcertinoError as e:
            log.warning("consumer is gone and cannot be made anew yet", consumer=self._subject, error=str(e))
            await asyncio.sleep(RETRY_PAUSE * 4)

    async def _on_message(self, message: Msg) -> None:
        now = self._heard = asyncio.get_running_loop().time()
        status = message.headers.get("Status") if message.headers and not message.data else None
        if status is not None:
            self._on_status(message, status, now)
            return
        oldest = next(iter(self._requests), None)
        if oldest is not None:
            request = self._requests[oldest]
            request.credits, request.heard = request.credits - 1, now
            if request.credits <= 0:
                del self._requests[oldest]
        if self._stopped:
            await self._hand_back(message)
            return
        task = asyncio.create_task(self._guard(message))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _on_status(self, message: Msg, status: str, now: float) -> None:
        number = message.subject.rpartition(".")[2]
        request = self._requests.get(number)
        if status == "100":
            if request:
                request.heard = now
            return
        self._requests.pop(number, None)
        description = (message.headers or {}).get("Description", "")
        if status == "503" or description in _GONE:
            self._missing = True
        elif status not in _ENDED:
            log.warning("pull request refused", consumer=self._subject, status=status, description=description)
        elif description.startswith("Exceeded"):
            # A limit of the consumer: asking again at once would spin.
            asyncio.get_running_loop().call_later(RETRY_PAUSE, self._kick.set)
            return
        self._kick.set()

    async def _guard(self, message: Msg) -> None:
        try:
            await self._handle(message)
        except Exception:
            log.exception("a message handler failed; its message goes back", consumer=self._subject)
            await self._hand_back(message)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._requests or len(self._running) <= self._slots // 2:
            self._kick.set()
