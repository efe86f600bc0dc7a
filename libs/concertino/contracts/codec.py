"""Bytes to messages and back: decoded once, at the boundary, into the type that the subject or the header names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from concertino.contracts import messages as m
from concertino.contracts.errors import InvalidMessage, MessageTooLarge, UnknownSchema
from concertino.contracts.rates import Rates

M = TypeVar("M", bound=m.Message)

MAX_MESSAGE = 512 * 1024
"""Bytes in one message, headers apart. The server's own limit is higher: exceeding *that* one closes the connection."""

VERSION = 1
"""Of what this release writes. Raised when a field is added; every release reads every version."""

TYPES: Mapping[str, type[m.Message]] = {
    "submitted": m.Submitted,
    "plan": m.Planned,
    "dispatched": m.Dispatched,
    "returned": m.Returned,
    "begun": m.Begun,
    "spent": m.Spent,
    "result": m.Result,
    "synthesis": m.Synthesized,
    "checkpoint": m.Checkpoint,
    "again": m.Again,
    "cancel": m.Cancel,
    "finish": m.Finish,
    "outcome": m.Outcome,
    "halted": m.Halted,
    "work": m.Work,
    "progress": m.Progress,
    "signal": m.Signal,
    "present": m.Present,
    "look": m.Look,
    "looked": m.Looked,
    "announcement": m.Announcement,
    "ledger": m.Ledger,
    "rates": Rates,
}
"""What each schema name means; facts are named after the token in their subject."""

_NAMES: Mapping[type[m.Message], str] = {t: name for name, t in TYPES.items()}
_SCHEMAS: Mapping[type[m.Message], str] = {t: f"{name}/{VERSION}" for name, t in TYPES.items()}
_encoder = msgspec.json.Encoder()
_decoders: Mapping[type[m.Message], msgspec.json.Decoder[m.Message]] = {t: msgspec.json.Decoder(t) for t in TYPES.values()}


def schema_of(message: type[m.Message]) -> str:
    """The value of the header ``Ctn-Schema``, as ``result/1``."""
    return _SCHEMAS[message]


def encode(message: m.Message) -> bytes:
    """Compact JSON, defaults left out."""
    return _encoder.encode(message)


def decode(type_: type[M], data: bytes, schema: str | None = None) -> M:
    """``data`` as ``type_``.

    ``schema`` is the header if the writer set one; a raw writer need not. Messages only grow, so every version of the type can
    be read. Raises :class:`UnknownSchema` where the header names another type, :class:`MessageTooLarge`, and
    :class:`InvalidMessage`, whose text names the field.
    """
    name = _NAMES[type_]
    if schema is not None and schema != _SCHEMAS[type_] and not re.fullmatch(rf"{name}/\d{{1,9}}", schema):
        raise UnknownSchema(
            f"the message says it is {schema[:80]!r}, and {name}/{VERSION} belongs here: "
            f"set the header Ctn-Schema to that or leave it out"
        )
    if len(data) > MAX_MESSAGE * 64:
        raise MessageTooLarge(f"{name}: {len(data)} bytes are too many for one message")
    if not data.strip():
        raise InvalidMessage(f"{name}: the message is empty, and JSON belongs here: `concertino schema` prints its form")
    try:
        message = _decoders[type_].decode(data)
    except RecursionError as e:
        raise InvalidMessage(f"{name}: the JSON is nested too deeply") from e
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as e:
        raise InvalidMessage(f"{name}: {e} (`concertino schema` prints its form)") from e
    assert isinstance(message, type_)
    if isinstance(message, m.Submitted) and not message.request.strip():
        raise InvalidMessage("submitted: `request` is blank: say what you want to know")
    return message
