"""A prompt is versioned: whoever changes its text raises its number, so that a result says which words it was made with."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from concertino.model import prompts

ROOT = Path(__file__).parents[3]
LEDGER = Path(__file__).with_name("prompts.toml")
FILES = sorted(
    path
    for folder in ("libs", "services")
    for path in (ROOT / folder).rglob("*.md")
    if path.read_text(encoding="utf-8").startswith("---\nname: ")
)


def digest(path: Path) -> str:
    return hashlib.sha256(prompts.load(path).text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_text_is_that_of_its_number(path: Path) -> None:
    ledger = tomllib.loads(LEDGER.read_text(encoding="utf-8"))
    prompt, found = prompts.load(path), digest(path)
    named, _, number = prompt.id.rpartition("-")
    following = f"{named}-{int(number) + 1}"
    assert ledger.get(prompt.id, found) == found, (
        f'{path} has changed: make it version {int(number) + 1}, and add to {LEDGER.name}: {following} = "{found}"'
    )
    assert prompt.id in ledger, f'add to {LEDGER.name}: {prompt.id} = "{found}"'


def test_each_has_a_name_of_its_own() -> None:
    names = [prompts.load(path).name for path in FILES]
    assert sorted(set(names)) == sorted(names)
    assert {"plan", "research", "web", "code", "docs", "general", "digest", "weigh", "write"} <= set(names)


@pytest.mark.parametrize("text", ["Hello.", "---\nname: x\n---\nHello.", "---\nname: X\nversion: 1\n---\nHello."])
def test_a_head_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.md").write_text(text)
    with pytest.raises(ValueError, match=r"x\.md: a prompt begins with"):
        prompts.load(tmp_path / "x.md")


def test_a_text_without_a_file_is_versioned_by_what_it_says() -> None:
    one, other = prompts.written("mine", "Look."), prompts.written("mine", "Look twice.")
    assert one.id != other.id
    assert prompts.joined(one, other).id == f"{one.id} {other.id}"
    assert prompts.joined(one, other).text == "Look.\n\nLook twice."
