"""Many requests in flight over one reply inbox: pipelined, with one sweep for time-outs.

nats-py's own request makes a task and a timer per call; at a thousand publishes for one task that is most of the cost.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from concertino.contracts.errors import BusUnavailable

NO_RESPONDERS = "503"


class _Open(Struct, eq=False):
    future: asyncio.Future[list[Msg]]
    deadline: float
    many: bool
    got: list[Msg]


class Requests:
    """Requests over ``nc``. One reply, or with ``many`` replies up to the first that carries a status."""

    def __init__(self, nc: Client, timeout: float = 5.0) -> None:
        self._nc, self._timeout = nc, timeout
        self._inbox = nc.new_inbox() + "."
        self._tokens = itertools.count()
        self._open: dict[str, _Open] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._nc.subscribe(self._inbox + "*", cb=self._on_reply, pending_msgs_limit=-1, pending_bytes_limit=-1)
        self._sweeper = asyncio.create_task(self._sweep())

    async def ask(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, *, many: bool = False
    ) -> list[Msg]:
        """The replies; with ``many`` the last is the one with the status. Raises :class:`BusUnavailable`."""
        token = str(next(self._tokens))
        loop = asyncio.get_running_loop()
        request = _Open(loop.create_future(), loop.time() + self._timeout, many, [])
        self._open[token] = request
        try:
            await self._nc.publish(subject, data, reply=self._inbox + token, headers=dict(headers) if headers else None)
            return await request.future
        except BusUnavailable:
            raise
        except Exception as e:
            # nats-py's publish raises half a dozen types for one fact: there is no connection to write to.
            raise BusUnavailable(f"the NATS server cannot be reached: {type(e).__name__} {e}".rstrip()) from e
        finally:
            self._open.pop(token, None)

    async def _on_reply(self, message: Msg) -> None:
        request = self._open.get(message.subject[len(self._inbox) :])
        if request is None or request.future.done():
            return
        request.got.append(message)
        status = message.headers.get("Status") if message.headers else None
        if status == NO_RESPONDERS and not message.data:
            request.future.set_exception(
                BusUnavailable("nothing on the NATS server answers: JetStream is off, or its streams are not provisioned")
            )
        elif not request.many or status is not None:
            request.future.set_result(request.got)

    async def _sweep(self) -> None:
        # Requests have one time-out, so the oldest is always first and a sweep looks at little more than what expired.
        while True:
            await asyncio.sleep(self._timeout / 10)
            now = asyncio.get_running_loop().time()
            for request in list(self._open.values()):
                if request.deadline > now:
                    break
                if not request.future.done():
                    request.future.set_exception(BusUnavailable(f"the NATS server did not answer in {self._timeout:g} s"))

    async def stop(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
        for request in list(self._open.values()):
            if not request.future.done():
                request.future.set_exception(BusUnavailable("the connection to the NATS server was closed"))
