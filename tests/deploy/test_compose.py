"""The installation on one machine: as it is written, and started as it is, on stand-ins for what cannot be pulled here."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import engine
import jsonschema
import pytest
import yaml
from tests.kit.ports import free_port

FILE = engine.ROOT / "deploy" / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
VERSION = tomllib.loads((engine.ROOT / "pyproject.toml").read_text())["project"]["version"]
WHO = {"concertino-orchestrator", "concertino-docs"}
"""Whom one trace shows, among others."""
STARTED = ("nats", "provision", "orchestrator", "synthesizer", "docs", "prometheus", "jaeger")


def no_compose() -> str:
    """Why ``docker compose`` cannot be asked; empty where it can."""
    if shutil.which("docker") is None:
        return "needs the program docker"
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=30, check=False)
    return "needs the plugin compose of docker" if done.returncode else ""


needs_compose = pytest.mark.skipif(bool(no_compose()), reason=no_compose())


def test_the_file_is_what_the_specification_says() -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_every_service_is_there_with_its_image() -> None:
    made = re.search(r"^SERVICES \?= (.*)$", (engine.ROOT / "Makefile").read_text(), re.MULTILINE)
    assert made
    assert {service["build"]["args"]["SERVICE"] for service in OURS.values()} == set(made[1].split()) - {"worker"}
    for name, service in OURS.items():
        kind = service["build"]["args"]["SERVICE"]
        assert kind == name or name == "provision"
        assert service["image"] == f"${{IMAGES:-concertino}}-{kind}:${{TAG:-{VERSION}}}"
        assert (FILE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for service in SERVICES.values():
        assert re.search(r":[^:]*\d", service["image"]), "a tag that does not move"


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_may_do_more_than_it_has_to(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert not {"privileged", "cap_add", "user", "network_mode", "pid"} & set(service)
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")
    for volume in service.get("volumes", ()):
        source = volume.rpartition(":")[0] if volume.endswith(":ro") else volume
        assert volume.endswith(":ro") or source.partition(":")[0] in COMPOSE["volumes"]


def test_it_has_a_health_check_or_says_why_not() -> None:
    """Ours have one in the image."""
    without = {name for name, service in SERVICES.items() if "healthcheck" not in service} - set(OURS)
    assert without == {"jaeger"}


def test_the_server_is_the_charts() -> None:
    values = yaml.safe_load((engine.ROOT / "helm" / "concertino" / "values.yaml").read_text(encoding="utf-8"))
    assert SERVICES["nats"]["image"] == f"nats:{values['nats']['container']['image']['tag']}"


def test_what_is_mounted_is_there_and_fits_together() -> None:
    mounted = {}
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            if volume.startswith("."):
                source, target, _ = volume.split(":")
                mounted[target] = (FILE.parent / source).resolve(strict=True)
    prometheus = yaml.safe_load(mounted["/etc/prometheus/prometheus.yaml"].read_text())
    assert all(path in mounted for path in prometheus["rule_files"])
    [scraped] = prometheus["scrape_configs"]
    [found] = scraped["dns_sd_configs"]
    assert set(found["names"]) == set(OURS) - {"provision"}
    assert found["port"] == 9464
    [provider] = yaml.safe_load(mounted["/etc/grafana/provisioning/dashboards/concertino.yaml"].read_text())["providers"]
    assert any(mounted[provider["options"]["path"]].glob("*.json"))
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (mounted[str(home.parent)] / home.name).is_file()
    sources = yaml.safe_load(mounted["/etc/grafana/provisioning/datasources/concertino.yaml"].read_text())["datasources"]
    assert {re.sub(r"^http://(\w+):\d+$", r"\1", source["url"]) for source in sources} == {"prometheus", "jaeger"}
    tomllib.loads(mounted["/etc/concertino/concertino.toml"].read_text())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of the package prometheus")
def test_prometheus_takes_its_configuration() -> None:
    engine.run(["promtool", "check", "config", "--syntax-only", str(FILE.parent / "compose" / "prometheus.yaml")])


@needs_compose
def test_compose_reads_it_and_hands_on_what_is_set(tmp_path: Path) -> None:
    def services(env: dict[str, str]) -> dict[str, Any]:
        said = engine.run(["docker", "compose", "-f", str(FILE), "config", "--format", "json"], env, tmp_path)
        return dict(json.loads(said)["services"])

    plain, told = (
        services({}),
        services({"ANTHROPIC_API_KEY": "sk-x", "SOURCES": "/srv/a", "TAG": "7", "IMAGES": "r.example/c"}),
    )
    for name in OURS:
        assert plain[name]["environment"]["ANTHROPIC_API_KEY"] is None
        assert told[name]["environment"]["ANTHROPIC_API_KEY"] == "sk-x"
    assert "ANTHROPIC_API_KEY" not in {**told["grafana"]["environment"], **told["jaeger"]["environment"]}
    for name in ("docs", "code", "general"):
        assert told[name]["environment"]["CTN_SOURCE_ROOTS"] == "/srv/a:/usr/share/doc/concertino"
        assert ("/srv/a", "/srv/a", True) in {(v["source"], v["target"], v.get("read_only")) for v in told[name]["volumes"]}
        assert str(tmp_path) in {volume["source"] for volume in plain[name]["volumes"]}
    assert told["docs"]["image"] == "r.example/c-docs:7"
    assert "TAVILY_API_KEY" in told["general"]["environment"]


PROMETHEUS = """ARG BASE
FROM ${BASE}
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends prometheus wget >/dev/null \\
    && install --directory --owner 65534 --group 65534 /prometheus
USER 65534:65534
ENTRYPOINT ["prometheus"]
"""

# What Jaeger is to the services: it takes spans by OTLP over HTTP. What came, it says on the port of Jaeger's pages.
COLLECTOR = r"""
import gzip, json, os, signal, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

spans = []
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

class Take(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(a.value.string_value for a in part.resource.attributes if a.key == "service.name")
            spans.extend([service, span.trace_id.hex()] for scope in part.scope_spans for span in scope.spans)
        self.answer(b"")

    def do_GET(self):
        self.answer(json.dumps(spans).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

threading.Thread(target=ThreadingHTTPServer(("", 16686), Take).serve_forever, daemon=True).start()
ThreadingHTTPServer(("", 4318), Take).serve_forever()
"""


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """A second file, with images of what is made here. Nothing else is changed."""
    for service in OURS.keys() & set(STARTED) - {"provision"}:
        engine.built(service)
    made = tmp_path / "prometheus"
    made.mkdir()
    (made / "Dockerfile").write_text(PROMETHEUS)
    prometheus = engine.build("concertino-stand-in-prometheus:tested", made, "--build-arg", f"BASE={engine.base()}")
    images: dict[str, Any] = {
        "nats": {"image": engine.nats_image()},
        "prometheus": {"image": prometheus},
        "jaeger": {
            "image": engine.built("docs"),
            "command": ["python", "-c", COLLECTOR],
            "healthcheck": {"test": ["CMD", "python", "-c", "import socket; socket.create_connection(('127.0.0.1', 4318))"]},
        },
    }
    file = tmp_path / "stand-ins.yaml"
    file.write_text(yaml.safe_dump({"services": images}))
    return file


@pytest.fixture
def ports() -> dict[str, str]:
    return {name: str(free_port()) for name in ("NATS_PORT", "PROMETHEUS_PORT", "JAEGER_PORT", "OTLP_PORT", "GRAFANA_PORT")}


@pytest.fixture
def compose(stand_ins: Path, ports: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The command, in a project of its own. All of it is gone in the end, volumes too."""
    sources = tmp_path / "sources"
    sources.mkdir()
    sources.chmod(0o755)
    named = {"COMPOSE_PROJECT_NAME": f"concertino-{os.getpid()}", "TAG": engine.TAG, "SOURCES": str(sources), **ports}
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    command = ["docker", "compose", "-f", str(FILE), "-f", str(stand_ins)]
    try:
        yield command
    finally:
        print(
            subprocess.run([*command, "logs", "--tail", "50"], capture_output=True, text=True, timeout=60, check=False).stdout
        )
        subprocess.run([*command, "down", "--volumes", "--timeout", "20"], capture_output=True, timeout=120, check=True)


@needs_compose
@pytest.mark.skipif(bool(engine.missing()), reason=engine.missing())
@pytest.mark.timeout(1200)
async def test_it_starts_answers_and_is_watched(compose: list[str], ports: dict[str, str], tmp_path: Path) -> None:
    engine.run([*compose, "up", "--no-build", "--wait", "--wait-timeout", "180", *STARTED])
    handbook = tmp_path / "sources" / "handbook.md"
    handbook.write_text("# The relay\n\nThe relay waits 30 seconds before each retry.\n")
    bus = f"nats://127.0.0.1:{ports['NATS_PORT']}"
    asked = [sys.executable, "-m", "concertino.cli", "ask", "How long does the relay wait before a retry?"]
    said = engine.run([*asked, "--docs", str(handbook.parent), "--nats", bus, "--json"])
    outcome = json.loads(said)
    assert outcome["status"] == "answered"
    assert "30 seconds" in outcome["report"]["text"]

    prometheus = f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}/api/v1"
    up = 'up{job="concertino", namespace="compose"} == 1'
    async with asyncio.timeout(60):
        while services(prometheus, up) != {"orchestrator", "synthesizer", "docs"}:
            await asyncio.sleep(0.5)
        while not services(prometheus, 'concertino_tasks_total{outcome="answered"} > 0'):
            await asyncio.sleep(0.5)
    groups = fetched(f"{prometheus}/rules")["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    assert sum(len(group["rules"]) for group in groups) > 5

    async with asyncio.timeout(30):
        while not any({name for name, trace in spans(ports) if trace == one} >= WHO for _, one in spans(ports)):
            await asyncio.sleep(0.5)

    # What is stored outlives the containers.
    engine.run([*compose, "down", "--timeout", "20"])
    engine.run([*compose, "up", "--no-build", "--wait", "--wait-timeout", "180", *STARTED])
    shown = engine.run([sys.executable, "-m", "concertino.cli", "show", outcome["task"], "--nats", bus, "--json"])
    assert json.loads(shown)["report"] == outcome["report"]


def fetched(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def services(prometheus: str, query: str) -> set[str]:
    """Which of our services the series are of that ``query`` finds."""
    found = fetched(f"{prometheus}/query?{urlencode({'query': query})}")["data"]["result"]
    return {series["metric"]["service"] for series in found}


def spans(ports: dict[str, str]) -> list[tuple[str, str]]:
    """Service and trace of each span that came."""
    return [(service, trace) for service, trace in fetched(f"http://127.0.0.1:{ports['JAEGER_PORT']}/")]
