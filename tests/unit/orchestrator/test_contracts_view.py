"""The JSON of a task: its names are a contract."""

from __future__ import annotations

import json
from typing import Any

from msgspec import structs
from story import BROKEN, FOUND, JOIN_AT, Story, brought, planned, report, subtask

from concertino.contracts.messages import Citation, Conflict, Locator, Position, Report, Synthesized, Usage
from concertino.contracts.view import view

REPORT = Report(
    text="It is so [1].",
    citations=(
        Citation(id="1", source="docs/a.md", locator=Locator(lines=(3, 4)), quote="so it is"),
        Citation(id="2", source="https://a.example", locator=Locator(fragment="top"), quote="no"),
        Citation(id="3", source="b.pdf", locator=Locator(page=2), quote="maybe"),
    ),
    conflicts=(
        Conflict(statement="is it?", positions=(Position(claim="yes", citations=("1",)),), resolution="yes", why="said"),
    ),
    gaps=("who pays?",),
)


def seen(story: Story) -> dict[str, Any]:
    found = json.loads(view(story.state).to_json())
    assert isinstance(found, dict)
    return found


def finished() -> Story:
    spent = Usage(model_calls=1, input_tokens=10, output_tokens=2, cost_usd=0.5)
    story = brought(subtask("a"), subtask("b", kind="code"))
    story.sent()
    story.then("result.a", structs.replace(FOUND, seconds=1.23456, attempts=2, usage=spent)).then("result.b", BROKEN)
    story.sent()
    story.then("synthesis.0", Synthesized(report=REPORT, usage=spent))
    return story.then("outcome", story.ended())


def test_a_finished_task_has_every_name_of_the_contract() -> None:
    found = seen(finished())

    assert set(found) == {"task", "status", "reason", "report", "plan", "subtasks", "usage"}
    assert (found["task"], found["status"]) == ("t", "partial")
    assert set(found["report"]) == {"text", "citations", "conflicts", "gaps"}
    assert found["report"]["citations"] == [
        {"id": "1", "source": "docs/a.md", "locator": {"lines": [3, 4]}, "quote": "so it is"},
        {"id": "2", "source": "https://a.example", "locator": {"fragment": "top"}, "quote": "no"},
        {"id": "3", "source": "b.pdf", "locator": {"page": 2}, "quote": "maybe"},
    ]
    assert found["report"]["conflicts"] == [
        {"statement": "is it?", "positions": [{"claim": "yes", "citations": ["1"]}], "resolution": "yes", "why": "said"}
    ]
    assert found["report"]["gaps"] == ["who pays?"]
    [round_] = found["plan"]["rounds"]
    assert set(round_) == {"why", "subtasks"}
    assert [s["id"] for s in round_["subtasks"]] == ["a", "b"]
    assert found["usage"] == {"model_calls": 2, "input_tokens": 20, "output_tokens": 4, "cost_usd": 1.0}


def test_a_subtask_has_every_name_of_the_contract() -> None:
    a, b = seen(finished())["subtasks"]

    assert {"id", "kind", "objective", "status", "attempts", "findings", "seconds"} <= set(a)
    assert (a["id"], a["kind"], a["objective"], a["status"]) == ("a", "web", "look into a", "complete")
    assert (a["attempts"], a["seconds"], a["findings"]) == (2, 1.235, [{"claim": "so it is"}])
    assert (b["status"], b["error"]) == ("failed", "src does not exist")


def test_a_task_on_its_way_says_where_each_part_stands() -> None:
    story = Story()
    assert seen(story) | {"usage": None} == {
        "task": "t",
        "status": "running",
        "reason": "",
        "report": None,
        "plan": {"rounds": []},
        "subtasks": [],
        "usage": None,
    }
    story.then("plan.0", planned(subtask("a"), subtask("b", "a")))
    story.sent()
    assert [s["status"] for s in seen(story)["subtasks"]] == ["queued", "waiting"]
    story.then("result.a", FOUND).due("join")
    story.sent()
    story.then("synthesis.0", report())
    assert [s["status"] for s in seen(story)["subtasks"]] == ["complete", "waiting"]
    story.then("outcome", story.ended(JOIN_AT))
    assert [s["status"] for s in seen(story)["subtasks"]] == ["complete", "missing"]


def test_rounds_follow_each_other() -> None:
    story = Story().then("plan.0", planned(subtask("a"))).then("plan.1", planned(subtask("b")))
    story.then("plan.3", planned(subtask("d")))  # of a round that nobody began

    assert [[s["id"] for s in r["subtasks"]] for r in seen(story)["plan"]["rounds"]] == [["a"], ["b"]]
    assert [s["id"] for s in seen(story)["subtasks"]] == ["a", "b"]
