"""What a call asks, told from what it is asked of, and its answer as it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from anthropic.types.beta import BetaMessage
from msgspec import Struct

from concertino.contracts import errors
from concertino.contracts.errors import ConcertinoError, Unusable
from concertino.contracts.messages import Failure

THOUGHTS = ("thinking", "redacted_thinking")


class Question(Struct, frozen=True):
    """``request``, made for ``model``. ``key`` says what it asks."""

    model: str
    request: Mapping[str, Any]
    key: str

    @property
    def room(self) -> int:
        """Tokens that its answer is to have."""
        room: int = self.request["max_tokens"]
        return room


class Said(Struct, frozen=True):
    """A message of ``model`` as it is kept."""

    model: str
    message: dict[str, Any]

    def read(self) -> BetaMessage:
        """The message as it came."""
        return BetaMessage.construct(**self.message)


def question(model: str, request: Mapping[str, Any]) -> Question:
    """``request`` to ``model``, and what it asks whichever model: prompt, conversation and form.

    What a model thought is not in it, as no other is told; nor are the tools, which may come and go while a service restarts.
    """
    asked = {
        "system": request.get("system"),
        "messages": [turn for turn in map(_without_thoughts, request["messages"]) if turn["content"]],
        "form": request.get("output_config", {}).get("format"),
        "room": request["max_tokens"],
        "choice": request.get("tool_choice"),
    }
    encoded = msgspec.json.encode(asked, enc_hook=str, order="deterministic")
    return Question(model, request, hashlib.sha256(encoded).hexdigest())


def said(model: str, message: BetaMessage) -> dict[str, Any]:
    """``message`` to be kept."""
    built: dict[str, Any] = msgspec.to_builtins(Said(model, message.to_dict(mode="json", warnings=False)))
    return built


def error_of(failure: Failure) -> ConcertinoError:
    """The error that ``failure`` tells of."""
    types = [type_ for type_ in vars(errors).values() if isinstance(type_, type) and issubclass(type_, ConcertinoError)]
    return next((type_ for type_ in types if type_.code == failure.code), Unusable)(failure.message)


def _without_thoughts(turn: Mapping[str, Any]) -> dict[str, Any]:
    content = turn["content"]
    if isinstance(content, list):
        content = [block for block in content if block["type"] not in THOUGHTS]
    return {"role": turn["role"], "content": content}
