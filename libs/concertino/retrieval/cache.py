"""The folder of clones and indexes: what lies there together is bounded, however many processes share it.

Theory of operation. An *entry* is a folder two below ``clones`` or ``indexes``. In its file ``room`` stands how many bytes were
granted to it; who uses the entry holds a shared lock on that file, which ends with the process whatever ends that. Room is
granted before it is taken, by one process at a time (the lock of ``room`` in the cache folder itself): where all grants would
exceed the limit, entries that nobody holds are removed, those least recently used first. What grows by itself, a fetch or an
index, is measured while it does, granted a little more than it takes, and ended where there is no more. What is removed
is renamed first, so that a crash leaves nothing that looks whole: such remains are nobody's, and the first to go.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from concertino.contracts.errors import SourceError, Transient
from concertino.retrieval.entries import (
    REMOVED,
    ROOM,
    SIZE,
    UNFINISHED,
    about,
    folders_of,
    granted,
    lies_at,
    listed,
    locked,
    measure,
    note,
    walked,
)
from concertino.runtime.threads import in_thread, look

T = TypeVar("T")

MOST_BYTES = 10 << 30
"""Of all entries, unless the caller says otherwise."""
WAITS = 20.0
"""Seconds for others to be done with what they use, before anything has begun that would have to be ended."""

_PAUSE = 0.2
"""Seconds between two looks at what grows, and at a lock that others hold."""
_STEP = 32 << 20
"""Bytes granted ahead of what grows: as much as may come between two looks."""
_LITTLE = 256 << 10
"""Of a grant that is not used, what is not worth writing down."""


class NoRoom(Transient):
    """What others use, and what is granted to them, leaves no room in the cache folder now. Try again later."""


class NoRoomTogether(SourceError):
    """What one piece of work uses already leaves no room for another thing that it needs: it would wait for itself. Raise
    CTN_CACHE_BYTES, or give it less at once."""


class Cache:
    """The entries below ``folder``, which may take ``limit`` bytes together. What is held through one of these is for one
    piece of work, so that nothing of it makes room for the rest."""

    def __init__(self, folder: Path, limit: int = MOST_BYTES) -> None:
        self.folder, self.limit = folder, limit
        self._held: list[weakref.ref[Held]] = []

    async def make(self, home: Path, what: str) -> Held:
        """A new entry in ``home``, under a name of its own until it is complete. ``what`` it is, errors say."""
        return await self.hold(home / f"{UNFINISHED}{secrets.token_hex(8)}", what)

    async def hold(self, entry: Path, what: str) -> Held:
        """``entry``, made where it is not there, which nobody removes until it is released. :class:`SourceError` where it
        cannot be made."""
        while True:
            with _written(entry), contextlib.suppress(FileNotFoundError):  # somebody removes what has nothing in it yet
                entry.mkdir(parents=True, exist_ok=True)
            if held := await self.hold_if_there(entry, what):
                return held
            await asyncio.sleep(0)

    async def hold_if_there(self, entry: Path, what: str) -> Held | None:
        """The same, and None where there is none."""
        with _written(entry), contextlib.ExitStack() as unless_held:
            try:
                fd = os.open(entry / ROOM, os.O_RDWR | os.O_CREAT, 0o600)
            except (FileNotFoundError, NotADirectoryError):
                return None
            unless_held.callback(os.close, fd)
            while True:
                if locked(fd, fcntl.LOCK_SH):
                    break
                await asyncio.sleep(_PAUSE / 10)  # somebody removes it: a matter of milliseconds
            if not lies_at(fd, entry / ROOM):
                return None
            os.utime(entry)
            unless_held.pop_all()
        held = Held(self, entry, what, fd)
        self._held = [*(ref for ref in self._held if ref()), weakref.ref(held)]
        return held

    def remove(self, entry: Path) -> bool:
        """Whether ``entry`` is gone: nobody held it. Blocks."""
        try:
            fd = os.open(entry / ROOM, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            return True
        gone = entry.with_name(f"{REMOVED}{secrets.token_hex(8)}")
        try:
            if not locked(fd, fcntl.LOCK_EX):
                return False
            if not lies_at(fd, entry / ROOM):
                return True
            entry.rename(gone)
        finally:
            os.close(fd)
        shutil.rmtree(gone, ignore_errors=True)
        return not gone.exists()

    def grant(self, entry: Path, size: int, what: str) -> None:
        """Note that ``entry`` takes ``size`` bytes, and remove what is in the way. Blocks.

        Raises :class:`NoRoom`; :class:`NoRoomTogether` where what is held here must go first, and :class:`SourceError` where
        there would be none if it were alone.
        """
        if size > self.limit:
            raise SourceError(
                f"{what} takes more than {self.limit} bytes with its index, and that is what all clones and indexes may take "
                f"together: raise CTN_CACHE_BYTES, or give the folder that matters"
            )
        with _written(entry), self._alone():
            others = {other: found for other in self._entries() if other != entry and (found := about(other))}
            excess = sum(taken for _, taken in others.values()) + size - self.limit
            for other, (_, taken) in sorted(others.items(), key=lambda item: item[1][0]):
                if excess <= 0:
                    break
                if self.remove(other):
                    excess -= taken
            own = {held.folder: held.what for ref in self._held if (held := ref()) and held.in_use} if excess > 0 else {}
            if own and size + sum(taken for other, (_, taken) in others.items() if other in own) > self.limit:
                beside = ", ".join(sorted({name for folder, name in own.items() if folder != entry} - {what})) or "the others"
                raise NoRoomTogether(
                    f"there is no room for {what}, which takes {size} bytes, beside {beside}: together they take more than the "
                    f"{self.limit} bytes of all clones and indexes: raise CTN_CACHE_BYTES, or give them to separate subtasks"
                )
            if excess > 0:
                raise NoRoom(
                    f"there is no room for {what} now, which takes {size} bytes: all clones and indexes together may take "
                    f"{self.limit}, and others are in use: try again when they are done with, or raise CTN_CACHE_BYTES"
                )
            note(entry, size)

    def _entries(self) -> Iterator[Path]:
        """All that there are. What else takes room goes: indexes of earlier releases, which were files, and empty homes."""
        for kind in ("clones", "indexes"):
            for home in listed(self.folder / kind):
                entries = folders_of(home)
                yield from entries
                if not entries or kind == "indexes":
                    for file in listed(home):
                        if file.is_file():
                            file.unlink(missing_ok=True)
                if not entries:
                    with contextlib.suppress(OSError):  # one is being made in it
                        home.rmdir()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread or process grants room meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.folder / ROOM, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not locked(fd, fcntl.LOCK_EX):
                look()
                time.sleep(_PAUSE / 10)
            yield
        finally:
            os.close(fd)


class Held:
    """An entry in use. ``folder`` is where it lies, and ``what`` it is."""

    def __init__(self, cache: Cache, folder: Path, what: str, fd: int) -> None:
        self._cache, self.folder, self.what, self._fd = cache, folder, what, fd

    async def grow(self, size: int) -> None:
        """Have ``size`` bytes more, before they are taken. Waits for others where they have to end first; see
        :meth:`Cache.grant`."""
        size += await in_thread(measure, self.folder)
        give_up = asyncio.get_running_loop().time() + WAITS
        while True:
            try:
                return await in_thread(self._cache.grant, self.folder, size, self.what)
            except NoRoom:
                if asyncio.get_running_loop().time() > give_up:
                    raise
            await asyncio.sleep(_PAUSE)

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` comes to, which writes into the entry. It is ended where there is no room: see :meth:`Cache.grant`."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=_PAUSE))[0]:
                await in_thread(self._follow)
            result = task.result()
            await in_thread(self._settle)
        except BaseException:
            task.cancel()
            await asyncio.wait({task})
            raise
        return result

    @property
    def in_use(self) -> bool:
        return self._fd >= 0

    def complete(self) -> None:
        """What lies in its folders now stays as it is, and need not be measured again. Blocks."""
        (self.folder / SIZE).write_text(str(sum(walked(path) for path in folders_of(self.folder))), "ascii")

    def move(self, target: Path) -> None:
        """Give it its name. ``OSError`` where there is one of that name."""
        self.folder.rename(target)
        self.folder = target

    def release(self) -> None:
        """Others may remove it. A second time does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.release()

    def _follow(self) -> None:
        """Keep the grant ahead of what grows."""
        had, size = granted(self.folder) or 0, measure(self.folder)
        step = min(_STEP, self._cache.limit // 32)
        if had - size >= step / 2:
            return
        try:
            self._cache.grant(self.folder, size + step, self.what)
        except (NoRoom, SourceError):
            if size > had:
                self._take(size)

    def _settle(self) -> None:
        """Let the grant be what it takes."""
        had, size = granted(self.folder) or 0, measure(self.folder)
        if size > had:
            self._take(size)
        elif had - size > _LITTLE:
            note(self.folder, size)

    def _take(self, size: int) -> None:
        try:
            self._cache.grant(self.folder, size, self.what)
        except (NoRoom, SourceError):
            note(self.folder, size)  # it lies there all the same, until somebody removes it
            raise


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise SourceError(f"{path} cannot be kept ({e}): choose a cache folder that can be written and locked") from e
