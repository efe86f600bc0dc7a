"""The ways to say who one is, on a real server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import nkeys
import pytest
from structlog.testing import capture_logs

from concertino.bus.access import Access
from concertino.bus.jetstream import JetStream
from concertino.contracts.errors import Refused
from concertino.contracts.subjects import Subjects
from kit.plain_server import plain_server
from kit.waiting import until

pytestmark = pytest.mark.nats


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    file = tmp_path / "user.nk"
    file.write_text(nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER).decode() + "\n")
    return file


async def test_an_nkey_signs_what_the_server_asks(tmp_path: Path, seed: Path, subjects: Subjects) -> None:
    public = nkeys.from_seed(bytearray(seed.read_bytes().strip())).public_key.decode()
    other = tmp_path / "other.nk"
    other.write_bytes(nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER))
    (tmp_path / "server.conf").write_text(
        f"jetstream {{ store_dir: {tmp_path} }}\nauthorization {{ users: [{{nkey: {public}}}] }}"
    )
    with plain_server(tmp_path, "-c", str(tmp_path / "server.conf")) as address:
        bus = await JetStream.connect(address, "x", subjects, access=Access(nkey=str(seed)))
        assert bus.connected
        await bus.close()
        for access in (Access(nkey=str(other)), Access(user="me", password="secret-word"), Access()):
            with pytest.raises(Refused, match="refuses the user") as caught:
                await JetStream.connect(address, "x", subjects, access=access)
            assert "secret-word" not in str(caught.value)


async def test_a_token_is_enough(tmp_path: Path, subjects: Subjects) -> None:
    with plain_server(tmp_path, "--auth", "secret-word") as address:
        bus = await JetStream.connect(address, "x", subjects, access=Access(token="secret-word"))
        await bus.close()
        with pytest.raises(Refused, match="refuses the user"):
            await JetStream.connect(address, "x", subjects, access=Access(token="another"))


async def test_credentials_that_are_no_longer_taken_are_tried_until_they_are(tmp_path: Path, subjects: Subjects) -> None:
    """Rotated on the server first: what runs goes on by itself once its user is back."""
    conf = tmp_path / "server.conf"

    def allow(password: str) -> None:
        conf.write_text(f"authorization {{ users: [{{user: me, password: {password}}}] }}")

    allow("first-word")
    with plain_server(tmp_path, "-c", str(conf)) as address, capture_logs() as logs:
        [ports] = tmp_path.glob("nats-server_*.ports")  # named for the process
        pid = int(ports.stem.partition("_")[2])
        ended: list[str] = []
        bus = await JetStream.connect(
            address, "x", subjects, access=Access(user="me", password="first-word"), closed=lambda: ended.append("closed")
        )
        allow("second-word")
        os.kill(pid, signal.SIGHUP)
        await until(lambda: any("uthorization" in str(entry.get("error")) for entry in logs), "the refusal is told")
        assert not bus.connected
        allow("first-word")
        os.kill(pid, signal.SIGHUP)
        await until(lambda: bus.connected, "it is back")
        assert ended == []
        await bus.close()
    assert "first-word" not in str(logs)
