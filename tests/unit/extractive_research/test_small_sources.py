"""A few short files: what is in them is found, though few words are known there, and what is not in them is not made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from concertino.code.code import Code
from concertino.contracts.messages import Source, Subtask, Work
from concertino.docs.tools import Docs
from concertino.model.extractive import Extractive
from concertino.model.port import Research
from concertino.retrieval.cache import Cache
from concertino.worker.tools import Toolbox

CLIENT = """class Client:
    def __init__(self, max_retries: int = 5, timeout: float = 30.0) -> None:
        self.max_retries = max_retries
        self.timeout = timeout
"""
OPERATIONS = {
    "README.md": "# Tool\n\nA small tool for keeping notes.\n",
    "backup.md": "# Backups\n\nBackups run every night at two o'clock and are kept for thirty days.\n\n## Restoring\n\n"
    "To restore a backup, run `tool restore --from DATE`. The service must be stopped first.\n",
    "deploy.md": "# Deployment\n\nUse `make deploy` to roll out a new version. Rolling back is done with `make rollback`.\n",
    "faq.md": "# FAQ\n\n## Why is it slow on the first start?\n\nThe cache is empty then, so everything is read from disk.\n",
    "security.md": "# Security\n\nPasswords are hashed with argon2. API tokens expire after 90 days.\n",
}


async def first(folder: Path, kind: str, files: dict[str, str], asked: str) -> str:
    """The file that is quoted first; empty where nothing is."""
    source = folder / "source"
    source.mkdir()
    for name, text in files.items():
        (source / name).write_text(text)
    given = [Source(kind=kind, location=str(source))]
    opened = await (Code if kind == "code" else Docs).open(given, Cache(folder / "cache"))
    tools = Toolbox()
    tools.add(*opened.tools())
    brief = Subtask(id="s1", kind=kind, objective=asked)
    work = Work(task="t", id="result.s1", attempt=1, request=asked, brief=brief, deadline=1e12)
    answer = await Extractive().research(Research(work=work, tools=tools))
    await opened.close()
    return answer.value.claims[0].quotes[0].source if answer.value.claims else ""


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        ("How long are backups kept?", "backup.md"),
        ("How do I restore from a backup?", "backup.md"),
        ("when do tokens expire?", "security.md"),
        ("how do I undo a deployment?", "deploy.md"),
        ("Why does the first start take so long?", "faq.md"),
        ("What is this tool for?", "README.md"),
        ("Which payment providers are supported?", ""),
        ("How do I set up single sign-on?", ""),
        ("How do I change the colour theme?", ""),
    ],
)
@pytest.mark.parametrize("kind", ["docs", "code"])
async def test_a_handful_of_pages(tmp_path: Path, kind: str, asked: str, file: str) -> None:
    assert await first(tmp_path, kind, OPERATIONS, asked) == file


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("what is the default of max_retries?", True),
        ("what is the default timeout?", True),
        ("How many retries does the client do by default?", True),
        ("does it support websockets?", False),
    ],
)
async def test_one_file_of_code(tmp_path: Path, asked: str, found: bool) -> None:
    assert bool(await first(tmp_path, "code", {"client.py": CLIENT}, asked)) is found


@pytest.mark.parametrize(("asked", "found"), [("timeout", True), ("What is the timeout?", True), ("How do I log in?", False)])
async def test_one_sentence(tmp_path: Path, asked: str, found: bool) -> None:
    assert bool(await first(tmp_path, "docs", {"a.txt": "The default timeout is 30 seconds.\n"}, asked)) is found


async def test_two_sources_may_hold_a_file_of_one_name(tmp_path: Path) -> None:
    given = []
    for name, seconds in (("old", 30), ("new", 45)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "guide.md").write_text(f"The default timeout is {seconds} seconds.\n")
        given.append(Source(kind="docs", location=str(tmp_path / name)))
    opened = await Docs.open(given, Cache(tmp_path / "cache"))
    tools = Toolbox()
    tools.add(*opened.tools())
    brief = Subtask(id="s1", kind="docs", objective="What is the default timeout?")
    work = Work(task="t", id="result.s1", attempt=1, request="?", brief=brief, deadline=1e12)
    answer = await Extractive().research(Research(work=work, tools=tools))
    await opened.close()
    assert {quote.text for claim in answer.value.claims for quote in claim.quotes} == {
        "The default timeout is 30 seconds.",
        "The default timeout is 45 seconds.",
    }
