"""What the disk says of one entry of the cache: how much it takes, what was granted to it, and whether anybody holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from concertino.runtime.threads import look

BLOCK = 4096
"""What the smallest file takes on most disks, and a folder."""
ROOM, SIZE = "room", "size"
"""Files of an entry: what was granted to it, which holders lock; and what its folders take, where they change no more."""
UNFINISHED, REMOVED = "new-", "gone-"
"""What names of entries begin with that are not whole, or no more."""


def measure(entry: Path) -> int:
    """Bytes that ``entry`` takes on the disk. Its folders are not walked through again once they are complete."""
    complete = _number(entry / SIZE)
    return walked(entry, into=complete is None) + (complete or 0)


def walked(folder: Path, *, into: bool = True) -> int:
    """Bytes of ``folder`` and what lies in it, as blocks of the disk. Not ``into`` its folders: its files alone."""
    size, open_ = BLOCK, [folder]
    while open_:
        look()
        for path in listed(open_.pop()):
            try:
                about = path.lstat()
            except OSError:  # it goes just now
                continue
            if stat.S_ISDIR(about.st_mode):
                if into:
                    size += BLOCK
                    open_.append(path)
            else:
                size += max(about.st_blocks * 512, BLOCK)
    return size


def about(entry: Path) -> tuple[tuple[bool, float], int] | None:
    """Its place in the order of going, remains first; and what was granted to it. None where it is gone."""
    try:
        used = entry.stat().st_mtime
    except FileNotFoundError:
        return None
    size = granted(entry)
    if size is None:  # of an earlier release, or of a crash
        size = measure(entry)
        note(entry, size)
        with contextlib.suppress(OSError):
            os.utime(entry, (used, used))
    return (not entry.name.startswith((UNFINISHED, REMOVED)), used), size


def granted(entry: Path) -> int | None:
    """None where nothing stands there that could be read."""
    return _number(entry / ROOM)


def note(entry: Path, size: int) -> None:
    """In place, as that file is locked; at a fixed width, so that nobody reads half of it. Nothing where the entry is gone."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(entry / ROOM, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.pwrite(fd, b"%020d" % size, 0)
        finally:
            os.close(fd)


def listed(folder: Path) -> list[Path]:
    """What lies in ``folder``; nothing where there is none."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def folders_of(folder: Path) -> list[Path]:
    return [path for path in listed(folder) if path.is_dir() and not path.is_symlink()]


def locked(fd: int, how: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lies_at(fd: int, path: Path) -> bool:
    """Whether it is the open file that lies there."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _number(path: Path) -> int | None:
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None
