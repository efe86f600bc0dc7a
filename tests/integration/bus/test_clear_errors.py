"""What somebody reads whose bus is not there, or not what it should be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg

from concertino.bus.access import Access
from concertino.bus.jetstream import JetStream
from concertino.bus.topology import installation
from concertino.contracts.errors import BadSetting, BusUnavailable, InvalidMessage, Refused
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from kit.plain_server import plain_server
from kit.proxy import Proxy
from kit.waiting import until

pytestmark = pytest.mark.nats


@pytest.mark.parametrize("patience", [0.0, 0.5])
async def test_no_server_says_so_within_patience_and_without_the_password(subjects: Subjects, patience: float) -> None:
    began = time.monotonic()
    with pytest.raises(BusUnavailable, match=r"no NATS server answers at nats://127\.0\.0\.1:9.*CTN_NATS_URL") as caught:
        await JetStream.connect("nats://me:secret@127.0.0.1:9, nats://me:secret@[::1]:9", "test", subjects, patience=patience)

    assert time.monotonic() - began < 10  # unless told otherwise it would try for twenty seconds
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["nats://127.0.0.1:many", "nats://127.0.0.1:99999", "nats://", "", "http://127.0.0.1:4222"])
async def test_an_address_that_is_none_says_so_at_once(subjects: Subjects, url: str) -> None:
    with pytest.raises(BadSetting, match="nats://host:4222"):
        await JetStream.connect(url, "test", subjects)


async def test_a_credentials_file_that_is_not_there_says_so_at_once(subjects: Subjects, tmp_path: Path) -> None:
    (tmp_path / "junk.creds").write_text("junk")
    for name in ("no.creds", "junk.creds"):
        with pytest.raises(BadSetting, match=name):
            await JetStream.connect("nats://127.0.0.1:9", "test", subjects, access=Access(creds=str(tmp_path / name)))


async def test_a_wrong_password_says_so_at_once(subjects: Subjects, tmp_path: Path) -> None:
    with plain_server(tmp_path, "--user", "me", "--pass", "right") as address:
        began = time.monotonic()
        with pytest.raises(Refused, match="credentials") as caught:
            await JetStream.connect(f"nats://me:wrong@{address}", "test", subjects)
    assert time.monotonic() - began < 10
    assert "wrong" not in str(caught.value)


async def test_a_server_without_jetstream_says_so(subjects: Subjects, tmp_path: Path) -> None:
    with plain_server(tmp_path) as address:
        bus = await JetStream.connect(f"nats://{address}", "test", subjects, patience=0.2)
        for call in (bus.provision(installation(subjects)), bus.write_once("a.b", b""), bus.read("NONE", "a.>")):
            with pytest.raises(BusUnavailable, match="JetStream is off"):
                await call
        await bus.close()


async def test_a_call_gives_up_after_patience_when_the_server_went_away(own_server: NatsServer, subjects: Subjects) -> None:
    bus = await JetStream.connect(own_server.url, "test", subjects, patience=0.5)
    await bus.provision(installation(subjects))
    own_server.kill()
    began = time.monotonic()
    with pytest.raises(BusUnavailable):
        await bus.write_once(subjects.fact("a", "outcome"), b"")
    assert time.monotonic() - began < 4  # and not until the sweep for what was not answered, after five
    await bus.close()


@pytest.mark.parametrize(
    ("status", "description"), [("404", "Message Not Found"), ("408", "Bad Request"), ("500", "disk on fire"), ("503", "")]
)
async def test_an_error_while_reading_is_not_taken_for_absence(
    nats_server: NatsServer, subjects: Subjects, status: str, description: str
) -> None:
    """A responder in the place of a stream whose store is failing."""
    failing, bucket = await nats.connect(nats_server.url), f"BROKEN_{subjects.prefix}"

    async def answer(message: Msg) -> None:
        await failing.publish(message.reply, headers={"Status": status, "Description": description})

    await failing.subscribe(f"$JS.API.DIRECT.GET.KV_{bucket}", cb=answer)
    await failing.subscribe(f"$JS.API.DIRECT.GET.KV_{bucket}.a", cb=answer)
    await failing.flush()
    bus = await JetStream.connect(nats_server.url, "test", subjects, patience=0.1)
    with pytest.raises(BusUnavailable):
        await bus.keys(bucket)
    if status != "404":  # of one message it says the same where there is none
        with pytest.raises(BusUnavailable):
            await bus.newest(f"KV_{bucket}", "a")
    await bus.close()
    await failing.close()


@pytest.mark.parametrize("subject", ["", "with space"])
async def test_a_subject_that_cannot_be_sent_is_the_caller_s_fault(
    nats_server: NatsServer, subjects: Subjects, subject: str
) -> None:
    bus = await JetStream.connect(nats_server.url, "test", subjects)
    with pytest.raises(InvalidMessage):
        await bus.write_once(subject, b"")
    with pytest.raises(InvalidMessage):
        await bus.publish(subject, b"")
    await bus.close()


async def test_a_connection_that_the_server_ends_for_good_is_reported_and_ours_is_not(
    nats_server: NatsServer, subjects: Subjects
) -> None:
    ended: list[str] = []
    async with Proxy(nats_server.url) as proxy:
        ours = await JetStream.connect(proxy.url, "test", subjects, closed=lambda: ended.append("ours"))
        await ours.close()
        bus = await JetStream.connect(proxy.url, "test", subjects, closed=lambda: ended.append("theirs"))
        await proxy.say(b"-ERR 'Maximum Connections Exceeded'\r\n")
        await until(lambda: ended == ["theirs"])
        assert not bus.connected
        with pytest.raises(BusUnavailable):
            await asyncio.wait_for(bus.write_once(subjects.fact("a", "outcome"), b""), 10)
        await bus.close()
