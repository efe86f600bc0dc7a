"""Answers as the API puts them on the wire: its headers, its errors, its streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from concertino.testing.http import Response
from concertino.testing.replies import Fault

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""What the API says with a status; with any other that it is its own fault."""


def answer(body: Any, number: int, limits: Mapping[str, str], status: int = 200) -> Response:
    """``body`` as JSON. ``limits`` are the headers that say what is left of the rate limits."""
    return Response(status, {"content-type": "application/json", **_headers(number), **limits}, json.dumps(body).encode())


def stream(events: AsyncIterator[bytes], number: int, limits: Mapping[str, str]) -> Response:
    """Server-sent events."""
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **_headers(number), **limits}
    return Response(200, headers, events)


def error(fault: Fault, number: int, limits: Mapping[str, str]) -> Response:
    """``fault`` as an error over HTTP. Its own headers come before those of ``limits``."""
    own = {name.lower(): value for name, value in fault.headers.items()}
    return answer(error_body(fault, number), number, {**limits, **own}, fault.status)


def error_body(fault: Fault, number: int) -> dict[str, Any]:
    """``fault`` as it stands in a response or in an event."""
    type_ = fault.type or _TYPES.get(fault.status, "api_error")
    said: dict[str, Any] = {
        "type": type_,
        "message": fault.message or type_.removesuffix("_error").replace("_", " ").capitalize(),
    }
    if fault.details:
        said["details"] = dict(fault.details)
    return {"type": "error", "error": said, "request_id": _request_id(number)}


def _request_id(number: int) -> str:
    return f"req_{number:024}"


def _headers(number: int) -> dict[str, str]:
    return {
        "request-id": _request_id(number),
        "anthropic-organization-id": "org_test",
    }
