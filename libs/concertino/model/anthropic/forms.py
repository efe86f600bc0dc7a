"""Structured outputs: the schema of a struct as the API takes it, and the struct in what the model answered."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import anthropic
import msgspec
from anthropic.types.beta import BetaMessage

from concertino.model.port import Claim, Findings

T = TypeVar("T")


def form_of(form: type[T]) -> dict[str, Any]:
    """``output_config.format`` for the struct ``form``. Every field is asked for; what else the API does not take (ranges,
    lengths) stands in the descriptions."""
    (reference,), components = msgspec.json.schema_components([form])
    root = _filled(components.pop(reference["$ref"].rpartition("/")[2]))
    if components:
        root["$defs"] = {name: _filled(component) for name, component in components.items()}
    return {"type": "json_schema", "schema": anthropic.transform_schema(root)}


def _filled(schema: Any) -> Any:
    """``schema`` without defaults, and with every property required, so that nothing is left to be guessed."""
    if isinstance(schema, list):
        return [_filled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    filled = {name: _filled(value) for name, value in schema.items() if name not in ("default", "properties")}
    if "properties" in schema:
        filled["properties"] = {name: _filled(value) for name, value in schema["properties"].items()}
        filled["required"] = list(schema["properties"])
    return filled


def text_of(message: BetaMessage) -> str:
    """What ``message`` says, without thoughts and calls."""
    return "".join(block.text for block in message.content if block.type == "text")


def decoded(form: type[T], text: str) -> T:
    """The struct in ``text``. Raises :class:`msgspec.ValidationError`, or :class:`msgspec.DecodeError` for what is no JSON.
    Nothing that is said around it counts."""
    start, end = text.find("{"), text.rfind("}") + 1
    return msgspec.json.decode(text[start:end] if 0 <= start < end else text, type=form)


def salvaged(text: str) -> Findings | None:
    """The findings that are whole in an answer that was cut off, or is not all in the form; None where there are none."""
    start = text.find("[", text.find('"claims"') + 1) + 1
    claims: list[Claim] = []
    reader = json.JSONDecoder()
    while start:
        start += len(text[start:]) - len(text[start:].lstrip(" \r\n\t,"))
        try:
            found, start = reader.raw_decode(text, start)
            claims.append(msgspec.convert(found, Claim))
        except msgspec.ValidationError:
            continue  # one that is not in the form; the next may be
        except ValueError:
            break
    return Findings(tuple(claims), _gaps(text)) if claims else None


def _gaps(text: str) -> tuple[str, ...]:
    """The gaps in an answer that is whole."""
    try:
        said = decoded(dict, text).get("gaps")
    except msgspec.DecodeError:
        return ()
    return tuple(gap for gap in said if isinstance(gap, str)) if isinstance(said, list) else ()
