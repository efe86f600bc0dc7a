"""What a command reads before it asks: the request, and a plan of the caller's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from concertino.contracts.errors import BadSetting, InvalidMessage, InvalidPlan
from concertino.contracts.messages import Plan

MAX_REQUEST = 100_000
"""Characters. More is material, and belongs into a source."""

STDIN = "@-"
"""What the entry point makes of a lone `-`, which would look like an option."""


def read_request(text: str) -> str:
    """The request: ``text`` itself, ``-`` for standard input, ``@FILE`` for a file.

    Raises :class:`InvalidMessage` where it is blank or too long, :class:`BadSetting` where it cannot be read.
    """
    if text == STDIN:
        request = _decoded(sys.stdin.buffer.read(MAX_REQUEST * 4 + 1), "standard input")
    elif text.startswith("@"):
        request = read_text(text[1:], "the request")
    else:
        request = text
    return checked(request)


def checked(request: str) -> str:
    """``request``, if it is one. Raises :class:`InvalidMessage` where it is blank or too long."""
    if not request.strip():
        raise InvalidMessage("the request is empty: say what you want to know")
    if len(request) > MAX_REQUEST:
        raise InvalidMessage(
            f"the request has {len(request):,} characters, and {MAX_REQUEST:,} is the most: "
            "put the material into a file and name it with --docs"
        )
    return request


def read_plan(path: str) -> Plan:
    """The plan in the JSON file ``path`` (``-``: standard input), in any of these forms:

    ``{"subtasks": [...], "why": ..., "synthesize": ...}``, a bare list of subtasks, the ``plan`` object of ``--json``
    (``{"rounds": [...]}``), or the whole of what ``--json`` prints. Rounds are run as one: later ones wait for what they name.
    Raises :class:`InvalidPlan`, whose text names the field, and :class:`BadSetting` where the file cannot be read.
    """
    text = _decoded(sys.stdin.buffer.read(), "standard input") if path == STDIN else read_text(path, "the plan")
    try:
        return _plan(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError) as e:  # a ValidationError is one too
        raise InvalidPlan(f"the plan {path!r} cannot be run: {e}") from e


def _plan(value: Any) -> Plan:
    if isinstance(value, list):
        value = {"subtasks": value}
    if isinstance(value, dict) and isinstance(value.get("plan"), dict):
        value = value["plan"]
    if isinstance(value, dict) and "rounds" in value:
        rounds = msgspec.convert(value["rounds"], tuple[Plan, ...])
        return Plan(
            subtasks=tuple(subtask for round_ in rounds for subtask in round_.subtasks),
            why=" ".join(round_.why for round_ in rounds if round_.why),
        )
    return msgspec.convert(value, Plan)


def read_text(path: str, what: str) -> str:
    """The text of the file at ``path``. Raises :class:`BadSetting`, which says ``what`` cannot be read."""
    try:
        return _decoded(Path(path).expanduser().read_bytes(), path)
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else str(e)
        raise BadSetting(f"{what} cannot be read from {path!r}: {reason}") from e


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise BadSetting(f"{name!r} is not UTF-8 text (byte {e.start})") from e
