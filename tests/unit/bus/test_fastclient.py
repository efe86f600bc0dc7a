"""What the faster client does is what nats-py's own does, and nats-py's own comes to it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from concertino.bus.connection import dial
from concertino.bus.fastclient import FastClient
from concertino.bus.frames import Frame
from concertino.contracts.subjects import Header
from concertino.runtime.nats_server import NatsServer
from kit.waiting import until

NAMES = st.sampled_from([Header.SCHEMA, Header.MESSAGE_ID, Header.TRACEPARENT, "X-Other"])
VALUES = st.text(st.characters(codec="utf-8", min_codepoint=33) | st.sampled_from(" \r\n"), max_size=8).map(str.strip)


class Full:
    """A queue of flushes that has one already: nothing is sent."""

    def empty(self) -> bool:
        return False


async def sent(nc: Client, headers: dict[str, str]) -> bytes:
    nc._flush_queue = Full()  # type: ignore[assignment]
    nc._status = Client.CONNECTED
    await nc.publish("ctn.a", b"data", reply="_INBOX.1", headers=headers or None)
    return b"".join(nc._pending)


@given(st.dictionaries(NAMES, VALUES))
async def test_it_writes_what_nats_py_writes(headers: dict[str, str]) -> None:
    """Headers of several lines, too: those would be commands to the server."""
    assert await sent(FastClient(), dict(headers)) == await sent(Client(), dict(headers))


@pytest.mark.parametrize("subject", ["", "a b", "a\tb", "a\r\nPUB b 0", "a\nb"])
async def test_no_subject_is_another_command(subject: str) -> None:
    for name, reply in ((subject, "_INBOX.1"), *([("a", subject)] if subject else [])):
        nc = FastClient()
        nc._flush_queue = Full()  # type: ignore[assignment]
        nc._status = Client.CONNECTED
        with pytest.raises(nats.errors.BadSubjectError):
            await nc.publish(name, b"data", reply=reply, headers={Header.MESSAGE_ID: "1"})
        assert nc._pending == []


@pytest.mark.nats
async def test_who_listens_is_called_where_a_message_is_read_and_an_error_does_not_end_the_reading(
    nats_server: NatsServer,
) -> None:
    nc = await dial(nats_server.url, "test", patience=30.0)
    got: list[bytes] = []

    def now(message: Frame) -> None:
        got.append(message.data)
        if message.data == b"bad":
            raise ValueError("no such thing")

    subscription = await nc.listen("a.*", now)
    with capture_logs() as logs:
        for data in (b"1", b"bad", b"2"):
            await nc.publish("a.b", data, headers={"X": "y"})
        await until(lambda: len(got) == 3, "every message is taken")

    assert got == [b"1", b"bad", b"2"]
    assert [line["subject"] for line in logs if line["log_level"] == "error"] == ["a.b"]
    assert subscription._pending_queue.empty()
    frame = b"MSG a.c %d 1\r\n3\r\n" % subscription._id
    await nc._ps.parse(frame)
    assert got[-1] == b"3"  # without a turn of the event loop
    await subscription.unsubscribe()
    await nc._ps.parse(frame)
    assert len(got) == 4  # nobody listens any more
    await nc.close()


HOSTILE = (
    b"NATS/1.0 \xff\xff\xff\r\nA: b\r\n\r\n",
    b"NATS/1.0 200 \xff\xff\r\nA: b\r\n\r\n",
    b"NATS/1.0",
    b"\r\n\r\n",
    b"garbage",
    b"0\r\n",
)
STRANGE = (b"hostile.\xff", b"hostile.a\x0bb", b"hostile.a\x0c", b"hostile.\x1c")
"""Subjects."""


async def publish_raw(url: str, *messages: tuple[bytes, bytes]) -> None:
    """What no client library sends, and the server passes on: ``messages`` of any subject and any headers."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b'CONNECT {"verbose": false, "headers": true}\r\n')
    for subject, head in messages:
        writer.write(b"HPUB %b %d %d\r\n%b!\r\n" % (subject, len(head), len(head) + 1, head))
    writer.write(b"PING\r\n")
    await reader.readuntil(b"PONG\r\n")
    writer.close()


@pytest.mark.nats
@pytest.mark.parametrize("at_once", [True, False])
async def test_no_bytes_of_anybody_end_the_reading(nats_server: NatsServer, at_once: bool) -> None:
    nc = await dial(nats_server.url, "test", patience=30.0)
    got: list[Msg | Frame] = []

    async def later(message: Msg) -> None:
        got.append(message)

    await (nc.listen("hostile.*", got.append) if at_once else nc.subscribe("hostile.*", cb=later))
    await nc.flush()
    await publish_raw(
        nats_server.url, *((b"hostile.a", head) for head in HOSTILE), *((subject, b"NATS/1.0\r\n\r\n") for subject in STRANGE)
    )
    await until(lambda: len(got) == len(HOSTILE) + len(STRANGE), "every message is taken")

    assert [message.headers or {} for message in got[:2]] == [{"A": "b"}] * 2
    assert [message.subject for message in got] == ["hostile.a"] * len(HOSTILE) + [
        subject.decode("utf-8", "replace") for subject in STRANGE
    ]
    assert nc.is_connected
    await nc.close()
