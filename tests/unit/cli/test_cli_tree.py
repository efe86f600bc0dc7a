"""The tree on a terminal, and the lines beside one."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from concertino.cli.show.lines import fact_lines, progress_line
from concertino.cli.show.tree import SPINNER, tree
from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.subjects import FactName

START = 1_800_000_000.0


def drawn(renderable: Any, width: int = 80, **options: Any) -> list[str]:
    console = Console(file=StringIO(), width=width, highlight=False, markup=False, **options)
    console.print(renderable)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_running(told: Any) -> None:
    state, _ = told("result.code.s1")
    doing = {"result.docs.s2": m.Progress(doing="search: retries", at=START + 0.6)}
    lines = drawn(tree(state, doing, START + 2.5, live=True))
    assert lines[0].startswith("How often does the client retry?")
    assert lines[0].endswith("2.5 s")
    assert lines[1].startswith("├─ ✓ plan 3 subtasks")
    assert lines[2].startswith("├─ ✓ code Find where retries are configured.")
    assert lines[2].rstrip().endswith("1 finding 1.2 s")
    assert lines[3].startswith(tuple(f"├─ {frame} docs Find what" for frame in SPINNER))
    assert lines[4].startswith("│         search: retries")
    assert lines[5].startswith("└─ · docs Compare both.")
    assert "after s2" in lines[5]
    assert all(len(line) <= 80 for line in lines)


def test_the_spinner_turns_only_while_live(told: Any) -> None:
    state, _ = told("dispatched.0")
    doing = {"plan.0": m.Progress(doing="thinking", at=START)}
    frames = {drawn(tree(state, doing, START + tenth / 10, live=True))[1][3] for tenth in range(5)}
    assert len(frames) == 5
    assert drawn(tree(state, doing, START))[1][3] == "●"


def test_two_rounds_are_nested(told: Any) -> None:
    state, _ = told("synthesis.0")
    state.sent["plan.1"] = 1
    lines = drawn(tree(state, {}, START + 4))
    assert lines[1].rstrip().split(maxsplit=3) == ["├─", "round", "1", "Code and guide may differ."]
    assert lines[2].startswith("│  ├─ ✓ plan")
    assert lines[-2].startswith("└─ round 2")
    assert lines[-1].startswith("   └─ · plan")


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_no_line_is_wider_than_the_terminal(told: Any, width: int) -> None:
    state, _ = told()
    assert all(len(line) <= width for line in drawn(tree(state, {}, START + 4), width))


def test_ascii_where_the_terminal_knows_no_more(told: Any) -> None:
    state, _ = told("result.docs.s2")
    assert "\n".join(drawn(tree(state, {}, START + 4, plain=True, live=True))).isascii()


def test_control_characters_go_nowhere(told: Any) -> None:
    submitted = m.Submitted(request="\x1b]0;title\x07 a \x9b2J b\u202e")
    state, facts = told("dispatched.0", {"submitted": submitted})
    doing = {"plan.0": m.Progress(doing="\x1b[2Jx", at=START)}
    shown = "\n".join(
        [*drawn(tree(state, doing, START)), *fact_lines(state, facts[0]), progress_line(state, "plan.0", doing["plan.0"])]
    )
    assert not any(character in shown for character in "\x1b\x07\x9b\u202e")


def test_that_work_waits_for_room_is_told_once(told: Any) -> None:
    state, _ = told("submitted")
    names = ["timer.room", "due.room", "timer.room", "overdue.room-7", "due.room", "due.join"]
    lines = []
    for sequence, name in enumerate(names, 100):
        fact = Fact(FactName(*name.split(".")), None, sequence, START + 1)
        state.apply(fact)
        lines += fact_lines(state, fact)
    assert lines == ["   1.0 s  work waits for room in its queue", "   1.0 s  timer join"]


def test_lines_tell_the_story(told: Any) -> None:
    state, facts = told()
    lines = [line for fact in facts for line in fact_lines(state, fact)]
    assert lines == [
        "   0.0 s  task t1: How often does the client retry?",
        "   0.1 s  queued planning",
        "   0.4 s  planned 3 subtasks (0.2 s): Code and guide may differ.",
        "   0.4 s  s1 code: Find where retries are configured.",
        "   0.4 s  s2 docs: Find what the guide says about retries.",
        "   0.4 s  s3 docs: Compare both.",
        "   0.5 s  queued s1, s2",
        "   1.8 s  s1 complete (1.2 s): 1 finding",
        "   2.0 s  s2 failed (0.5 s, 2 attempts): it cannot be read",
        "   2.1 s  queued s3",
        "   2.5 s  s3 complete (0.3 s): 0 findings",
        "   2.6 s  queued writing",
        "   3.0 s  report complete (0.4 s, $0.05)",
        "   3.2 s  partial: s2 failed",
    ]


def test_lines_tell_of_attempts_in_vain_and_of_those_after_them(told: Any) -> None:
    state, _ = told("dispatched.1")
    refused = m.Spent(why="no server\x1b[2J", category="transient", attempt=1, seconds=2.0, worker="code-1")
    facts: list[tuple[str, m.Message]] = [
        ("begun.result.code.s1.1", m.Begun(worker="code-1")),
        ("spent.result.code.s1.1", refused),
        ("begun.result.code.s1.2", m.Begun(worker="code-1", attempt=2)),
        ("begun.result.code.s1.3", m.Begun(worker="code-2", attempt=3)),
        ("begun.result.docs.s2.2-1", m.Begun(worker="docs-2")),
        ("spent.result.docs.s2.2-1", m.Spent(why="it failed", attempt=1, seconds=1.0)),
        ("returned.plan.0.1", m.Returned(worker="o-1")),
        ("begun.plan.0.2", m.Begun(attempt=1)),
    ]
    lines = []
    for sequence, (name, message) in enumerate(facts, 100):
        type_, _, about = name.partition(".")
        fact = Fact(FactName(type_, about), message, sequence, START + 1)
        state.apply(fact)
        lines += fact_lines(state, fact)
    assert lines == [
        "   1.0 s  s1: attempt 1 in vain (2.0 s): transient: no server[2J",
        "   1.0 s  s1: attempt 2 begins on code-1",
        "   1.0 s  s1: attempt 3 begins on code-2: the worker of the one before fell silent",
        "   1.0 s  s2: a second attempt begins on docs-2: the first is slow",
        "   1.0 s  s2: a second attempt in vain (1.0 s): it failed",
        "   1.0 s  planning: attempt 1 begins",
    ]
