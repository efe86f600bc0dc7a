"""What is written into the log may repeat what a site or a caller said: it commands no terminal, and forges no line."""

from __future__ import annotations

import json
import subprocess
import sys

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
    done = subprocess.run([sys.executable, "-c", SAY, format_], capture_output=True, timeout=60, check=True)
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
