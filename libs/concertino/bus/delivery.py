"""What the server hands over, as the port's own types."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from nats.aio.msg import Msg

from concertino.bus.frames import Frame
from concertino.bus.port import Stored
from concertino.contracts.subjects import Header


class Settles(Protocol):
    """Whoever can say the last word about a delivery."""

    async def settle(self, reply: str, word: bytes, *, confirm: bool = False) -> None: ...


class JetStreamDelivery:
    """The :class:`~concertino.bus.port.Delivery` of one message; the subject to settle it on says where it stood."""

    def __init__(self, bus: Settles, raw: Frame) -> None:
        self._bus, self._reply = bus, raw.reply
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>[.<random>]
        tokens = raw.reply.split(".")
        delivered, sequence, _, time = tokens[4:8] if len(tokens) == 9 else tokens[6:10]
        self.attempt = int(delivered)
        self.message = Stored(raw.subject, raw.data, raw.headers, int(sequence), int(time) / 1e9)

    async def ack(self, *, confirm: bool = False) -> None:
        await self._bus.settle(self._reply, b"+ACK", confirm=confirm)

    async def nak(self, delay: float = 0) -> None:
        await self._bus.settle(self._reply, b'-NAK {"delay": %d}' % int(delay * 1e9) if delay > 0 else b"-NAK")

    async def in_progress(self) -> None:
        await self._bus.settle(self._reply, b"+WPI")


def passed_by(raw: Msg) -> Stored:
    """A message of a subscription."""
    return Stored(raw.subject, raw.data, raw.headers or {}, 0, 0.0)


def read_back(raw: Frame) -> Stored:
    """A message that a direct read brought: the server's own headers say where it stands, whatever the writer's say."""
    headers = raw.headers
    return Stored(
        subject=headers[Header.SUBJECT],
        data=raw.data,
        headers=headers,
        sequence=int(headers[Header.SEQUENCE]),
        time=datetime.fromisoformat(headers[Header.TIME_STAMP]).timestamp(),
    )
