"""What failed, what is to stop, and what is refused: at the command line, with real services on a real server."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from concertino.testing import Hang, MessagesApi
from kit import script
from kit.waiting import PATIENCE, until

pytestmark = pytest.mark.processes

BRITTLE = """
from pathlib import Path

from concertino.contracts.errors import SourceError
from concertino.worker import Finding, Worker

worker = Worker("brittle", "Fails until it is mended.")


@worker.handle
async def work(brief, context):
    if brief.id == "b" and not Path(__file__).with_name("mended").exists():
        raise SourceError("b cannot be read")
    return [Finding(claim=f"{brief.id} works")]


worker.run()
"""
PLAN = json.dumps([{"id": id_, "kind": "brittle", "objective": f"Look at {id_}."} for id_ in ("a", "b")])
SLOW = [{"id": "w", "kind": "slow", "objective": "Wait."}]
GUIDE = {"id": "g", "kind": "docs", "objective": "How often does the client retry a failed request?"}
QUESTION = GUIDE["objective"]


async def is_there(cli: Any, kind: str) -> None:
    await until(lambda: kind in cli.run("workers")[1], f"the worker {kind} announces itself")


async def test_what_failed_is_listed_and_run_again(up: Any, tmp_path: Path) -> None:
    (tmp_path / "brittle.py").write_text(BRITTLE)
    cli = up("--worker", "brittle.py").cli
    await is_there(cli, "brittle")
    code, out, err = cli.run("failures")
    assert (code, out) == (0, "task\twork\tcode\tattempts\tcost\tat\tstatus\tredriven\terror\n"), err
    assert cli.run("submit", "What works?", "--plan", "-", "--id", "old", stdin=PLAN)[0] == 0
    assert cli.run("follow", "old")[0] == 3

    code, out, err = cli.run("failures", "--since", "1h", "--kind", "brittle")
    [_, row] = [line.split("\t") for line in out.splitlines()]
    assert row[:5] == ["old", "result.brittle.b", "source", "1", "0.0000"]
    assert (row[6:], "concertino redrive TASK [SUBTASK ...]" in err) == (["partial", "", "b cannot be read"], True)
    [found] = json.loads(cli.run("failures", "--task", "old", "--json")[1])
    assert (found["work"], found["code"], found["reported"]) == ("result.brittle.b", "source", True)
    assert cli.run("failures", "--kind", "docs", "--since", "99999999d")[1].count("\n") == 1
    for wrong in (("failures", "--kind", "nobody"), ("failures", "--kind", "x y"), ("redrive", "--all", "--kind", "nobody")):
        code, _, err = cli.run(*wrong)
        assert (code, f"--kind {wrong[-1]!r}: no such work failed" in err, "brittle, " in err) == (2, True, True), err
    for limit in ("0", "-3"):
        code, _, err = cli.run("failures", "--limit", limit)
        assert (code, "--limit" in err) == (2, True), err

    code, out, err = cli.run("redrive", "old")
    assert code == 3, err
    assert "runs 1 subtask again (b), keeps the results of 1" in err
    (tmp_path / "mended").touch()
    code, out, err = cli.run("redrive", "old", "--json", "--deadline", "90s", "--model", "claude-haiku-4-5")
    assert code == 0, err
    new = json.loads(out)
    assert (new["again"], new["limits"]["deadline"], new["limits"]["model"]) == ("old", 90.0, "claude-haiku-4-5")
    assert {s["id"]: s["earlier"] for s in new["subtasks"]} == {"a": "old", "b": ""}
    shown = cli.run("show", "old")[1]
    assert f"run again as {', '.join(json.loads(cli.run('show', 'old', '--json')[1])['redriven'])}" in shown
    assert new["task"] in shown
    assert "runs task old again" in cli.run("show", new["task"])[1]
    assert "1 of 2 subtasks have their results from task old" in cli.run("trace", new["task"])[1]
    assert f"task {new['task']} runs again what failed in this one" in cli.run("trace", "old")[1]

    code, out, err = cli.run("redrive", new["task"])
    assert (code, "has no failed work: name the subtasks to run again: a, b" in err) == (2, True), err
    assert cli.run("redrive", new["task"], "a", "--detach")[0] == 0
    for wrong in (("redrive",), ("redrive", "old", "--all"), ("redrive", "old", "nobody"), ("redrive", "nobody")):
        assert cli.run(*wrong)[0] == 2


async def test_all_that_failed_is_run_again_once(up: Any, tmp_path: Path) -> None:
    (tmp_path / "brittle.py").write_text(BRITTLE)
    cli = up("--worker", "brittle.py").cli
    await is_there(cli, "brittle")
    for task in ("t1", "t2"):
        cli.run("submit", "What works?", "--plan", "-", "--id", task, stdin=PLAN)
        assert cli.run("follow", task)[0] == 3
    (tmp_path / "mended").touch()
    both = [cli.start("redrive", "--all", "--since", "1h", "--kind", "brittle") for _ in range(2)]
    lines = set[str]()
    for code, out, err in [one.end() for one in both]:
        assert code == 0, err
        lines.update(out.splitlines())
    pairs = dict(line.split("\t") for line in lines)
    assert (set(pairs), len(lines)) == ({"t1", "t2"}, 2)
    code, listed, err = cli.run("list")
    assert (code, len(listed.splitlines()), err) == (0, 1 + 4, "")
    code, out, err = cli.run("list", "--limit", "3")
    assert (code, out.splitlines(), "older tasks are left out" in err) == (0, listed.splitlines()[:4], True)
    assert len(json.loads(cli.run("list", "--limit", "3", "--json")[1])) == 3
    for new in pairs.values():
        assert cli.run("follow", new)[0] == 0
    code, out, err = cli.run("redrive", "--all", "--since", "1h")
    assert (code, out, "0 tasks with failed work" in err) == (0, "", True)


async def test_a_cancelled_task_yields_what_was_found(up: Any) -> None:
    one = up()
    await is_there(one.cli, "slow")
    running = one.cli.start("ask", QUESTION, "--docs", "guide.md", "--plan", "-", stdin=json.dumps([GUIDE, *SLOW]))
    running.until("g complete")

    running.process.send_signal(signal.SIGINT)
    code, out, err = running.end()
    assert code == 5, err
    assert "## Found so far" in out
    assert "five times" in out
    assert "`guide.md:" in out
    [task] = [line.split("\t")[0] for line in one.cli.run("list")[1].splitlines()[1:]]
    assert out.strip() in one.cli.run("show", task)[1]
    seen = json.loads(one.cli.run("show", task, "--json")[1])
    assert [s["status"] for s in seen["subtasks"]] == ["complete", "missing"]
    # What was cancelled has not failed; and can be gone on with.
    assert one.cli.run("failures")[1].count("\n") == 1
    running = one.cli.start("redrive", task)
    running.until("w: waiting")
    running.process.send_signal(signal.SIGINT)
    code, out, err = running.end()
    assert (code, "five times" in out) == (5, True), err


async def test_cancel_reaches_what_waits_and_a_running_call_of_a_model_and_costs_nothing_afterwards(up: Any) -> None:
    async with MessagesApi() as api:
        api.on(script.of("research"), every=Hang())
        one = await asyncio.to_thread(up, extra=api.environment())
        plan = [GUIDE, *SLOW, {**GUIDE, "id": "later", "depends_on": ["g"]}]
        await until(lambda: asyncio.to_thread(lambda: "slow" in one.cli.run("workers")[1]), "the worker announces itself")
        submit = ("submit", QUESTION, "--docs", "guide.md", "--plan", "-", "--id", "mine")
        assert (await asyncio.to_thread(one.cli.run, *submit, stdin=json.dumps(plan)))[0] == 0
        await until(lambda: api.asked, "the model is asked")
        code, _, err = await asyncio.to_thread(one.cli.run, "cancel", "mine", "--reason", "enough")
        cancelled = time.monotonic()
        assert code == 0, err
        await until(lambda: api.abandoned, "the call is broken off")
        took = time.monotonic() - cancelled
        code, out, _ = await asyncio.to_thread(one.cli.run, "follow", "mine")
        assert (code, "enough" in out) == (5, True)
        asked = len(api.asked)
        await asyncio.sleep(1.5)
        assert len(api.asked) == asked == 1
        assert took < PATIENCE, took
        print(f"broken off {took:.2f} s after `cancel` had ended")


async def test_a_full_queue_refuses_with_a_status_of_its_own_and_may_be_waited_for(up: Any) -> None:
    one = up(extra={"CTN_MAX_QUEUED": "1"})
    await is_there(one.cli, "slow")
    submit = ("submit", "Wait", "--plan", "-")
    assert one.cli.run(*submit, "--id", "first", stdin=json.dumps(SLOW))[0] == 0
    await until(lambda: re.search("[◦●] slow", one.cli.run("show", "first")[1]) is not None, "its work is queued")
    code, out, err = one.cli.run(*submit, stdin=json.dumps(SLOW))
    assert (code, out) == (75, ""), err
    assert "the queue of 'slow', lane 'interactive', is full (1 of 1), so the task was not submitted: try again later" in err
    assert "--wait 5m" in err
    assert one.cli.run("list")[1].count("\n") == 2
    waiting = one.cli.start(*submit, "--wait", "60s", "--id", "second", stdin=json.dumps(SLOW))
    assert one.cli.run("cancel", "first")[0] == 0
    assert waiting.end()[:2] == (0, "second\n")
