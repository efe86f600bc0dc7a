"""Ports for those who are told beforehand where to listen, or who come back to where they were."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from random import SystemRandom

RANGE = range(10_000, 32_000)
"""Below what systems give to who asks for any port, and to connections that go out: none of those can come in between."""

_taken: set[int] = set()
_book = (Path(tempfile.gettempdir()) / f"concertino-ports-{os.getuid()}").open("wb")
"""Its byte at each port is locked by the process that has it, as tests run in several at once. The system ends that with it."""


def free_port() -> int:
    """One that nobody listens on, and no other test gets while this process lives."""
    while True:
        port = SystemRandom().choice(RANGE)
        if port not in _taken and _booked(port) and _unused(port):
            return port


def _booked(port: int) -> bool:
    try:
        fcntl.lockf(_book, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _taken.add(port)
    return True


def _unused(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: what is long closed is in nobody's way
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
