"""Nobody can make ever new series: not who names a kind, a model or a tool, and not who answers or fails as nobody foresaw."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from concertino.telemetry import labels, metrics

HOSTILE = """
from itertools import product
from prometheus_client import generate_latest
from concertino.telemetry import metrics

metrics.seen("docs", "claude")
junk = [f"made-up-{i}" for i in range(3000)]
junk += ["", " ", "a b", "x" * 5000, 'quo"te', "new\\nline", "ü", "docs\\x00", "../../etc"]
for metric in metrics.every():
    for value in junk:
        if metric._labelnames:
            child = metric.labels(*[value] * len(metric._labelnames))
            child = metric.labels(**dict.fromkeys(metric._labelnames, value))
            getattr(child, "inc", getattr(child, "observe", None))(1)
metrics.ATTEMPTS.labels("docs").inc()
print(generate_latest().decode())
"""
MOST = {"kind": 101, "model": 31, "server": 31, "service": 21, "version": 21}
"""Values of labels that only an installation knows, ``other`` included."""


@pytest.fixture(scope="module")
def exposed() -> dict[str, list[dict[str, str]]]:
    """The labels of every series of a process (of its own: what it has seen it keeps) that everybody wished ill."""
    done = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, timeout=120, check=True)
    families = text_string_to_metric_families(done.stdout)
    return {
        family.name: [dict(s.labels) for s in family.samples] for family in families if family.name.startswith("concertino")
    }


def test_every_label_has_a_closed_set(exposed: dict[str, list[dict[str, str]]]) -> None:
    assert {metric._name for metric in metrics.every()} == set(exposed)
    assert {name for metric in metrics.every() for name in metric._labelnames} == set(labels.CLOSED)


def test_values_that_nobody_foresaw_are_other(exposed: dict[str, list[dict[str, str]]]) -> None:
    for name, series in exposed.items():
        for label in {label for found in series for label in found if label != "le"}:
            values = {found[label] for found in series if label in found}
            made_up = {value for value in values if value.startswith("made-up-")}
            assert "other" in values, (name, label)
            assert len(values) <= MOST.get(label, 60), (name, label)
            assert not made_up or label in MOST, (name, label)
            assert all(value.isprintable() and len(value) <= 100 for value in values)


def test_those_that_were_known_before_are_still_told_apart(exposed: dict[str, list[dict[str, str]]]) -> None:
    assert {"kind": "docs"} in exposed["concertino_attempts"]
    assert {"kind": "docs", "model": "claude"} in exposed["concertino_cost_dollars"]


def test_names_of_an_installation_are_kept_as_they_are_until_there_are_too_many() -> None:
    close = labels.few(2)
    assert [close(name) for name in ("claude-opus-5-5", "openai/o:1@x", "third", "claude-opus-5-5")] == [
        *("claude-opus-5-5", "openai/o:1@x", "other", "claude-opus-5-5")
    ]


def test_every_error_has_its_own_code() -> None:
    assert {"model_unavailable", "deadline", "limit", "source", "abandoned", "bug"} <= set(labels.CODES)
    assert len(labels.CODES) == len(set(labels.CODES))
