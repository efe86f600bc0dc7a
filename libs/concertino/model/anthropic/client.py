"""The connection to the API, as this process's environment describes it."""

from __future__ import annotations

from collections.abc import Mapping

import anthropic
import httpx2
from opentelemetry.trace import TracerProvider, get_tracer_provider

from concertino.model.anthropic.spans import ModelCalls
from concertino.telemetry.export import captured

_CONNECT = 10.0


def connect(environment: Mapping[str, str], *, stall: float, traces: TracerProvider | None = None) -> anthropic.AsyncAnthropic:
    """A client of the API; nothing is sent yet. ``traces`` takes the SDK's spans: unset, the process's own provider.

    The SDK's spans of calls carry models, tokens and how a call ended. What was asked and answered is in them only where the
    one variable says so that says it for all our spans. The SDK's other spans would say again what ours do, and the ids of our
    traces stay with us. It does not retry: :mod:`concertino.model.anthropic.calls` does, within the time that there is, and
    counts every call.
    """
    key = environment.get("ANTHROPIC_API_KEY") or None
    return anthropic.AsyncAnthropic(
        api_key=key,
        auth_token=None if key else environment.get("ANTHROPIC_AUTH_TOKEN") or None,
        base_url=environment.get("ANTHROPIC_BASE_URL") or None,
        max_retries=0,
        timeout=httpx2.Timeout(stall, connect=_CONNECT),
        open_telemetry={
            "propagation": False,
            "traces": {"content_mode": "content" if captured(environment) else "metadata_only"},
            "tracer_provider": ModelCalls(traces or get_tracer_provider()),
        },
    )
