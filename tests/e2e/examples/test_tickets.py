"""The example of a worker that thinks: its tool, its prompt and its quotes, against a server that speaks the API."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from concertino.client import Limits, Source
from concertino.contracts.messages import Plan, Subtask
from concertino.runtime.settings import Settings
from concertino.testing import MessagesApi, Say, Tool, UseTools
from concertino.worker import Worker
from kit.team import Team, in_memory

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "tickets.py"
TICKETS = [
    {"id": 7, "date": "2026-03-01", "text": "The invoice came twice."},
    {"id": 9, "date": "2026-04-01", "text": "My invoice shows the wrong address."},
    {"id": 8, "date": "2026-05-01", "text": "The app is slow."},
]


def example() -> Worker:
    spec = importlib.util.spec_from_file_location("tickets", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    worker = module.worker
    assert isinstance(worker, Worker)
    return worker


async def test_it_finds_quotes_and_is_metered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = tmp_path / "export.jsonl"
    export.write_text("\n".join(map(json.dumps, TICKETS)))
    claim = {
        "claim": "A customer was sent an invoice twice.",
        "quotes": [{"source": "ticket-7", "text": "The invoice came twice."}],
        "quality": 0.6,
        "confidence": 0.9,
    }
    settings = Settings(cache=str(tmp_path / "cache"))
    objective = "What do customers say about invoices?"
    source = Source(kind="tickets", location=str(export))
    plan = Plan(subtasks=(Subtask(id="s1", kind="tickets", objective=objective),), synthesize=False)
    async with MessagesApi() as api:
        for name, value in api.environment().items():
            monkeypatch.setenv(name, value)
        api.on(
            lambda asked: asked.offers("find"),
            UseTools(Tool("find", words="invoice")),
            Say(json={"claims": [claim], "gaps": ["since when"]}),
        )
        async with Team(in_memory(settings), settings, [example()]) as client:
            task = await client.ask(objective, sources=[source], plan=plan, limits=Limits(deadline=240, max_rounds=1))
        assert not api.unexpected
        first, second = api.asked[:2]
    assert "A ticket is what one customer says." in first.system
    [results] = second.results
    assert results.index("wrong address") < results.index("came twice")  # the newest first
    assert "app is slow" not in results
    [subtask] = task.subtasks
    [finding] = subtask.findings
    assert (finding.evidence[0].source, finding.evidence[0].locator.fragment) == ("ticket-7", "2026-03-01")
    assert subtask.gaps == ("since when",)
    assert subtask.usage.model_calls == 2
    assert set(task.by_kind) == {"tickets"}
    assert subtask.prompt.startswith("research-")


def test_the_page_shows_its_heart() -> None:
    page, source = (ROOT / "docs" / "workers.md").read_text(encoding="utf-8"), EXAMPLE.read_text(encoding="utf-8")
    shown = page.split("```python\n")[1].split("```")[0]
    assert shown in source
