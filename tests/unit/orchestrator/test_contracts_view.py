"""The JSON of a task: its names are a contract."""

from __future__ import annotations

import json
from typing import Any

from msgspec import structs
from story import BROKEN, FOUND, JOIN_AT, Story, brought, planned, report, subtask

from concertino.contracts.messages import (
    Citation,
    Conflict,
    Failure,
    Limits,
    Locator,
    Outcome,
    OutcomeStatus,
    Position,
    Report,
    ResultStatus,
    Spent,
    Submitted,
    Synthesized,
    Usage,
)
from concertino.contracts.view import view

REPORT = Report(
    text="It is so [1].",
    citations=(
        Citation(id="1", source="docs/a.md", locator=Locator(lines=(3, 4)), quote="so it is", root="/srv/docs"),
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
    story.then("result.web.a", structs.replace(FOUND, seconds=1.23456, attempts=2, usage=spent)).then("result.code.b", BROKEN)
    story.sent()
    story.then("synthesis.0", Synthesized(report=REPORT, usage=spent))
    return story.then("outcome", story.ended())


def test_a_finished_task_has_every_name_of_the_contract() -> None:
    found = seen(finished())

    names = {"task", "status", "reason", "report", "plan", "subtasks", "usage", "by_kind", "by_model", "max_tokens", "max_cost"}
    assert set(found) == names | {"again", "redriven", "limits"}
    assert (found["task"], found["status"]) == ("t", "partial")
    assert set(found["report"]) == {"text", "citations", "conflicts", "gaps", "checked", "dropped", "marked"}
    assert found["report"]["citations"] == [
        {"id": "1", "source": "docs/a.md", "locator": {"lines": [3, 4]}, "quote": "so it is", "root": "/srv/docs"},
        {"id": "2", "source": "https://a.example", "locator": {"fragment": "top"}, "quote": "no", "root": ""},
        {"id": "3", "source": "b.pdf", "locator": {"page": 2}, "quote": "maybe", "root": ""},
    ]
    assert found["report"]["conflicts"] == [
        {"statement": "is it?", "positions": [{"claim": "yes", "citations": ["1"]}], "resolution": "yes", "why": "said"}
    ]
    assert found["report"]["gaps"] == ["who pays?"]
    [round_] = found["plan"]["rounds"]
    assert set(round_) == {"why", "subtasks", "planning", "writing"}
    assert round_["planning"] is None  # the caller brought it
    assert (round_["writing"]["status"], round_["writing"]["usage"]["cost_usd"]) == ("complete", 0.5)
    assert [s["id"] for s in round_["subtasks"]] == ["a", "b"]
    assert found["usage"] == usage(model_calls=2, input_tokens=20, output_tokens=4, cost_usd=1.0)
    # What a handler gives as a sum alone is booked where its model's name would stand.
    assert found["by_model"] == {"?": found["usage"]}


def usage(**taken: float) -> dict[str, float]:
    return dict.fromkeys(Usage.__struct_fields__, 0) | taken


def test_what_was_spent_is_seen_by_kind_and_by_model_that_of_attempts_in_vain_too() -> None:
    big, small = Usage(model_calls=1, cache_read_tokens=7, cost_usd=2.0), Usage(model_calls=3, output_tokens=5, cost_usd=0.25)
    story = Story().then("plan.0", structs.replace(planned(subtask("a", kind="code")), usage=big, spent={"large": big}))
    story.sent()
    story.then("spent.result.code.a.1", Spent(why="overloaded", usage=small, spent={"small": small}))
    story.then("spent.synthesis.0.1", Spent(why="handed back", usage=big, spent={"large": big}))
    result = structs.replace(FOUND, usage=small + big, spent={"small": small, "large": big}, model="small", prompt="code-3")
    story.then("result.code.a", result)
    found = seen(story)

    assert found["by_kind"] == {
        "plan": usage(model_calls=1, cache_read_tokens=7, cost_usd=2.0),
        "code": usage(model_calls=7, output_tokens=10, cache_read_tokens=7, cost_usd=2.5),
        "synthesize": usage(model_calls=1, cache_read_tokens=7, cost_usd=2.0),
    }
    assert found["by_model"] == {
        "large": usage(model_calls=3, cache_read_tokens=21, cost_usd=6.0),
        "small": usage(model_calls=6, output_tokens=10, cost_usd=0.5),
    }
    assert found["usage"]["cost_usd"] == 6.5
    [a] = found["subtasks"]
    assert (a["model"], a["prompt"], a["usage"]["cost_usd"]) == ("small", "code-3", 2.25)
    [round_] = found["plan"]["rounds"]
    assert (round_["planning"]["usage"]["cost_usd"], round_["writing"]) == (2.0, None)


def test_a_shortfall_stands_beside_what_was_found() -> None:
    story = brought(subtask("a"))
    story.sent()
    short = Failure(code="model_refused", message="the model declines")
    story.then(
        "result.web.a",
        structs.replace(FOUND, status=ResultStatus.PARTIAL, error=short, gaps=("who pays?",), notes=("b.pdf is empty",)),
    )
    [a] = seen(story)["subtasks"]
    assert (a["status"], a["error"], a["gaps"], a["notes"]) == (
        "partial",
        "the model declines",
        ["who pays?"],
        ["b.pdf is empty"],
    )
    assert len(a["findings"]) == 1


def test_a_subtask_has_every_name_of_the_contract() -> None:
    a, b = seen(finished())["subtasks"]

    assert {"id", "kind", "objective", "status", "attempts", "findings", "seconds"} <= set(a)
    assert (a["id"], a["kind"], a["objective"], a["status"]) == ("a", "web", "look into a", "complete")
    assert (a["attempts"], a["seconds"], a["findings"]) == (2, 1.235, [{"claim": "so it is"}])
    assert (b["status"], b["error"]) == ("failed", "src does not exist")


def test_a_budget_is_what_was_asked_for_until_the_outcome_says_what_applied() -> None:
    story = Story(Submitted(request="What is it?", limits=Limits(max_cost=5.0)))
    assert (seen(story)["max_tokens"], seen(story)["max_cost"]) == (None, 5.0)
    story.then("outcome", Outcome(status=OutcomeStatus.FAILED, reason="none", max_cost=2.0))
    assert (seen(story)["max_tokens"], seen(story)["max_cost"]) == (None, 2.0)


def test_a_task_on_its_way_says_where_each_part_stands() -> None:
    story = Story()
    assert seen(story) | {"usage": None} == {
        "by_kind": {},
        "by_model": {},
        "max_tokens": None,
        "max_cost": None,
        "limits": {"deadline": 100.0},
        "task": "t",
        "status": "running",
        "reason": "",
        "report": None,
        "plan": {"rounds": []},
        "subtasks": [],
        "usage": None,
        "again": "",
        "redriven": [],
    }
    story.then("plan.0", planned(subtask("a"), subtask("b", "a")))
    story.sent()
    assert [s["status"] for s in seen(story)["subtasks"]] == ["queued", "waiting"]
    story.then("result.web.a", FOUND).due("join")
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
