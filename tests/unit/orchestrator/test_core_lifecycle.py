"""The life cycle: one table, its picture, and where a task stands."""

from __future__ import annotations

import pytest
from story import BROKEN, FOUND, JOIN_AT, START, Story, brought, planned, report, subtask

from concertino.contracts.codec import decode, encode
from concertino.contracts.messages import Cancel, Submitted, Work
from concertino.contracts.state import State
from concertino.orchestrator.core.decide import phase
from concertino.orchestrator.core.lifecycle import START as FIRST
from concertino.orchestrator.core.lifecycle import TRANSITIONS, Phase, allowed, mermaid

PICTURE = """\
stateDiagram-v2
    [*] --> planning
    planning --> working: the plan is there and can be run
    planning --> ended: no plan, or one that cannot be run, or no more was asked for
    working --> writing: every result that is waited for is there, or the time for results is up
    working --> ended: every result is there, and no report was asked for
    writing --> planning: the report names gaps worth another round
    writing --> ended: the report is there, or cannot be had
    ended --> [*]
"""


def test_the_picture_is_the_table() -> None:
    assert mermaid() == PICTURE


@pytest.mark.parametrize("end", Phase)
def test_nothing_comes_after_the_end(end: Phase) -> None:
    assert allowed(Phase.ENDED, end) == (end == Phase.ENDED)


def test_from_every_phase_the_table_leads_to_the_end() -> None:
    for start in set(Phase) - {Phase.ENDED}:
        assert any(t.start == start and t.end == Phase.ENDED for t in TRANSITIONS)
        assert all(allowed(start, end) for end in Phase)


def test_a_task_goes_through_its_phases() -> None:
    assert phase(State("t"), START) == FIRST == Phase.PLANNING
    story = Story()
    assert phase(story.state, START) == Phase.PLANNING
    story.then("plan.0", planned(subtask("a")))
    assert phase(story.state, START) == Phase.WORKING
    assert phase(story.state, JOIN_AT) == Phase.WRITING
    story.then("result.web.a", FOUND)
    assert phase(story.state, START) == Phase.WRITING
    story.then("synthesis.0", report("who pays?"))
    assert phase(story.state, START) == Phase.PLANNING
    story.then("plan.1", planned(subtask("b")))
    assert phase(story.state, START) == Phase.WORKING
    story.then("cancel", Cancel())
    story.then("outcome", story.ended())
    assert phase(story.state, START) == Phase.ENDED


def test_what_is_asked_at_length_is_planned_and_written_about() -> None:
    asked = "What is it? " * 8_000
    story = Story(Submitted(request=asked))
    planning = story.sent()
    story.then("plan.0", planned(subtask("a")))
    story.sent()
    story.then("result.web.a", FOUND)
    for work in (*planning, *story.sent()):
        assert decode(Work, encode(work)).request == asked


def test_failures_are_results() -> None:
    assert phase(brought(subtask("a")).then("result.web.a", BROKEN).state, START) == Phase.WRITING
