"""Work in threads that ends when nobody waits for it any more.

A thread cannot be cancelled, only asked: what is done in one calls :func:`look` between two files, or wherever it waits.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from concertino.contracts.errors import Cancelled

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 0.2
"""Seconds between two looks of who waits for a lock."""

_stop: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("stop", default=None)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``function`` returns, which runs in a thread. Where the caller is cancelled, it ends at its next :func:`look`."""
    return await in_thread_of(None, function, *args, **kwargs)


async def in_thread_of(threads: Executor | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same, in one of ``threads``."""
    stop = threading.Event()

    def run() -> T:
        _stop.set(stop)
        look()
        try:
            return function(*args, **kwargs)
        except StopIteration as e:  # nothing that awaits can be told of it: it would wait for ever
            raise RuntimeError(f"raised StopIteration ({e}): next() found nothing, and had no default") from e

    try:
        return await asyncio.get_running_loop().run_in_executor(threads, contextvars.copy_context().run, run)
    except asyncio.CancelledError:
        stop.set()
        raise


def look() -> None:
    """Raises :class:`Cancelled` where nobody waits any more for what this thread is at."""
    if (stop := _stop.get()) and stop.is_set():
        raise Cancelled("nobody waits for this any more")


@contextmanager
def held(lock: threading.Lock) -> Iterator[None]:
    """``lock``, for which nobody waits who was told to go."""
    while not lock.acquire(timeout=_PATIENCE):
        look()
    try:
        yield
    finally:
        lock.release()
