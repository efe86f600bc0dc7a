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


def answer(body: Any, number: int, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """``body`` as JSON."""
    sent = {"content-type": "application/json", **_headers(number), **(headers or {})}
    return Response(status, sent, json.dumps(body).encode())


def stream(events: AsyncIterator[bytes], number: int) -> Response:
    """Server-sent events."""
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **_headers(number)}
    return Response(200, headers, events)


def error(fault: Fault, number: int) -> Response:
    """``fault`` as an error over HTTP."""
    return answer(error_body(fault, number), number, fault.status, {k.lower(): v for k, v in fault.headers.items()})


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
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": str(max(4000 - number, 0)),
        "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
        "anthropic-ratelimit-tokens-limit": "2000000",
        "anthropic-ratelimit-tokens-remaining": "2000000",
        "anthropic-ratelimit-tokens-reset": "2099-01-01T00:00:00Z",
    }
