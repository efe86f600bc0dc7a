"""What the server sends is taken apart as nats-py does it, wherever it is cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from concertino.bus.frames import Frames

WORD = st.text("abc.$_", min_size=1, max_size=8).map(str.encode)
DATA = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"MSG a 1 0\r\n\r\n", b"PING\r\n"])

HEAD = st.just(b"") | DATA.map(lambda data: b"N" + data)
"""nats-py takes a digit at the beginning of the headers for the size of a message."""


def message(subject: bytes, reply: bytes, head: bytes, data: bytes) -> bytes:
    between = b" " + reply if reply else b""
    if head:
        return b"HMSG %b 7%b %d %d\r\n%b%b\r\n" % (subject, between, len(head), len(head) + len(data), head, data)
    return b"MSG %b 7%b %d\r\n%b\r\n" % (subject, between, len(data), data)


FRAMES = st.builds(message, WORD, WORD | st.just(b""), HEAD, DATA) | st.sampled_from(
    [b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b'INFO {"a": 1}\r\n', b"-ERR 'Slow Consumer'\r\n"]
)


class Client:
    """Writes down what it is told."""

    def __init__(self, parser: type[Parser]) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.parser = parser(self)
        self.reset_by: bytes | None = None

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.told.append((sid, subject, reply, data, headers or b""))
        if data == self.reset_by:
            self.parser.reset()

    async def _process_ping(self) -> None:
        self.told.append(("ping",))

    async def _process_pong(self) -> None:
        self.told.append(("pong",))

    async def _process_err(self, text: str) -> None:
        self.told.append(("error", text))

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.told.append(("info", info))


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 400), max_size=6))
@example([message(b"a", b"", b"", b"x" * 50)] * 2, [3, 20, 71, 72])
async def test_whatever_is_read_at_a_time_it_is_what_nats_py_reads(frames: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(frames)
    ours, theirs = Client(Frames), Client(Parser)
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(sent)], strict=True):
        await ours.parser.parse(sent[start:stop])
        await theirs.parser.parse(sent[start:stop])

    assert ours.told == theirs.told
    assert len(ours.told) == len([frame for frame in frames if frame != b"+OK\r\n"])


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400\r\n", b"\r\n", b"MSG\r\n", b"MSG a\r\n", b"MSG a b c\r\n", b"HMSG a 1 5\r\n", b"INFO {\r\n"]
)
async def test_what_no_server_says_is_a_protocol_error(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        await Client(Frames).parser.parse(garbage + b"\r\n" * 20)


async def test_of_what_was_read_before_another_connection_began_nothing_is_left() -> None:
    client = Client(Frames)
    client.reset_by = b"last"
    await client.parser.parse(message(b"a", b"", b"", b"last") + message(b"b", b"", b"", b"gone") + b"MSG c")
    await client.parser.parse(message(b"d", b"", b"", b"first"))

    assert [told[1] for told in client.told] == [b"a", b"d"]


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 400), max_size=6))
async def test_who_listens_is_called_with_what_nats_py_would_be_told(frames: list[bytes], cuts: list[int]) -> None:
    """In its place among what is told to others."""
    sent = b"".join(frames)
    ours, theirs = Client(Frames), Client(Parser)
    assert isinstance(ours.parser, Frames)
    ours.parser.listeners[7] = lambda frame: ours.told.append(
        (7, frame.subject.encode(), frame.reply.encode(), frame.data, frame.head)
    )
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(sent)], strict=True):
        await ours.parser.parse(sent[start:stop])
        await theirs.parser.parse(sent[start:stop])

    assert ours.told == theirs.told
