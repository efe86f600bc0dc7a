"""What asks for a check, what a check says, and what stays a question."""

from __future__ import annotations

from typing import Any

import pytest

from concertino.contracts.errors import Refused
from concertino.contracts.messages import Locator, Passage, Source, Subtask, Work
from concertino.model.extractive.checking import wanted
from concertino.model.extractive.research import research
from concertino.model.observation import Checked, Observation
from concertino.model.port import Claim, Quote, Research
from concertino.retrieval.search import SearchResult
from concertino.worker.tools import Toolbox

LINE = Passage(source="a.py", text="x = 1", locator=Locator(lines=(3, 3)), root="/src")


async def lint(path: str = "") -> Checked:
    """Check for dead code, unused functions, unreachable code. It takes a while."""
    return Checked("dead code", (Observation("dead code", "`a.py` is dead.", "low", 0.8, (LINE,), "Delete it."),))


async def locks() -> Checked:
    """Check for leaked keys, hard-coded passwords, secrets."""
    return Checked("secrets", (), "3 files", ("one file was too large",))


async def blind() -> Checked:
    """Check for lost causes."""
    return Checked("causes", (), "", ("there is nothing to look at",))


async def search(query: str, limit: int = 20) -> SearchResult:
    """Find dead code, or anything else that is written."""
    return SearchResult((), {}, 3)


def tools(*functions: Any, max_calls: int | None = None) -> Toolbox:
    box = Toolbox(max_calls=max_calls)
    box.add(*(functions or (search, lint, locks)))
    return box


@pytest.mark.parametrize(
    ("objective", "checks"),
    [
        ("Find dead code.", ["lint"]),
        ("Audit these repositories: dead code, secrets, and what else there is.", ["lint", "locks"]),
        ("Audit this repository.", ["lint", "locks"]),
        ("Please do a security audit of it", ["lint", "locks"]),
        ("Which functions are unused?", ["lint"]),
        ("Are there hard-coded passwords or leaked keys?", ["locks"]),
        ("Check the code for secrets", ["locks"]),
        ("Audit the keys (leaked, hard-coded).", ["locks"]),
        ("How are unused functions found?", []),
        ("Where are secrets kept?", []),
        ("Find where the secrets are kept", []),
        ("What does the audit log hold?", []),
        ("Audit logs: which fields do they have?", []),
        ("Find the class that reads secrets from the environment of the process at start", []),
        ("Explain dead code elimination", []),
        ("List the settings and their defaults", []),
    ],
)
def test_what_asks_for_a_check(objective: str, checks: list[str]) -> None:
    assert wanted(objective, tools().specs) == checks
    assert wanted(objective, tools(search).specs) == []


def job(objective: str, box: Toolbox) -> Research:
    brief = Subtask(id="s1", kind="code", objective=objective)
    source = Source(kind="code", location="/src")
    return Research(
        work=Work(task="t", id="result.s1", attempt=1, request="?", brief=brief, sources=(source,), deadline=1.0), tools=box
    )


async def test_what_is_observed_becomes_claims_and_the_rest_gaps() -> None:
    found = await research(job("Find dead code and secrets", tools()))
    assert found.claims == (
        Claim(
            claim="`a.py` is dead.",
            quotes=(Quote("a.py", "x = 1", "/src"),),
            quality=0.9,
            confidence=0.8,
            severity="low",
            topic="dead code",
            advice="Delete it.",
        ),
    )
    assert found.gaps == ("secrets: one file was too large", "secrets: nothing found")


async def test_where_there_was_nothing_to_look_at_nothing_is_said_to_be_in_order() -> None:
    found = await research(job("Audit this repository.", tools(blind)))
    assert found.gaps == ("causes: there is nothing to look at",)


async def test_calls_that_are_used_up_are_a_gap() -> None:
    found = await research(job("Find dead code and secrets", tools(search, lint, locks, max_calls=1)))
    assert len(found.claims) == 1
    assert found.gaps[0].startswith("locks: this brief allows 1 tool calls")


async def test_a_question_is_searched_for() -> None:
    box = tools()
    await research(job("How is dead code found?", box))
    with pytest.raises(Refused, match="called with just these arguments"):
        await box.call("search", query="dead code found", limit=40)
