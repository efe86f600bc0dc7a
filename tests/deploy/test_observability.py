"""What operators look at is what the code says: dashboards as generated, alerts that fire when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from deploy.dashboards.__main__ import FOLDER, text
from deploy.dashboards.boards import BOARDS

from concertino.telemetry import metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "helm" / "concertino" / "rules.yaml"
_SECTION = re.compile(r"^### (.+?)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
_METRIC = re.compile(r"\bconcertino_[a-z_]+")

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of the package prometheus")


def known() -> set[str]:
    """Names of series that services expose."""
    found = {metric.name: metric.type for collector in metrics.every() for metric in collector.describe()}
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    return {name + ending for name, type_ in found.items() for ending in endings[type_]}


def test_the_dashboards_are_as_generated() -> None:
    for board in BOARDS:
        assert (FOLDER / f"{board.uid}.json").read_text(encoding="utf-8") == text(board), "run `python -m deploy.dashboards`"


@pytest.mark.parametrize("expr", [query.expr for board in BOARDS for panel in board.panels for query in panel.queries])
def test_dashboards_ask_for_metrics_that_there_are(expr: str) -> None:
    asked = set(_METRIC.findall(expr))
    assert asked
    assert asked <= known()


def test_alerts_ask_for_metrics_that_there_are_and_lead_to_a_section_that_says_what_to_do() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    runbook = operations.partition("## When an alert fires")[2]
    sections = {head.strip().lower().replace(" ", "-"): text for head, text in _SECTION.findall(runbook)}
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    led_to = set()
    for rule in group["rules"]:
        assert set(_METRIC.findall(rule["expr"])) <= known(), rule["alert"]
        page, _, anchor = rule["annotations"]["runbook_url"].rpartition("#")
        assert page.endswith("/docs/operations.md")
        led_to.add(anchor)
        assert re.search(r"^1\. ", sections[anchor], re.MULTILINE), f"{anchor}: what to look at first"
        assert re.search(r"`(concertino|kubectl) |```promql", sections[anchor]), f"{anchor}: with which command"
    assert led_to == set(sections), "sections that no alert leads to"


@needs_promtool
def test_alerts_fire_when_they_should() -> None:
    made_up = Path(__file__).with_name("rules_test.yaml")
    tested = {test["alertname"] for case in yaml.safe_load(made_up.read_text())["tests"] for test in case["alert_rule_test"]}
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    assert tested == {rule["alert"] for rule in group["rules"]}
    done = subprocess.run(["promtool", "test", "rules", made_up], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
