"""What is written into the log may repeat what a site or a caller said: it commands no terminal, and forges no line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from concertino.runtime.settings import MISCONFIGURED

SAY = r"""
import logging, sys
import structlog
from concertino.telemetry import logs

logs.configure("web", "info", sys.argv[1])
evil = "read \x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\n12:00:00 [info     ] ready"
log = structlog.get_logger("x")
log.warning("trying again", error=evil)
logging.getLogger("library").warning("it said: %s", evil)
try:
    raise ValueError(evil)
except ValueError:
    log.exception("the handler failed")
"""


def said(format_: str) -> str:
    done = subprocess.run([sys.executable, "-c", SAY, format_], capture_output=True, timeout=200, check=True)
    return done.stderr.decode()


def test_for_people_it_is_shown_and_does_nothing() -> None:
    shown = said("human")
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert shown.count("\\x1b[2J") == 3
    own = [line for line in shown.splitlines() if line and not line.startswith(" ")]
    assert [line[8:].split("]")[0].split("[")[1].strip() for line in own] == ["warning", "warning", "error"], shown
    assert "ValueError: read" in shown


def test_for_machines_each_is_one_line() -> None:
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [line["event"].partition(":")[0] for line in lines] == ["trying again", "it said", "the handler failed"]
    assert "\x1b[2J" in lines[2]["exception"]


SERVICE = """
from concertino.worker import Worker
worker = Worker("web", "Reads.")
worker.handle(lambda brief, context: None)
worker.run()
"""
WRONG = {"CTN_LEASE": "soon"}
ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def ended(*command: str, **environment: str) -> tuple[int, str]:
    """Exit status and standard error of a process that cannot start. (That is no terminal.)"""
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=200, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("format_", ["json", "auto"])
@pytest.mark.parametrize(
    ("command", "environment", "status", "said"),
    [
        (("-c", SERVICE), WRONG, MISCONFIGURED, "CTN_LEASE"),
        (("-c", SERVICE), {**ON, "OTEL_TRACES_EXPORTER": "zipkin"}, MISCONFIGURED, "OTEL_TRACES_EXPORTER=zipkin"),
        (("-m", "concertino.runtime.provision"), {"CTN_CONFIG": "/nowhere.toml"}, 1, "CTN_CONFIG: /nowhere.toml"),
    ],
)
def test_why_a_service_cannot_run_is_a_line_of_its_log(
    command: tuple[str, ...], environment: dict[str, str], status: int, said: str, format_: str
) -> None:
    found, error = ended(*command, **environment, CTN_LOG_FORMAT=format_)
    line = json.loads(error)
    assert (found, line["level"], line["event"], said in line["error"]) == (status, "error", "cannot run", True), error
    assert line["service"] == ("provision" if "provision" in command[-1] else "web")


def test_where_the_format_itself_is_wrong_it_is_as_without() -> None:
    found, error = ended("-c", SERVICE, CTN_LOG_FORMAT="xml")
    assert (found, json.loads(error)["error"].partition(":")[0]) == (MISCONFIGURED, "CTN_LOG_FORMAT")


def test_for_people_why_a_service_cannot_run_is_a_sentence() -> None:
    found, error = ended("-c", SERVICE, **WRONG, CTN_LOG_FORMAT="human")
    assert (found, error.partition(": ")[0], error.count("\n")) == (MISCONFIGURED, "web", 1), error
