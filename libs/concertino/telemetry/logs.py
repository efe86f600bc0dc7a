"""Logs on standard error: readable on a terminal, JSON lines elsewhere. What libraries log is told in the same way.

A line that is written while something is done about a task says so by itself: whoever begins that calls :func:`about`.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from contextvars import ContextVar
from typing import Any, Literal, TextIO

import structlog
from msgspec import Struct
from structlog.typing import ExcInfo

from concertino.masking import learn_environment, masked
from concertino.telemetry import tracing
from concertino.telemetry.names import Field


def configure(service: str, level: str = "info", format_: Literal["auto", "human", "json"] = "auto") -> None:
    """Set up logging for this process. ``auto`` is human on a terminal and JSON elsewhere.

    What its environment holds that is secret is masked from now on, here and in all that it writes.
    """
    learn_environment(os.environ)
    colors = sys.stderr.isatty()
    human = _human(format_)

    def where(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        """About what, of which service, and in which span. On a terminal the service is known, and ids are long."""
        for field, value in fields().items():
            event.setdefault(field, value)
        if not human:
            event[Field.SERVICE] = service
            if trace := tracing.here():
                event[Field.TRACE], event[Field.SPAN] = trace.trace_id, trace.span_id
        return event

    def secretless(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        """Without secrets: what libraries log, and errors, may repeat what was read. The last before it is written."""
        return masked(event)

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        where,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
    ]
    last: list[Any] = (
        # The renderer's own tracebacks show local variables: what workers read, and secrets, would be in the log.
        [secretless, _harmless, structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, exception_formatter=_traceback)]
        if human
        else [structlog.processors.format_exc_info, secretless, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log by the standard module: their warnings are ours to see.
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[libraries])


def cannot_run(service: str, why: str, format_: str) -> None:
    """One line for the end of a process, in the format of its log; ``auto`` where ``format_`` is none, as that may be wrong."""
    if _human(format_):
        print(f"{service}: {why}", file=sys.stderr)  # noqa: T201  (who typed a command reads the answer to it)
    else:
        configure(service, format_="json")
        structlog.get_logger(__name__).error("cannot run", error=why)


def _human(format_: str) -> bool:
    return format_ == "human" if format_ in ("human", "json") else sys.stderr.isatty()


def _harmless(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """What libraries log may repeat what was read. (The renderer quotes values of fields, and JSON quotes everything.)"""
    event["event"] = _shown(str(event["event"]))
    return event


def _traceback(out: TextIO, raised: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, raised)
    out.write(_shown(masked(text.getvalue())))


def _shown(text: str) -> str:
    """``text`` as it can be shown on a terminal: nothing in it is a command to that, or looks like a line of the log."""
    return "".join("\n    " if c == "\n" else c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in text)


class About(Struct):
    """What is being done. It may be learnt bit by bit: whoever was started meanwhile learns it, too."""

    task: str = ""
    work: str = ""
    subtask: str = ""
    attempt: int = 0

    def fields(self) -> dict[str, str | int]:
        """What is known of it."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}


_about: ContextVar[About | None] = ContextVar("about", default=None)


def about(task: str = "") -> About:
    """From now on, in this asyncio task and what it starts, lines and spans are about what is written down in this."""
    found = About(task)
    _about.set(found)
    return found


def fields() -> dict[str, str | int]:
    """What is being done here."""
    found = _about.get()
    return found.fields() if found else {}
