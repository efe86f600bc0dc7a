"""``up``: services kept running, work kept, everything gone in the end; and the commands that talk to it."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from kit.waiting import until

pytestmark = pytest.mark.processes

WAIT = json.dumps([{"id": "w", "kind": "slow", "objective": "Wait."}])


async def slow_is_there(cli: Any) -> None:
    await until(lambda: "slow" in cli.run("workers")[1], "the worker announces itself")


def test_commands(up: Any) -> None:
    cli = up().cli
    submit = ("submit", "How often does the client retry a failed request?", "--docs", "guide.md", "--id", "mine")
    code, task, err = cli.run(*submit)
    assert (code, task) == (0, "mine\n"), err
    code, out, err = cli.run("follow", "mine")
    assert code == 0, err
    assert "five times" in out
    assert cli.run(*submit)[0] == 0
    assert cli.run("ask", *submit[1:])[:2] == (0, out)
    for command in ("submit", "ask"):
        code, _, err = cli.run(command, "Something else", "--id", "mine")
        assert (code, "another task" in err) == (2, True)
    code, nothing, err = cli.run("ask", "Something else", "--id", "a.*")
    assert (code, nothing, "is no id" in err) == (2, "", True)

    code, shown, _ = cli.run("show", "mine")
    assert code == 0
    assert "├─ ✓ docs" in shown
    assert out.strip() in shown
    assert json.loads(cli.run("show", "mine", "--json")[1])["status"] == "answered"
    assert cli.run("list")[1].splitlines()[1].split("\t")[:2] == ["mine", "answered"]
    assert json.loads(cli.run("list", "--json")[1])[0]["task"] == "mine"
    workers = {w["kind"]: w for w in json.loads(cli.run("workers", "--json")[1])}
    assert set(workers) >= {"plan", "synthesize", "docs", "code", "web", "general"}
    assert "search" in workers["docs"]["tools"]
    assert "before" in cli.run("cancel", "mine")[1]

    code, planned, _ = cli.run("plan", "How often does the client retry?", "--docs", "guide.md")
    assert code == 0
    assert "docs" in planned
    assert "five times" not in planned
    for command in ("show", "follow", "cancel"):
        code, out, err = cli.run(command, "nobody")
        assert (code, out) == (2, "")
        assert "no task 'nobody'" in err


async def test_ctrl_c_cancels_and_a_second_leaves(up: Any) -> None:
    one = up()
    await slow_is_there(one.cli)
    running = one.cli.start("ask", "Wait", "--plan", "-", stdin=WAIT)
    running.until("w: waiting")
    running.process.send_signal(signal.SIGINT)
    code, _, err = running.end()
    assert code == 5, err
    assert "cancelled: cancelled at the terminal" in err

    running = one.cli.start("ask", "Wait", "--plan", "-", stdin=WAIT)
    running.until("w: waiting")
    [orchestrator] = one.pids("concertino.orchestrator")
    os.kill(orchestrator, signal.SIGSTOP)
    running.process.send_signal(signal.SIGINT)
    running.until("cancelling: cancelled at the terminal")
    running.process.send_signal(signal.SIGINT)
    assert running.end()[0] == 130
    os.kill(orchestrator, signal.SIGCONT)


async def test_what_dies_is_started_again(up: Any) -> None:
    one = up()
    await slow_is_there(one.cli)
    [before] = one.pids("slow.py")
    os.kill(before, signal.SIGKILL)
    one.running.until("slow ended unexpectedly (SIGKILL)")
    await until(lambda: one.pids("slow.py") - {before}, "it is started again")

    server = next(pid for pid, line in one.cli.processes().items() if "nats-server" in line)
    os.kill(server, signal.SIGKILL)
    one.running.until("the NATS server ended unexpectedly")
    code, out, err = one.cli.run("ask", "How often does the client retry a failed request?", "--docs", "guide.md")
    assert (code, "five times" in out) == (0, True), err


async def test_it_drains_and_remembers(up: Any) -> None:
    one = up()
    assert one.cli.run("ask", "How often does the client retry?", "--docs", "guide.md")[0] == 0
    listed = one.cli.run("list")[1]
    one.running.process.send_signal(signal.SIGINT)
    code, _, err = one.running.end()
    assert code == 0
    assert "draining" in err
    assert not one.cli.processes()
    again = up()
    assert again.cli.run("list")[1] == listed
    again.running.process.kill()
    await until(lambda: not again.cli.processes(), "every process ends with its parent")


def test_a_port_that_is_taken(up: Any) -> None:
    one = up()
    port = one.cli.url.rpartition(":")[2]
    code, _, err = one.cli.run("up", "--port", port, "--nats", str(one.cli.url))
    assert (code, "the bus is given" in err) == (2, True)
    # What is said counts more than what is set: CTN_NATS_URL.
    code, out, err = one.cli.run("up", "--port", port, "--store", "other")
    assert (code, out) == (2, "")
    [line] = err.splitlines()  # nothing was begun, so nothing is drained or stopped
    assert line.startswith(f"concertino: port {port} of 127.0.0.1 is in use")


def test_a_worker_that_is_not_there(up: Any) -> None:
    code, _, err = up().cli.run("up", "--worker", "nope.py")
    assert code == 2
    assert "--worker 'nope.py'" in err
