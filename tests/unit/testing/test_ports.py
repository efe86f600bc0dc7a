"""A port that a test is given stays its own, whoever else runs tests at the time."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from kit import ports

TESTS = Path(__file__).parents[2]
OTHER = "from kit.ports import free_port; print(free_port(), flush=True); input()"


def test_what_another_process_has_is_nobody_else_s_until_it_ends() -> None:
    command = [sys.executable, "-c", OTHER]
    with subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        theirs = int(other.stdout.readline())
        assert theirs in ports.RANGE
        assert not ports._booked(theirs)
        other.kill()
    assert ports._booked(theirs)


def test_where_somebody_listens_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken = listening.getsockname()[1]
        assert not ports._unused(taken)


def test_none_is_given_twice() -> None:
    given = [ports.free_port() for _ in range(300)]
    assert len(set(given)) == 300
