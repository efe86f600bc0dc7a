"""What others wrote may not end the process that it runs in, nor pass by whoever says what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_OURS = (Exception, asyncio.CancelledError, KeyboardInterrupt)
"""What is seen to elsewhere, or comes from who runs the process."""


@contextmanager
def exits_are_bugs() -> Iterator[None]:
    """Raises :class:`RuntimeError` in the place of what is no :class:`Exception`, such as :class:`SystemExit`, or what comes of
    a panic in a library."""
    task = _task()
    try:
        yield
    except _OURS:
        raise
    except BaseException as e:
        if isinstance(e, GeneratorExit) and _task() is not task:
            raise  # it is we who are being closed, by whoever throws us away
        raise RuntimeError(f"{type(e).__name__}: {e}") from e


def _task() -> asyncio.Task[Any] | None:
    """None in a thread without an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
