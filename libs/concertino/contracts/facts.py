"""A fact: one message of a task's log, decoded. What cannot be decoded is a fact too, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from concertino.contracts.codec import TYPES, decode
from concertino.contracts.errors import ConcertinoError, InvalidMessage
from concertino.contracts.messages import (
    Cancel,
    Dispatched,
    Failure,
    Finish,
    Halted,
    Message,
    Outcome,
    OutcomeStatus,
    Planned,
    Result,
    ResultStatus,
    Synthesized,
)
from concertino.contracts.subjects import FactName, Header
from concertino.contracts.trace import NO_TRACE, Trace, trace_of

_LONGEST = 2_000
"""Characters of an error's text."""


class Unreadable(Struct, frozen=True):
    """In place of a message: somebody wrote what this release cannot read, or what only the server may write."""

    error: Failure


class Fact(Struct, frozen=True):
    """``message`` is None for facts that say all by being there (timers). ``time`` is when the server stored it, ``trace`` the
    span that wrote it."""

    name: FactName
    message: Message | Unreadable | None
    sequence: int
    time: float
    trace: Trace = NO_TRACE


def failure(error: BaseException) -> Failure:
    """``error`` as it goes over the wire: its text is for people, so what is too long to read is cut."""
    if isinstance(error, ConcertinoError):
        return Failure(code=error.code, message=_cut(str(error)), retryable=error.retryable)
    return Failure(code="bug", message=_cut(f"{type(error).__name__}: {error}"))


def storable(text: str) -> str:
    """``text`` as a message can hold it: half a character is none, as in names of files that are no UTF-8. Two halves that
    belong together, which came one after the other, are one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return joined.encode("utf-8", "replace").decode()
    return text


def storable_in(value: Any) -> Any:
    """``value`` (strings, lists and dicts) with every string in it :func:`storable`."""
    match value:
        case str():
            return storable(value)
        case list():
            return [storable_in(one) for one in value]
        case dict():
            return {storable_in(key): storable_in(one) for key, one in value.items()}
    return value


def _cut(text: str) -> str:
    text = storable(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text)} characters)"


def read_fact(name: FactName, data: bytes, headers: Mapping[str, str], sequence: int, time: float) -> Fact:
    """The fact in ``data``.

    What cannot be read holds its place in the log all the same, as nothing else can be written there. A result, plan or
    synthesis counts as failed, so that the task goes on without it; what says that a task is to end, or has ended, counts
    whatever it says; a wave counts as one without work. Only a task that cannot be read, and a timer that is none, stay
    :class:`Unreadable`.
    """
    type_ = TYPES.get(name.type)
    if type_ is None:
        # A timer that the server does not hold will never go off: it does not count, and is set again.
        held = name.type != "timer" or Header.SCHEDULE in headers
        unset = Unreadable(Failure(code=InvalidMessage.code, message=f"{name}: the header {Header.SCHEDULE} is missing"))
        return Fact(name, None if held else unset, sequence, time)
    try:
        return Fact(name, decode(type_, data, headers.get(Header.SCHEMA)), sequence, time, trace_of(headers))
    except ConcertinoError as e:
        return unreadable_fact(name, e, headers, sequence, time)


def unreadable_fact(name: FactName, error: ConcertinoError, headers: Mapping[str, str], sequence: int, time: float) -> Fact:
    """What counts in the place of a fact that cannot be read, because of ``error``."""
    return Fact(name, _in_place_of(TYPES.get(name.type), failure(error)), sequence, time, trace_of(headers))


def _in_place_of(type_: type[Message] | None, error: Failure) -> Message | Unreadable:
    if type_ is Cancel:
        return Cancel()
    if type_ is Finish:
        return Finish()
    if type_ is Halted:
        return Halted()
    if type_ is Dispatched:
        return Dispatched(work=())
    if type_ is Outcome:
        return Outcome(status=OutcomeStatus.FAILED, reason=f"the outcome in the log cannot be read: {error.message}")
    for settled in (Planned, Result, Synthesized):
        if type_ is settled:
            return settled(status=ResultStatus.FAILED, error=error)
    return Unreadable(error)
