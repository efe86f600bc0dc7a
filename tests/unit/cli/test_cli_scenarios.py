"""The scenarios that ship: each can be read, is described, and has the documents that its texts make."""

from __future__ import annotations

import re
import runpy
import tomllib
import zipfile
from pathlib import Path

import pytest
from pypdf import PdfReader

from concertino.cli.question import TaskOptions, question
from concertino.cli.scenario import Scenario, read_scenario

EXAMPLES = Path(__file__).parents[3] / "examples"
SCENARIOS = sorted(path.parent for path in EXAMPLES.glob("scenarios/*/task.toml"))
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_there_are_some() -> None:
    assert {"architecture", "contract", "literature", "market"} <= {folder.name for folder in SCENARIOS}


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_each_can_be_read_and_its_sources_are_there(folder: Path) -> None:
    asked = question(f"@{folder}", TaskOptions())
    assert asked.request.strip()
    assert asked.sources
    assert asked.limits.deadline <= 3600


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_each_is_described_in_its_own_words(folder: Path) -> None:
    shows = read_scenario(folder / "task.toml").shows
    assert f"| [`{folder.name}`](scenarios/{folder.name}) | {shows} |" in README


def test_the_readme_names_every_key() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert set(tomllib.loads(block)) == set(Scenario.__struct_fields__) - {"plan"}


@pytest.mark.parametrize(("name", "made"), [("literature", "papers"), ("contract", "contracts")])
def test_the_documents_are_what_their_texts_make(name: str, made: str, tmp_path: Path) -> None:
    folder = EXAMPLES / "scenarios" / name
    runpy.run_path(str(folder / "typeset.py"))["main"](tmp_path)
    assert list(tmp_path.iterdir())
    for path in tmp_path.iterdir():
        assert text(path) == text(folder / made / path.name), f"run {folder / 'typeset.py'}"


def text(path: Path) -> list[str]:
    """By page; of a Word document, its XML."""
    if path.suffix == ".pdf":
        return [page.extract_text() for page in PdfReader(path).pages]
    with zipfile.ZipFile(path) as archive:
        return [archive.read("word/document.xml").decode()]
