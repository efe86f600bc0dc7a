"""``ask`` without a bus: everything comes up, answers, and goes away, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from concertino.contracts.schema import json_schema
from kit.site import Site, running
from kit.waiting import until

pytestmark = pytest.mark.processes


def test_an_answer_with_its_evidence(cli: Any) -> None:
    code, out, err = cli.run("ask", "How often does the client retry a failed request?", "--docs", "guide.md")
    assert (code, "Evidence" in out) == (0, True), err
    assert "The client retries a failed request five times" in out
    assert "`guide.md:3`" in out or "`guide.md:1-3`" in out
    assert out.splitlines()[-1].startswith("**answered** · ")
    assert "\x1b" not in out + err
    assert "planned" in err
    assert "answered" in err.splitlines()[-1]
    assert not list(cli.temporary.iterdir())


def test_a_terminal_without_the_characters_gets_plain_ones(cli: Any) -> None:
    cli.extra = {"PYTHONIOENCODING": "ascii"}
    code, out, err = cli.run("ask", "How often does the client retry a failed request?", "--docs", "guide.md")
    assert (code, (out + err).isascii()) == (0, True), err
    assert out.splitlines()[-1].startswith("**answered** - ")


def test_json_is_what_the_schema_says(cli: Any) -> None:
    from jsonschema import Draft202012Validator

    code, out, err = cli.run("ask", "-", "--docs", ".", "--json", "--quiet", stdin="How large may a request body be?")
    assert code == 0, err
    assert err == ""
    shown = json.loads(out)
    names = ["task", "status", "reason", "report", "plan", "subtasks", "usage", "by_kind", "by_model"]
    assert list(shown) == [*names, "max_tokens", "max_cost", "limits", "again", "redriven"]
    Draft202012Validator({"$ref": "#/$defs/TaskView", "$defs": json_schema()["$defs"]}).validate(shown)
    assert any("ten megabytes" in citation["quote"] for citation in shown["report"]["citations"])


def test_a_page_by_its_address_and_by_the_request(cli: Any) -> None:
    with running(Site()) as site:
        site.pages["/guide"] = (
            200,
            {"Content-Type": "text/html"},
            b"<h1>Retries</h1><p>" + b"The client retries five times.</p>" * 3,
        )
        cli.extra = {"CTN_ALLOW_NETWORKS": "127.0.0.0/8"}
        named = cli.run("ask", "How often does the client retry?", "--url", site.url("/guide"))
        said = cli.run("ask", f"How often does the client retry, says {site.url('/guide')}?")
    for code, out, err in (named, said):
        assert (code, site.url("/guide") in out) == (0, True), err
        assert "retries five times" in out


async def test_killed_it_leaves_no_process(cli: Any) -> None:
    running = cli.start("ask", "How often does the client retry?", "--docs", ".")
    running.until("task ")
    assert len(cli.processes()) >= 6  # itself, the server, four services
    running.process.kill()
    running.end()
    await until(lambda: not cli.processes(), "every process ends with its parent")


def test_terminated_it_takes_everything_down(cli: Any) -> None:
    running = cli.start("ask", "How often does the client retry?", "--docs", ".")
    running.until("starting the services")
    running.process.send_signal(signal.SIGTERM)
    assert running.end()[0] == 128 + signal.SIGTERM
    assert not cli.processes()
    assert not list(cli.temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_answer_changes_nothing_but_the_haste(cli: Any, number: signal.Signals) -> None:
    running = cli.start("ask", "How often does the client retry a failed request?", "--docs", ".")
    running.until("answered:")
    running.process.send_signal(number)
    code, out, err = running.end()
    assert (code, "five times" in out) == (0, True), err
    assert not list(cli.temporary.iterdir())


def test_interrupted_before_there_is_a_task(cli: Any) -> None:
    running = cli.start("ask", "How often does the client retry?", "--docs", ".")
    running.until("starting the services")
    running.process.send_signal(signal.SIGINT)
    code, out, err = running.end()
    assert (code, out) == (5, "")
    assert err.splitlines()[-1] == "concertino: interrupted before there was a task"


def test_interrupted_while_it_begins(cli: Any) -> None:
    (cli.folder / "cyclopts.py").write_text(
        "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
    )
    cli.extra = {"PYTHONPATH": str(cli.folder)}
    asked = cli.start("ask", "How often does the client retry?", "--docs", ".")
    asked.until("importing")
    asked.process.send_signal(signal.SIGINT)
    assert asked.end() == (130, "", "importing\n")


def test_who_leaves_at_once_leaves_nothing_behind(cli: Any) -> None:
    cli.extra = {"CTN_ALLOW_NETWORKS": "127.0.0.0/8"}
    with running(Site()) as site:
        asked = cli.start("ask", "How often does the client retry?", "--url", site.url("/slow"))
        asked.until("fetching")
        [orchestrator] = [pid for pid, line in cli.processes().items() if "concertino.orchestrator" in line]
        os.kill(orchestrator, signal.SIGSTOP)  # nobody ends the task
        asked.process.send_signal(signal.SIGINT)
        asked.until("cancelling: cancelled at the terminal")
        asked.process.send_signal(signal.SIGINT)
        assert asked.end()[0] == 130
    assert not list(cli.temporary.iterdir())


def test_a_plan_for_kinds_that_nobody_does(cli: Any) -> None:
    plan = json.dumps([{"id": "s1", "kind": "astrology", "objective": "Look."}])
    code, out, err = cli.run("ask", "Why?", "--plan", "-", stdin=plan)
    assert (code, out) == (2, "")
    assert "no worker does 'astrology'" in err.splitlines()[-1]
    assert not list(cli.temporary.iterdir())


def test_a_source_that_nobody_reads_is_named_in_the_report(cli: Any) -> None:
    code, out, err = cli.run("ask", "How often does the client retry?", "--docs", "guide.md", "--source", "foo=bar")
    assert code == 3, err
    assert "- bar (foo) was not read: nobody who reads foo was asked" in out.splitlines()
    assert out.splitlines()[-1].startswith("**partial** (1 of 1 subtask came to something: bar (foo) was not read")


def test_services_that_do_not_start_are_named_with_their_log(cli: Any) -> None:
    broken = cli.folder / "sitecustomize.py"
    broken.write_text("import sys\nif 'concertino.docs' in sys.orig_argv: sys.exit('no such luck')\n")
    cli.extra = {"PYTHONPATH": str(cli.folder)}
    code, out, err = cli.run("ask", "Why?", "--docs", "guide.md")
    assert (code, out) == (1, "")
    assert "the service docs did not start (exit status 1)" in err.splitlines()[-1]
    assert "no such luck" in err.splitlines()[-1]
    log = err.rstrip().rpartition(" ")[2]
    assert "no such luck" in Path(log).read_text()
    assert not cli.processes()


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("CTN_SEARCH", "ask jeeves", "the service web did not start (exit status 2): web: CTN_SEARCH: 'ask jeeves'"),
        ("CTN_ALLOW_NETWORKS", "home", "the service docs did not start (exit status 2): docs: CTN_ALLOW_NETWORKS: 'home'"),
    ],
)
def test_a_setting_that_a_service_cannot_take(cli: Any, setting: str, value: str, said: str) -> None:
    cli.extra = {setting: value}
    code, out, err = cli.run("ask", "Why?", "--docs", "guide.md")
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert not list(cli.temporary.iterdir())


def test_wrong_usage(cli: Any) -> None:
    for arguments, said in {
        ("ask",): "REQUEST",
        ("ask", " "): "the request is empty",
        ("ask", "Why?", "--docs", "nope"): "does not exist",
        ("ask", "Why?", "--deadline", "soon"): "--deadline",
        ("ask", "Why?", "--deadline", "-5s"): "--deadline '-5s' is no duration: write 90s",
        ("list", "--since", "-5m"): "--since '-5m' is no duration: write 90s",
        ("redrive", "x", "--wait", "-5m"): "--wait '-5m' is no duration: write 90s",
        ("list", "--limit", "0"): "--limit 0: list 1 task at least",
        ("ask", "Why?", "--effort", "huge"): "--effort",
        ("ask", "Why?", "--nope"): "--nope",
        ("nope",): "nope",
    }.items():
        code, out, err = cli.run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("concertino: ")
        assert said in err
        assert len(err.splitlines()) == 1


def test_words_that_are_no_text(cli: Any) -> None:
    code, out, err = cli.run("ask", "What is \udcff?", "--docs", ".")
    assert (code, out) == (2, "")
    assert err == "concertino: What is \\udcff? is not UTF-8, and messages are: rename the file, or correct the text\n"


def test_an_output_that_takes_nothing(cli: Any) -> None:
    done = subprocess.run(
        f"{sys.executable} -m concertino.cli schema > /dev/full", shell=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr in {f"concertino: {w}No space left on device\n" for w in ("", "what was printed could not be written: ")}
    closed = subprocess.run(f"{sys.executable} -m concertino.cli schema >&- 2>&-", shell=True, check=False)
    assert closed.returncode == 0


def test_no_server(cli: Any) -> None:
    code, out, err = cli.run("list", "--nats", "nats://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert err.startswith("concertino: no NATS server answers at nats://127.0.0.1:1")
    assert len(err.splitlines()) == 1


def test_a_reader_that_has_seen_enough(cli: Any) -> None:
    running = cli.start("schema")
    running.process.stdout.close()
    running.process.stdout = None
    assert running.end()[2] == ""
