"""The standard variables of OpenTelemetry, as far as it is we who read them."""

from __future__ import annotations

import pytest

from concertino.contracts.errors import BadSetting
from concertino.telemetry.export import captured, endpoint

WHERE = "http://collector:4318"
ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": WHERE}


@pytest.mark.parametrize(
    "environment",
    [
        ON,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": WHERE},
        {**ON, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SDK_DISABLED": "false"},
        {**ON, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
        {**ON, "OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "whatever"},
    ],
)
def test_it_is_on_where_an_endpoint_is_named(environment: dict[str, str]) -> None:
    assert endpoint(environment) == WHERE


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {**ON, "OTEL_SDK_DISABLED": "TRUE"},
        {**ON, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_SAMPLER": "nonsense", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_it_is_off(environment: dict[str, str]) -> None:
    assert endpoint(environment) == ""


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "begins with http"),
        ({**ON, "OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER=console"),
        ({**ON, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"),
        ({**ON, "OTEL_TRACES_SAMPLER": "jaeger_remote"}, "parentbased_traceidratio"),
        ({**ON, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"}, "between 0 and 1"),
        ({**ON, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_done_is_said(environment: dict[str, str], named: str) -> None:
    with pytest.raises(BadSetting, match=named):
        endpoint(environment)


CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.mark.parametrize(
    ("said", "wanted"), [("", False), ("False", False), ("NO_CONTENT", False), ("true", True), ("SPAN_ONLY", True)]
)
def test_content_is_in_spans_only_where_it_is_asked_for(said: str, wanted: bool) -> None:
    assert captured({CAPTURE: said}) is wanted
    assert captured({}) is False


def test_what_nobody_can_mean_captures_nothing() -> None:
    with pytest.raises(BadSetting, match="CAPTURE_MESSAGE_CONTENT=yes"):
        captured({CAPTURE: "yes"})
