"""What the page on models says is what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from concertino.contracts.messages import Effort, Limits
from concertino.model import prompts
from concertino.model.anthropic.budget import Budget
from concertino.model.anthropic.defaults import chosen
from concertino.model.anthropic.research import COMPACT_AT
from concertino.model.pricing import shipped
from concertino.runtime.config import Config
from concertino.worker.tools import Toolbox
from kit.claude import work

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def tables(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("page", ["models.md", "workers.md", "operations.md"])
def test_configurations_can_be_read(page: str) -> None:
    for table in tables((ROOT / "docs" / page).read_text(encoding="utf-8")):
        msgspec.convert(tomllib.loads(table), Config)


def test_every_kind_thinks_with_what_the_page_says() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([^|]*`[^|]*) \| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)
    said = {kind: (model, fallback) for kinds, model, fallback in rows for kind in re.findall("`([a-z]+)`", kinds)}
    assert set(said) == {"plan", "web", "code", "docs", "general", "synthesize"}
    for kind, models in said.items():
        choice = chosen(kind, Config())
        assert (choice.model, choice.fallback) == models
    assert {model for models in said.values() for model in models} <= set(shipped())


def test_every_prompt_is_named() -> None:
    files = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.md")]
    written = {path.name for path in files if path.read_text(encoding="utf-8").startswith("---\nname: ")}
    assert {prompts.load(path).name for path in files if path.name in written}
    assert written == set(re.findall(r"`([a-z]+\.md)`", PAGE))


def test_numbers() -> None:
    efforts: tuple[Effort, ...] = ("low", "medium", "high")
    calls = [Budget(Toolbox(), work(limits=Limits(effort=effort))).allowed for effort in efforts]
    assert f"{calls[0]}, {calls[1]} or {calls[2]}, for low, medium and high effort" in PAGE
    assert f"more than {COMPACT_AT:,} tokens" in PAGE
