"""The part of JSON Schema that structured outputs take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

OPTIONAL = 24
"""Properties that may be left out, in the schemas of one request."""
UNIONS = 16
"""Places that take one of several types."""

_ANYWHERE = {"type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions", "description", "title", "default"}
_OF_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems"},
    "string": {"format", "pattern"},
}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}


def problem(schema: Any) -> str | None:
    """Why the API does not take ``schema``, if it does not."""
    if not isinstance(schema, dict):
        return "the schema must be an object"
    found = next(_problems(schema, "$"), None) or _bad_reference(schema, schema, ())
    if found is not None:
        return found
    optional = sum(len(s.get("properties", {}).keys() - set(s.get("required", ()))) for s in _all(schema))
    unions = sum("anyOf" in s or isinstance(s.get("type"), list) for s in _all(schema))
    if optional > OPTIONAL:
        return f"schemas contain too many optional parameters ({optional}): reduce them (limit: {OPTIONAL})"
    if unions > UNIONS:
        return f"schemas contain too many parameters with union types ({unions}): reduce them (limit: {UNIONS})"
    return None


def _problems(schema: Any, path: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"{path}: a schema must be an object"
        return
    types = _types(schema)
    allowed = _ANYWHERE.union(*(_OF_TYPE.get(type_, set()) for type_ in types))
    for keyword in sorted(schema.keys() - allowed):
        yield f"{path}: for {' or '.join(sorted(map(repr, types))) or 'this schema'}, property {keyword!r} is not supported"
    if not types & _TYPES and not schema.keys() & {"anyOf", "allOf", "$ref", "enum", "const"}:
        yield f"{path}: schema must have a 'type', 'anyOf', 'allOf', '$ref', 'enum' or 'const'"
    if "object" in types and schema.get("additionalProperties") is not False:
        yield f"{path}: for 'object' type, 'additionalProperties' must be explicitly set to false"
    if "array" in types and schema.get("minItems", 0) not in (0, 1):
        yield f"{path}: for 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if "string" in types and schema.get("format", "date") not in _FORMATS:
        yield f"{path}: for 'string' type, format {schema['format']!r} is not supported"
    for name, child in _children(schema):
        yield from _problems(child, f"{path}.{name}")


def _bad_reference(schema: dict[str, Any], root: dict[str, Any], above: tuple[str, ...]) -> str | None:
    """A reference that leads out of the schema, nowhere, or back to where it stands."""
    if (target := schema.get("$ref")) is not None:
        if not str(target).startswith("#/"):
            return f"external $ref {target!r} is not supported"
        if target in above:
            return f"recursive schemas are not supported ({target})"
        found: Any = root
        for step in target[2:].split("/"):
            found = found.get(step) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            return f"$ref {target!r} leads nowhere"
        return _bad_reference(found, root, (*above, target))
    return next((bad for _, child in _children(schema) if (bad := _bad_reference(child, root, above))), None)


def _all(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for _, child in _children(schema):
        yield from _all(child)


def _children(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("properties", "$defs", "definitions"):
        yield from schema.get(name, {}).items()
    if "items" in schema:
        yield "items", schema["items"]
    for name in ("anyOf", "allOf"):
        yield from ((f"{name}[{index}]", child) for index, child in enumerate(schema.get(name, ())))


def _types(schema: dict[str, Any]) -> set[str]:
    given = schema.get("type")
    return set(given) if isinstance(given, list) else {given} if isinstance(given, str) else set()
