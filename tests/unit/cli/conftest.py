"""Tasks as facts, told in the order in which a real bus tells them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.state import State
from concertino.contracts.subjects import FactName

START = 1_800_000_000.0

S1 = m.Subtask(id="s1", kind="code", objective="Find where retries are configured.")
S2 = m.Subtask(id="s2", kind="docs", objective="Find what the guide says about retries.")
S3 = m.Subtask(id="s3", kind="docs", objective="Compare both.", depends_on=("s1", "s2"))
EVIDENCE = m.Evidence(digest="0f" * 32, span=(0, 9), source="src/retry.py", locator=m.Locator(lines=(3, 3)), quote="RETRIES=5")
REPORT = m.Report(
    text="# Retries\n\nThey stop after *five* [2], see [1].",
    citations=(
        m.Citation(id="10", source="a.pdf", locator=m.Locator(page=7), quote="`five` times"),
        m.Citation(id="2", source="src/retry.py", locator=m.Locator(lines=(3, 4)), quote="    RETRIES = 5\n    WAIT = 2"),
        m.Citation(id="1", source="https://example.org/x", locator=m.Locator(fragment="limits"), quote="five"),
    ),
    conflicts=(
        m.Conflict(
            statement="The guide says six.",
            positions=(m.Position(claim="five", citations=("2",)), m.Position(claim="six", citations=("1",))),
            resolution="five",
            why="Code decides.",
        ),
    ),
    gaps=("Who chose five.", "they stop after *five*"),
)

SPENT = m.Usage(model_calls=2, input_tokens=1200, output_tokens=34, cache_read_tokens=800, cost_usd=0.05)
STORY: list[tuple[str, m.Message | None, float]] = [
    (
        "submitted",
        m.Submitted(request="How often does the client retry?", sources=(m.Source(kind="code", location="/x"),)),
        0.0,
    ),
    ("dispatched.0", m.Dispatched(work=(("plan.0", 1),)), 0.1),
    ("plan.0", m.Planned(plan=m.Plan(subtasks=(S1, S2, S3), why="Code and guide may differ."), seconds=0.2), 0.4),
    ("dispatched.1", m.Dispatched(work=(("result.code.s1", 1), ("result.docs.s2", 1))), 0.5),
    ("result.code.s1", m.Result(findings=(m.Finding(claim="Five.", evidence=(EVIDENCE,)),), seconds=1.2), 1.8),
    (
        "result.docs.s2",
        m.Result(
            status=m.ResultStatus.FAILED, error=m.Failure(code="source", message="it cannot be read"), attempts=2, seconds=0.5
        ),
        2.0,
    ),
    ("dispatched.2", m.Dispatched(work=(("result.docs.s3", 1),)), 2.1),
    ("result.docs.s3", m.Result(seconds=0.3), 2.5),
    ("dispatched.3", m.Dispatched(work=(("synthesis.0", 1),)), 2.6),
    ("synthesis.0", m.Synthesized(report=REPORT, seconds=0.4, usage=SPENT, spent={"large": SPENT}), 3.0),
    ("outcome", m.Outcome(status=m.OutcomeStatus.PARTIAL, reason="s2 failed", report=REPORT), 3.2),
]

Told = Callable[..., tuple[State, list[Fact]]]


def _told(until: str = "outcome", instead: dict[str, Any] | None = None) -> tuple[State, list[Fact]]:
    state, facts = State("t1"), []
    for sequence, (name, message, after) in enumerate(STORY, 1):
        type_, _, about = name.partition(".")
        fact = Fact(FactName(type_, about), (instead or {}).get(name, message), sequence, START + after)
        state.apply(fact)
        facts.append(fact)
        if name == until:
            break
    return state, facts


@pytest.fixture
def told() -> Told:
    """``told(until, instead)``: the state and the facts up to the fact ``until``, some of them replaced."""
    return _told
