"""Sends this process's spans to a collector, where the standard variables of OpenTelemetry name one.

Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``..._TRACES_ENDPOINT``) is set: then nothing of OpenTelemetry is loaded. All
other variables (headers, sampler, resource, batches) mean what they mean everywhere, and are read by OpenTelemetry's own SDK.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from concertino.contracts.errors import BadSetting

FLUSH = 5.0
"""Seconds that a process which leaves gives the collector to take the last spans."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SAMPLERS = ("always_on", "always_off", "traceidratio")
_FILES = tuple(
    f"OTEL_EXPORTER_OTLP_{signal}{file}"
    for signal in ("TRACES_", "")
    for file in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
)
_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def endpoint(environment: Mapping[str, str]) -> str:
    """Where spans are to go; empty where they are not wanted. Raises :class:`BadSetting` for what cannot be done."""
    name = next((name for name in _ENDPOINTS if environment.get(name, "").strip()), "")
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if not name or exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    if exporter != "otlp":
        raise BadSetting(f"OTEL_TRACES_EXPORTER={exporter}: spans are sent by otlp alone; none switches them off")
    for protocol in _PROTOCOLS:
        if environment.get(protocol, "").strip() not in ("", "http/protobuf"):
            raise BadSetting(f"{protocol}={environment[protocol]}: spans are sent by http/protobuf (port 4318 of a collector)")
    where = environment[name].strip()
    if not where.startswith(("http://", "https://")):
        raise BadSetting(f"{name}={where}: it begins with http:// or https://, as in http://collector:4318")
    if not _has_a_host(where):
        raise BadSetting(f"{name}={where}: it names no host and port, as http://collector:4318 does")
    for file in _FILES:
        if (path := environment.get(file, "").strip()) and not Path(path).is_file():
            raise BadSetting(f"{file}={path}: there is no such file")
    _check_sampler(environment)
    _check_resource(environment)
    return where


def captured(environment: Mapping[str, str]) -> bool:
    """Whether spans of model calls and tools are to hold what was asked and answered. Raises :class:`BadSetting`."""
    match environment.get(_CAPTURE, "").strip().lower():
        case "true" | "span_only" | "span_and_event":
            return True
        case "" | "false" | "no_content" | "event_only":
            return False
        case other:
            raise BadSetting(f"{_CAPTURE}={other}: true or false")


@contextmanager
def exporting(service: str, flush: float = FLUSH) -> Iterator[None]:
    """Spans of this process go to the collector while this lasts, and what is left of them within ``flush`` seconds.

    A collector that is slow or away costs spans, and nobody's time: they are sent by a thread of their own, from a queue of
    bounded length. Raises :class:`BadSetting`.
    """
    captured(os.environ)  # where that cannot be read, it is said before there is any work
    if not endpoint(os.environ):
        yield
        return
    stop = _start(service)
    try:
        yield
    finally:
        # By the clock of whoever leaves: the SDK would wait for a collector that is away as long as it likes.
        last = threading.Thread(target=stop, daemon=True)
        last.start()
        last.join(flush)


def _start(service: str) -> Callable[[], None]:
    """The SDK, as the environment configures it."""
    try:
        with _settled():  # some variables are read where the SDK is imported
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            from concertino.telemetry.stamp import Stamp
            from concertino.telemetry.veil import Veil
    except ImportError as e:
        raise BadSetting(
            f"an endpoint for traces is set, and what sends them is not installed ({e}): "
            'pip install "concertino[otel]", or unset OTEL_EXPORTER_OTLP_ENDPOINT'
        ) from e
    own = {
        "service.name": f"concertino-{service}",
        "service.namespace": "concertino",
        "service.version": version("concertino"),
        "service.instance.id": f"{socket.gethostname().split('.')[0]}-{os.getpid()}-{secrets.token_hex(2)}",
    }
    with _settled():
        resource = Resource.create({**own, **OTELResourceDetector().detect().attributes})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(Stamp())
        provider.add_span_processor(BatchSpanProcessor(Veil(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    return provider.shutdown


class _Complaints(logging.Handler):
    """What the SDK says of its variables, as often as it reads them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "opentelemetry.sdk.trace.sampling":
            return  # that is checked here, and its defaults are as they should be
        if record.name == "opentelemetry.sdk.resources" and "attribute pair" in str(record.msg):
            return  # so is that: what is left is a comma too many
        headers = record.name == "opentelemetry.util.re"  # they are secrets, and the SDK says them whole
        said = "OTEL_EXPORTER_OTLP_HEADERS: name=value, with commas between several" if headers else record.getMessage()
        self.said[" ".join(said.split())] = None


@contextmanager
def _settled() -> Iterator[None]:
    """Around what reads variables of OpenTelemetry: the SDK would log what it cannot read, and go on with a default."""
    sdk, complaints = logging.getLogger("opentelemetry"), _Complaints()
    propagated, sdk.propagate = sdk.propagate, False
    sdk.addHandler(complaints)
    try:
        yield
    except ValueError as e:
        raise BadSetting(f"the OTEL_ variables cannot be used: {e}") from e
    finally:
        sdk.removeHandler(complaints)
        sdk.propagate = propagated
    if complaints.said:
        raise BadSetting(f"the OTEL_ variables cannot be read: {'; '.join(complaints.said)}")


def _has_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_sampler(environment: Mapping[str, str]) -> None:
    """The SDK would take another sampler in silence, and a bill or a missing trace would tell."""
    name = environment.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if not name:
        return
    if name.removeprefix("parentbased_") not in _SAMPLERS:
        known = ", ".join(f"parentbased_{sampler}" for sampler in _SAMPLERS)
        raise BadSetting(f"OTEL_TRACES_SAMPLER={name}: use one of {known}")
    share = environment.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    if name.endswith("traceidratio") and share:
        try:
            fits = 0 <= float(share) <= 1
        except ValueError:
            fits = False
        if not fits:
            raise BadSetting(f"OTEL_TRACES_SAMPLER_ARG={share}: a share between 0 and 1, as 0.1")


def _check_resource(environment: Mapping[str, str]) -> None:
    """The SDK would not name the variable, and complain of a comma at the end."""
    for pair in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        if pair.strip() and not pair.partition("=")[1]:
            raise BadSetting(f"OTEL_RESOURCE_ATTRIBUTES: {pair.strip()!r} is no name=value; several have commas between them")
