"""What a disk, or the operating system before it, may do for a moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from concertino.retrieval import tree

_read = tree._read


def failing_at(beginning: bytes) -> Callable[[int, int], bytes]:
    """In the place of what reads a file of a tree: files that begin like this cannot be read, as too many are open."""

    def read(fd: int, most: int) -> bytes:
        data = _read(fd, most)
        if data.startswith(beginning):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return data

    return read
