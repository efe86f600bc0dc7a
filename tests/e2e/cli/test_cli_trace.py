"""``trace``: where the time of a task went, told from the log of real services, while it runs and when it is over."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from concertino.contracts.schema import json_schema
from kit.waiting import until

pytestmark = pytest.mark.processes

MOODY = """
import asyncio
from pathlib import Path
from concertino.contracts.errors import ModelUnavailable
from concertino.worker import Worker

worker = Worker("moody", "Waits for a file, or fails once: for tests.", slots=4)

@worker.handle
async def wait(brief, context):
    here = Path(__file__).parent
    if brief.id == "again" and not (here / "failed").exists():
        (here / "failed").touch()
        await asyncio.sleep(0.3)
        raise ModelUnavailable("nobody answers")
    while brief.id == "long" and not (here / "go").exists():
        await asyncio.sleep(0.02)

worker.run()
"""

PLAN = json.dumps(
    [
        {"id": "long", "kind": "moody", "objective": "Wait."},
        {"id": "again", "kind": "moody", "objective": "Fail once."},
        {"id": "last", "kind": "moody", "objective": "Needs both.", "depends_on": ["long", "again"]},
    ]
)


def rows(cli: Any, task: str = "mine") -> dict[str, Any]:
    code, out, err = cli.run("trace", task, "--json")
    assert code == 0, err
    found = json.loads(out)
    Draft202012Validator({"$ref": "#/$defs/Timeline", "$defs": json_schema()["$defs"]}).validate(found)
    assert sum(segment["seconds"] for segment in found["path"]) == pytest.approx(found["seconds"], abs=1e-3)
    return {"": found, **{row["name"]: row for row in found["rows"]}}


def doing(row: Any) -> list[str]:
    return [part["doing"] for part in row["parts"]]


async def started(up: Any, folder: Path) -> Any:
    (folder / "moody.py").write_text(MOODY)
    one = up("--worker", "moody.py")
    await until(lambda: "moody" in one.cli.run("workers")[1], "the worker announces itself")
    code, _, err = one.cli.run("submit", "Wait", "--plan", "-", "--id", "mine", stdin=PLAN)
    assert code == 0, err
    return one


async def test_while_it_runs_and_when_it_is_over(up: Any, tmp_path: Path) -> None:
    cli = (await started(up, tmp_path)).cli
    await until(
        lambda: rows(cli).get("long", {}).get("status") == "running" and rows(cli)["again"]["status"] == "complete",
        "one is seen at work and the other done",
    )
    running = rows(cli)
    assert running[""]["status"] == "running"
    assert doing(running["last"]) == ["blocked"]
    (tmp_path / "go").touch()
    assert cli.run("follow", "mine", "--quiet")[0] in (0, 3)

    ended = rows(cli)
    assert [part for part in doing(ended["again"]) if part in ("in_vain", "retrying", "working")] == [
        "in_vain",
        "retrying",
        "working",
    ]
    [vain] = [part for part in ended["again"]["parts"] if part["doing"] == "in_vain"]
    assert (vain["attempt"], vain["why"]) == (1, "overloaded: nobody answers")
    assert 0.3 <= vain["seconds"] < 30
    assert ended["again"]["attempts"] == 2
    assert ended["last"]["after"] == ["result.moody.long", "result.moody.again"]
    assert ended["long"]["critical"] > 1.0  # it was told of after a second, and waited for longer
    assert ended[""]["kinds"]["moody"]["retries"] >= vain["seconds"]

    code, out, err = cli.run("trace", "mine")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert re.search(r"◆ ✓ long +moody", out)
    assert "in vain after" in out
    assert "after long, again" in out


async def test_a_page(up: Any, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    cli = (await started(up, tmp_path)).cli
    assert cli.run("follow", "mine", "--quiet")[0] in (0, 3)
    code, out, err = cli.run("trace", "mine", "--html", "mine.html")
    assert (code, out) == (0, "mine.html\n"), err
    document = (tmp_path / "mine.html").read_text()
    assert document.startswith("<!doctype html>")
    assert "nobody answers" in document
    assert cli.run("trace", "mine", "--html", "-")[1] == document
    code, out, err = cli.run("trace", "mine", "--html", "nowhere/mine.html")
    assert (code, out, "nowhere/mine.html" in err) == (1, "", True)


async def test_a_worker_that_was_killed_is_seen_to_have_been_at_work(up: Any, tmp_path: Path) -> None:
    one = await started(up, tmp_path)
    await until(lambda: rows(one.cli).get("long", {}).get("status") == "running", "it is seen at work")
    [pid] = one.pids("moody.py")
    os.kill(pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    code, _, err = one.cli.run("follow", "mine")
    assert (code in (0, 3), "long: attempt 2 begins on" in err, "fell silent" in err) == (True, True, True), err
    long = rows(one.cli)["long"]
    [vain] = [part for part in long["parts"] if part["doing"] == "in_vain"]
    assert vain["why"] == "its worker fell silent"
    assert doing(long)[-1] == "working"
    assert (long["status"], long["attempts"], long["untold"]) == ("complete", 2, 0)


def test_what_it_does_not_take(up: Any) -> None:
    cli = up().cli
    code, out, err = cli.run("trace", "nobody")
    assert (code, out) == (2, "")
    assert "no task 'nobody'" in err
    code, out, err = cli.run("trace", "a.b")
    assert (code, out, "is no id" in err) == (2, "", True)
    code, out, err = cli.run("trace", "nobody", "--json", "--html", "x.html")
    assert (code, out, "take one" in err) == (2, "", True)
