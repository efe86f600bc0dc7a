"""What the faster client does is what nats-py's own does, and nats-py's own comes to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from concertino.bus.connection import dial
from concertino.bus.fastclient import FastClient
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
    await nc.publish("ctn.a", b"data", reply="_INBOX.1", headers=headers)
    return b"".join(nc._pending)


@given(st.dictionaries(NAMES, VALUES, min_size=1))
async def test_it_writes_what_nats_py_writes(headers: dict[str, str]) -> None:
    """Headers of several lines, too: those would be commands to the server."""
    assert await sent(FastClient(), dict(headers)) == await sent(Client(), dict(headers))


@pytest.mark.nats
async def test_who_listens_is_called_where_a_message_is_read_and_an_error_does_not_end_the_reading(
    nats_server: NatsServer,
) -> None:
    nc = await dial(nats_server.url, "test", patience=30.0)
    got: list[bytes] = []

    def now(message: Msg) -> None:
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
    await nc._process_msg(subscription._id, b"a.c", b"", b"3", b"")
    assert got[-1] == b"3"  # without a turn of the event loop
    await subscription.unsubscribe()
    await nc.close()
