"""What is typed becomes a task, or an error that says what to do."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from concertino.cli.durations import format_seconds, parse_duration
from concertino.cli.inputs import STDIN, read_plan, read_request
from concertino.cli.question import TaskOptions, question
from concertino.cli.sources import code_source, docs_source, other_source, web_source
from concertino.contracts.errors import BadSetting, InvalidMessage, InvalidPlan, SourceError
from concertino.contracts.messages import Source

SUBTASK = {"id": "s1", "kind": "code", "objective": "Look."}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2m", 120), ("1h", 3600), ("120", 120), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86400), (" 2 M ", 120)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, "--deadline") == seconds


@pytest.mark.parametrize("text", ["", "x", "0", "-5", "2mm", "m2", "1h30", "5 apples", "nan", "1e3", "٣m2x"])
def test_no_durations(text: str) -> None:
    with pytest.raises(BadSetting, match="--deadline"):
        parse_duration(text, "--deadline")


def test_format_seconds() -> None:
    assert [format_seconds(s) for s in (0, 0.04, 99.94, 99.96, 125, 3720)] == [
        "0.0 s",
        "0.0 s",
        "99.9 s",
        "1 m 40 s",
        "2 m 05 s",
        "1 h 02 m",
    ]


def test_local_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "guide.md").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert code_source("src/../src") == Source(kind="code", location=str(tmp_path / "src"))
    assert docs_source("guide.md").location == str(tmp_path / "guide.md")
    assert other_source("legal=src") == Source(kind="legal", location=str(tmp_path / "src"))
    assert other_source("legal=s3://bucket/x=y").location == "s3://bucket/x=y"


def test_urls_stay_and_refs_are_taken_off() -> None:
    assert code_source("https://example.org/a.git#v1") == Source(kind="code", location="https://example.org/a.git", ref="v1")
    assert code_source("git@example.org:a/b.git").ref is None
    assert docs_source("https://example.org/a#b").location == "https://example.org/a#b"


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="does not exist"):
        code_source(str(tmp_path / "nope"))
    with pytest.raises(SourceError, match="is a file"):
        code_source(str(tmp_path / "file"))
    with pytest.raises(SourceError, match="neither a folder nor a file"):
        docs_source(str(tmp_path / "pipe"))
    with pytest.raises(SourceError, match="does not exist"):
        docs_source("a\0b")
    with pytest.raises(SourceError, match="empty"):
        docs_source(" ")
    with pytest.raises(BadSetting, match="KIND=LOCATION"):
        other_source("legal")
    with pytest.raises(BadSetting, match="Legal"):
        other_source("Legal=x")


@pytest.mark.parametrize("text", ["", "example.org", "ftp://example.org/x", "https://", "https://a b", "file:///etc/passwd"])
def test_what_is_no_web_address(text: str) -> None:
    with pytest.raises(SourceError, match="--url"):
        web_source(text)


def test_the_same_source_twice_is_once(tmp_path: Path) -> None:
    here = str(tmp_path)
    asked = question("Why?", TaskOptions(code=[here, here], docs=[here], url=["https://example.org/a#b"]))
    assert [(s.kind, s.location) for s in asked.sources] == [
        ("code", here),
        ("docs", here),
        ("web", "https://example.org/a#b"),
    ]


def test_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "q.txt").write_text("\ufeffWhy?", encoding="utf-8")
    assert read_request("Why?") == "Why?"
    assert read_request(f"@{tmp_path / 'q.txt'}") == "Why?"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"From a pipe")))
    assert read_request(STDIN) == "From a pipe"


def test_requests_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    for blank in ("", " \n"):
        with pytest.raises(InvalidMessage, match="empty"):
            read_request(blank)
    with pytest.raises(InvalidMessage, match="--docs"):
        read_request("x" * 100_001)
    with pytest.raises(BadSetting, match="No such file"):
        read_request(f"@{tmp_path / 'nope'}")
    with pytest.raises(BadSetting, match="UTF-8"):
        read_request(f"@{tmp_path / 'latin'}")


@pytest.mark.parametrize(
    "written",
    [
        [SUBTASK],
        {"subtasks": [SUBTASK]},
        {"rounds": [{"why": "", "subtasks": [SUBTASK]}]},
        {"task": "t1", "plan": {"rounds": [{"why": "", "subtasks": [SUBTASK]}]}},
    ],
)
def test_plans_in_every_form(tmp_path: Path, written: object) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(written))
    plan = read_plan(str(path))
    assert [subtask.objective for subtask in plan.subtasks] == ["Look."]


def test_rounds_become_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(
        json.dumps({"rounds": [{"why": "a", "subtasks": [SUBTASK]}, {"why": "b", "subtasks": [{**SUBTASK, "id": "s2"}]}]})
    )
    plan = read_plan(str(path))
    assert ([s.id for s in plan.subtasks], plan.why) == (["s1", "s2"], "a b")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "plan"),
        ("{", "plan"),
        ("3", "Expected `object`"),
        ('{"subtasks": [{"id": "s1"}]}', "kind"),
        ('{"rounds": [3]}', "Expected `object`"),
        ('{"rounds": {"why": ""}}', "Expected `array`"),
        ("[" * 100_000, "plan"),
    ],
)
def test_plans_that_are_none(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(written)
    with pytest.raises(InvalidPlan, match=said):
        read_plan(str(path))


def test_limits() -> None:
    asked = question(
        "Why?", TaskOptions(deadline="2m", max_tokens=5, max_cost=0.5, max_rounds=1, max_queued="1m30s", effort="low")
    )
    assert (asked.limits.deadline, asked.limits.max_tokens, asked.limits.max_rounds) == (120, 5, 1)
    assert (asked.limits.max_cost, asked.limits.max_queued) == (0.5, 90)
    for options, said in (
        (TaskOptions(max_tokens=0), "--max-tokens"),
        (TaskOptions(max_cost=0.0), "--max-cost"),
        (TaskOptions(max_rounds=11), "--max-rounds"),
        (TaskOptions(deadline="8d"), "--deadline"),
        (TaskOptions(max_queued="8d"), "--max-queued"),
        (TaskOptions(max_queued="0s"), "--max-queued"),
    ):
        with pytest.raises(BadSetting, match=said):
            question("Why?", options)
    with pytest.raises(BadSetting, match="both"):
        question(STDIN, TaskOptions(plan=STDIN))
