"""The faster parser reads headers as nats-py does, and is the one that nats-py calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from concertino.bus.fastclient import FastClient

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]) | st.sampled_from(":\t a"), max_size=12)
JUNK = st.binary(max_size=6).map(lambda junk: bytes(b for b in junk if b >= 32))


@given(st.lists(TEXT.map(str.encode) | JUNK, max_size=6))
def test_it_reads_what_nats_py_reads(lines: list[bytes]) -> None:
    raw = b"".join(line + b"\r\n" for line in [*lines, b""])
    assert FastClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


async def test_nats_py_calls_it() -> None:
    """It overrides a private method: a release of nats-py without it has to be looked at."""
    headers = await FastClient()._process_headers(b"NATS/1.0\r\nCtn-Note: Gr\xc3\xbc\xc3\x9fe\r\n\r\n")
    assert headers == {"Ctn-Note": "Gr\u00fc\u00dfe"}
    assert Client._parse_header_lines is not FastClient._parse_header_lines
