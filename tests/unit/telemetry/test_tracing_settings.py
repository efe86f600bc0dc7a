"""The standard variables of OpenTelemetry, as far as it is we who read them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from concertino.contracts.errors import BadSetting
from concertino.telemetry.export import captured, endpoint, exporting

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
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "names no host"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:http"}, "names no host"),
        ({**ON, "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": "/nowhere/key.pem"}, "/nowhere/key.pem: there is no such file"),
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


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "max_queue_size must be a positive integer"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000", "less than or equal to max_queue_size"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "Invalid timeout value 'soon'"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "Unsupported compression type: zip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization s3cret", "OTEL_EXPORTER_OTLP_HEADERS: name=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "production", "OTEL_RESOURCE_ATTRIBUTES: 'production' is no name=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=search, live", "OTEL_RESOURCE_ATTRIBUTES: 'live' is no name=value"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "few", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
    ],
)
def test_what_the_sdk_cannot_read_is_not_replaced_in_silence(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", WHERE)
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting) as refused, exporting("docs"):
        pass
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value) + caplog.text


@pytest.mark.parametrize("said", ["team=search,", "team=search, ,", ","])
def test_a_comma_too_many_does_no_harm(said: str) -> None:
    """In a process of its own: who sends spans is set once and for all."""
    look = """
from opentelemetry import trace
from concertino.telemetry.export import exporting
with exporting("docs", flush=0):
    print(trace.get_tracer_provider().resource.attributes.get("team"))
"""
    environment = {**os.environ, **ON, "OTEL_RESOURCE_ATTRIBUTES": said}
    done = subprocess.run(
        [sys.executable, "-c", look], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "search" if "team" in said else "None", "")


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
