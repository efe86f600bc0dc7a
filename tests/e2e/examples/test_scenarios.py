"""The scenarios that need neither a key nor the web, run as a reader would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.nats]

SCENARIOS = Path(__file__).parents[3] / "examples" / "scenarios"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Without a bus, without a key: whatever the machine has set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CTN_", "ANTHROPIC_"))}
    return kept | {"CTN_CACHE": str(tmp_path_factory.mktemp("cache"))}


def ask(name: str, environment: dict[str, str], *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "concertino.cli", "ask", f"@{SCENARIOS / name}", "--json", "--quiet", *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    task = json.loads(done.stdout)
    assert isinstance(task, dict)
    assert task["usage"]["model_calls"] == 0
    return task


def quotes(task: dict[str, Any]) -> str:
    return "\n".join(citation["quote"] for citation in task["report"]["citations"])


def sources(task: dict[str, Any]) -> set[str]:
    return {citation["source"] for citation in task["report"]["citations"]}


def test_the_literature_review_finds_what_the_papers_found_and_where_they_disagree(environment: dict[str, str]) -> None:
    task = ask("literature", environment)
    assert task["status"] == "answered"
    assert {"dropping.pdf", "contention.pdf", "budgets.pdf", "hedging.pdf", "guide.pdf"} <= sources(task)
    assert "Up to 75 per cent load three attempts are safe" in quotes(task)
    assert "costs 4.9 per cent more requests" in " ".join(quotes(task).split())
    [conflict] = task["report"]["conflicts"]
    assert {position["claim"] for position in conflict["positions"]} == {
        "`max_attempts` is 5 (guide.pdf)",
        "`max_attempts` is 3 (budgets.pdf)",
    }


def test_the_contract_review_quotes_both_contracts_where_they_differ(environment: dict[str, str]) -> None:
    task = ask("contract", environment)
    assert task["status"] == "answered"
    assert sources(task) == {"agreement.docx", "data-processing.md"}
    for differing in ("within 48 hours", "within ten working days", "law of Delaware", "law of Germany"):
        assert differing in quotes(task)


def test_the_architecture_study_reads_code_and_documents(environment: dict[str, str]) -> None:
    task = ask("architecture", environment)
    assert task["status"] == "answered"
    assert {subtask["kind"] for subtask in task["subtasks"]} == {"code", "docs"}
    assert any(source.endswith(".py") for source in sources(task))
    assert any(source.endswith(".md") for source in sources(task))


def test_options_on_the_command_line_replace_what_the_file_says(environment: dict[str, str]) -> None:
    task = ask("literature", environment, "--docs", str(SCENARIOS / "literature" / "papers" / "hedging.pdf"), "--effort", "low")
    assert sources(task) == {"hedging.pdf"}
    assert len(task["subtasks"]) == 1
