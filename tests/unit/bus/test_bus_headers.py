"""Headers are read as nats-py reads them, and by ours where nats-py wants them read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from concertino.bus.fastclient import FastClient
from concertino.bus.frames import Frame

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]) | st.sampled_from(":\t a"), max_size=12)
JUNK = st.binary(max_size=6).map(lambda junk: bytes(b for b in junk if b >= 32))


@given(st.lists(TEXT.map(str.encode) | JUNK, max_size=6))
def test_it_reads_what_nats_py_reads(lines: list[bytes]) -> None:
    raw = b"".join(line + b"\r\n" for line in [*lines, b""])
    assert Frame("", "", b"", b"NATS/1.0\r\n" + raw).headers == Client._parse_header_lines(raw)


async def test_nats_py_calls_it() -> None:
    """It overrides a private method: a release of nats-py without it has to be looked at."""
    headers = await FastClient()._process_headers(b"NATS/1.0\r\nCtn-Note: Gr\xc3\xbc\xc3\x9fe\r\n\r\n")
    assert headers == {"Ctn-Note": "Gr\u00fc\u00dfe"}
    assert Client._process_headers is not FastClient._process_headers


@pytest.mark.parametrize(
    "head",
    [
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1016\r\nNats-Last-Stream: 1024\r\n\r\n",
        b"NATS/1.0 409 Message Size Exceeds MaxBytes\r\nNats-Pending-Messages: 1\r\n\r\n",
    ],
)
async def test_what_the_server_says_itself_is_read_as_nats_py_reads_it(head: bytes) -> None:
    assert Frame("", "", b"", head).headers == await Client()._process_headers(head)
