"""What others wrote may not end the process that it runs in, nor pass by whoever says what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

_OURS = (Exception, asyncio.CancelledError, KeyboardInterrupt)
"""What is seen to elsewhere, or comes from who runs the process."""


class exits_are_bugs:  # noqa: N801  (it is used as a function, and is a class to cost little)
    """Raises :class:`RuntimeError` in the place of what is no :class:`Exception`, such as :class:`SystemExit`, or what comes of
    a panic in a library. Who knows the ``task`` in which this is done may say so: to ask for it costs a call of the system."""

    def __init__(self, task: asyncio.Task[Any] | None = None) -> None:
        self._task = task or _task()

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, _OURS):
            return
        if isinstance(error, GeneratorExit) and _task() is not self._task:
            return  # it is we who are being closed, by whoever throws us away
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _task() -> asyncio.Task[Any] | None:
    """None in a thread without an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
