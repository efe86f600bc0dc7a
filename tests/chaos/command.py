"""What both commands need: to end in order when somebody wants that, and a terminal for their own words alone."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import structlog

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


def log_into(folder: Path) -> None:
    """What is logged in this process, as of connections that break, goes into a file there."""
    structlog.configure(logger_factory=structlog.WriteLoggerFactory((folder / "command.log").open("a", buffering=1)))
