"""Logs on standard error: readable on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog


def configure(service: str, level: str = "info", format_: Literal["auto", "human", "json"] = "auto") -> None:
    """Set up logging for this process. ``auto`` is human on a terminal and JSON elsewhere."""
    colors = sys.stderr.isatty()
    human = colors if format_ == "auto" else format_ == "human"
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
    ]
    last: list[Any] = (
        # The renderer's own tracebacks show local variables: what workers read, and secrets, would be in the log.
        [structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)]
        if human
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    if not human:
        structlog.contextvars.bind_contextvars(service=service)
    # Libraries log by the standard module: their warnings are ours to see.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
