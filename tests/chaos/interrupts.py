"""Ending in order when somebody wants it to end."""

from __future__ import annotations

import asyncio
import signal

_ENDING = (signal.SIGINT, signal.SIGTERM)


def interruptible() -> None:
    """Let Ctrl-C and SIGTERM end what the current task does, in order. They are heard once: that is not broken off."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def interrupt() -> None:
        for sent in _ENDING:
            loop.add_signal_handler(sent, lambda: None)
        task.cancel()

    for sent in _ENDING:
        loop.add_signal_handler(sent, interrupt)
