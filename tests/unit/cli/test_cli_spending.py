"""What models took is said where they were asked, and nowhere else; a report is seen while it is written."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console
from rich.table import Table

from concertino.cli.display import Lines, Tree
from concertino.cli.show.closing import closing
from concertino.cli.show.lines import fact_lines
from concertino.cli.show.markdown import markdown
from concertino.cli.show.rows import counted
from concertino.cli.show.spending import prompts, spent
from concertino.cli.show.tables import failures, spending, workers
from concertino.cli.show.text import place, short_roots
from concertino.cli.show.writing import Writing
from concertino.client import FailedWork, WorkerKind
from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.view import usage_view, view

START = 1_800_000_000.0


def drawn(table: Table | None, width: int = 100) -> list[list[str]]:
    console = Console(file=StringIO(), width=width, highlight=False, markup=False)
    console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (m.Usage(), []),
        (m.Usage(model_calls=1, input_tokens=1, cost_usd=0.001234), ["1 call", "1 token", "$0.0012"]),
        (m.Usage(model_calls=1, input_tokens=1, cost_usd=1e-30), ["1 call", "1 token", "$1e-30"]),
        (m.Usage(model_calls=2, input_tokens=10, cache_write_tokens=5, cost_usd=1234.5), ["2 calls", "15 tokens", "$1,234.50"]),
        (m.Usage(model_calls=2, output_tokens=7, unpriced_calls=2), ["2 calls", "7 tokens", "2 calls without a price"]),
        (
            m.Usage(model_calls=2, cache_read_tokens=7, unpriced_calls=1, cost_usd=0.5),
            ["2 calls", "7 tokens (7 from cache)", "$0.50 and 1 call without a price"],
        ),
    ],
)
def test_spent(usage: m.Usage, said: list[str]) -> None:
    assert spent(usage) == said


def test_spent_of_a_budget() -> None:
    usage = m.Usage(model_calls=2, input_tokens=1000, cache_read_tokens=500, cost_usd=1.2)
    assert spent(usage, 5000, 2.0) == ["2 calls", "1,500 of 5,000 tokens (500 from cache)", "$1.20 of $2.00"]
    assert spent(m.Usage(), 5000, 2.0) == []


def test_without_a_model_nothing_is_said_of_cost(told: Any) -> None:
    state, facts = told("outcome", {"synthesis.0": m.Synthesized(report=m.Report(text="x"), model="extractive")})
    task = view(state)
    assert closing(task, 1.0) == ("partial", " (s2 failed) · 1.0 s · task t1")
    assert spending(task) is None
    lines = " ".join(line for fact in facts for line in fact_lines(state, fact))
    assert not any(word in markdown(task, 1.0) + lines for word in ("$", "token", "call "))


def test_by_kind_then_by_model(told: Any) -> None:
    small = m.Usage(model_calls=3, input_tokens=1500, output_tokens=20, web_searches=4, unpriced_calls=3)
    state, _ = told("outcome", {"result.code.s1": m.Result(usage=small, spent={"small": small})})
    assert drawn(spending(view(state))) == [
        ["calls", "read", "anew", "cached", "from", "cache", "written", "searches", "cost"],
        ["code", "3", "1,500", "20", "4", "3", "calls", "without", "a", "price"],
        ["synthesize", "2", "1,200", "800", "34", "$0.05"],
        [],
        ["small", "3", "1,500", "20", "4", "3", "calls", "without", "a", "price"],
        ["large", "2", "1,200", "800", "34", "$0.05"],
    ]


def test_prompts_are_named_once_each(told: Any) -> None:
    done = m.Planned(plan=m.Plan(subtasks=(m.Subtask(id="s1", kind="code", objective="x"),)), prompt="plan-2")
    state, _ = told(
        "outcome",
        {
            "plan.0": done,
            "result.code.s1": m.Result(prompt="research-1 code-3"),
            "synthesis.0": m.Synthesized(report=m.Report(text="x"), prompt="weigh-1 write-1"),
        },
    )
    assert prompts(view(state)) == "plan-2, research-1, code-3, weigh-1, write-1"


def test_grave_findings_are_counted() -> None:
    findings = [m.Finding(claim="x", severity=s) for s in ("high", "low", "critical", "high", "", "medium")]
    assert counted(findings) == "6 findings: 1 critical, 2 high"
    assert counted(findings[1:2]) == "1 finding"


def test_workers_say_what_they_can() -> None:
    kind = WorkerKind(
        "general", "Whatever is asked.", 1, 4, 0, 0, False, ("search", "ask_tickets", "read"), {"ask_tickets": "Tickets."}, ()
    )
    lines = drawn(workers([kind]))
    assert lines[1:] == [
        ["general", "1", "4", "0", "0", "Whatever", "is", "asked."],
        ["search,", "read"],
        ["ask_tickets:", "Tickets."],
    ]


def test_what_failed_is_whole_on_a_narrow_terminal() -> None:
    why = "the folder /srv/projects/relay/documentation cannot be read: permission denied, and it is the only source there is"
    failed = FailedWork(
        task="a" * 64,
        work="result.code.find-the-retry-policy",
        kind="code",
        subtask="find-the-retry-policy",
        code="source",
        error=why,
        retryable=False,
        attempts=2,
        usage=usage_view(m.Usage(cost_usd=0.05)),
        at=START,
        status="partial",
        reported=True,
        redriven=(),
    )
    console = Console(file=StringIO(), width=80, highlight=False, markup=False)
    console.print(failures([failed, structs.replace(failed, task="mine", redriven=("new",))], START + 12.3))
    said = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert said[:3] == [
        "a" * 64,
        "result.code.find-the-retry-policy",
        "    source · 2 attempts · $0.05 · 12.3 s ago · its task is partial",
    ]
    assert " ".join(line.strip() for line in said[3:5]) == why
    assert said[5:7] == [
        "mine  result.code.find-the-retry-policy",
        "    source · 2 attempts · $0.05 · 12.3 s ago · its task is partial, redriven",
    ]


def test_roots_are_told_apart_by_as_little_as_it_takes() -> None:
    assert short_roots(
        ["/srv/a/src", "/srv/b/src", "/srv/c", "", "https://example.org/x.git", "/lib/pip-23.2.1.dist-info"]
    ) == {
        "/srv/a/src": "a/src",
        "/srv/b/src": "b/src",
        "/srv/c": "c",
        "": "",
        "/lib/pip-23.2.1.dist-info": "pip-23.2.1",
        "https://example.org/x.git": "x",
    }
    assert short_roots(["/a", "/b/a", "a"]) == {"/a": "a", "a": "a", "/b/a": "b/a"}
    assert short_roots(["/srv/a", "/srv/a"]) == {"/srv/a": ""}
    assert place("x.py", m.Locator(lines=(3, 3)), "a/src") == "a/src/x.py:3"
    assert place("guide.md", m.Locator(lines=(3, 3)), "docs/guide.md") == "guide.md:3"


# --- the report as it is written


def piece(text: str, attempt: int = 1, work: str = "synthesis.0") -> m.Progress:
    return m.Progress(doing="writing the report", at=START, work=work, attempt=attempt, text=text)


def test_pieces_become_lines() -> None:
    writing = Writing()
    for text in ("# Answer\n\nIt is", " so, and", " has been for\x1b[2J long.", "\n"):
        writing.hear(piece(text))
    assert writing.tail(14, 3) == ["It is so, and", "has been", "for[2J long."]
    assert writing.tail(80, 9) == ["# Answer", "It is so, and has been for[2J long."]


def test_another_attempt_begins_anew() -> None:
    writing = Writing()
    writing.hear(piece("Half a sen"))
    writing.hear(m.Progress(doing="thinking", at=START, work="result.code.s1"))
    writing.hear(piece("Whole.", attempt=2))
    assert writing.tail(80, 9) == ["Whole."]


def test_a_long_report_costs_no_more_than_its_end() -> None:
    writing = Writing()
    for number in range(2_000):
        writing.hear(piece(f"line {number}\n"))
    assert writing.tail(80, 2) == ["line 1998", "line 1999"]
    assert len(writing.tail(80, 10_000)) < 500


async def test_the_tree_shows_it_until_it_is_in_the_log(told: Any) -> None:
    console = Console(file=StringIO(), width=80, height=24, force_terminal=True, highlight=False, markup=False)
    state, facts = told("dispatched.3")
    screen = Tree(console, lambda: START + 3)

    def picture() -> str:
        with console.capture() as captured:
            console.print(screen._picture())
        return captured.get()

    screen.fact(state, facts[-1])
    assert "It is so" not in picture()
    screen.progress(state, {"synthesis.0": piece("It is so [1].")}, "synthesis.0")
    assert "It is so [1]." in picture()
    state, facts = told("synthesis.0")
    screen.fact(state, facts[-1])
    assert "It is so" not in picture()


def test_lines_do_not_tell_what_was_before(told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    state, facts = told("dispatched.1")
    planning, wave = [next(fact for fact in facts if str(fact.name) == name) for name in ("dispatched.0", "dispatched.1")]
    lines = Lines()
    lines.progress(state, {"plan.0": m.Progress(doing="planning", at=START + 0.1)}, "plan.0")
    lines.fact(state, planning)
    lines.progress(state, {"result.code.s1": m.Progress(doing="grep", at=START + 0.5)}, "result.code.s1")
    lines.fact(state, wave)
    lines.fact(state, Fact(wave.name, m.Dispatched(work=(("result.code.s1", 2),)), 9, START + 0.6))
    said = [line.split("s  ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["planning", "s1: grep", "queued s2", "queued s1"]


def test_lines_leave_it_out(told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    state, _ = told("dispatched.3")
    lines = Lines()
    lines.progress(state, {"synthesis.0": m.Progress(doing="writing the report", at=START)}, "synthesis.0")
    for text in ("It ", "is ", "so."):
        lines.progress(state, {"synthesis.0": piece(text)}, "synthesis.0")
    assert len(capsys.readouterr().err.splitlines()) == 1
