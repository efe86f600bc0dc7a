"""Rows say of each piece of work where it stands, and fold where there is little room."""

from __future__ import annotations

from typing import Any

import pytest

from concertino.cli.show.rows import Group, Mark, Row, fit, groups
from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.subjects import FactName

START = 1_800_000_000.0
SAYS = m.Progress(doing="reading\n\x1b[2Jguide.md", at=START + 0.6)


def marks(group: Group) -> list[tuple[str, Mark]]:
    return [(row.kind, row.mark) for row in group.rows]


def test_before_the_plan_only_planning_is_seen(told: Any) -> None:
    state, _ = told("submitted")
    [group] = groups(state, {}, START)
    assert marks(group) == [("plan", Mark.WAITING)]
    state, _ = told("dispatched.0")
    [group] = groups(state, {}, START + 0.3)
    assert marks(group) == [("plan", Mark.QUEUED)]
    assert group.rows[0].seconds == pytest.approx(0.2)


def test_queued_becomes_running_when_it_speaks(told: Any) -> None:
    state, _ = told("dispatched.1")
    [group] = groups(state, {"result.docs.s2": SAYS}, START + 1.5)
    assert marks(group) == [("plan", Mark.COMPLETE), ("code", Mark.QUEUED), ("docs", Mark.RUNNING), ("docs", Mark.WAITING)]
    assert group.rows[2].doing == "reading [2Jguide.md"
    assert group.rows[2].seconds == pytest.approx(1.0)
    assert group.rows[3].note == "after s1, s2"


def test_a_later_attempt_is_named(told: Any) -> None:
    state, _ = told("dispatched.1")
    [group] = groups(state, {"result.code.s1": m.Progress(doing="x", at=START, attempt=3)}, START + 1)
    assert group.rows[1].note == "attempt 3"


CODE = "result.code.s1"
REFUSED = m.Spent(why="no server", category="transient", attempt=1, seconds=0.4)


@pytest.mark.parametrize(
    ("names", "said", "found"),
    [
        (["begun.1"], None, (Mark.RUNNING, "", "")),
        (["begun.1"], m.Progress(doing="x", at=START, attempt=1), (Mark.RUNNING, "", "x")),
        (["spent.1"], None, (Mark.QUEUED, "to be tried again", "attempt 1 in vain: transient: no server")),
        (
            ["spent.1"],
            m.Progress(doing="x", at=START, attempt=1),
            (Mark.QUEUED, "to be tried again", "attempt 1 in vain: transient: no server"),
        ),
        (["spent.1"], m.Progress(doing="x", at=START + 90, attempt=1), (Mark.RUNNING, "", "x")),
        (["spent.1", "begun.2"], None, (Mark.RUNNING, "attempt 2", "attempt 1 in vain: transient: no server")),
        (["begun.2"], None, (Mark.RUNNING, "attempt 2", "attempt 1 in vain: its worker fell silent")),
        (
            ["begun.1", "begun.2"],
            m.Progress(doing="x", at=START + 90, attempt=1),
            (Mark.RUNNING, "attempt 2", "attempt 1 in vain: its worker fell silent"),
        ),
        (["begun.2"], m.Progress(doing="x", at=START, attempt=2), (Mark.RUNNING, "attempt 2", "x")),
        (["returned.1"], None, (Mark.QUEUED, "", "")),
        (["begun.2-1"], None, (Mark.QUEUED, "", "")),
    ],
)
def test_what_the_log_says_of_attempts_is_seen_where_it_came_last(
    told: Any, names: list[str], said: m.Progress | None, found: tuple[Mark, str, str]
) -> None:
    state, _ = told("dispatched.1")
    for sequence, name in enumerate(names, 100):
        type_, _, nth = name.partition(".")
        message: m.Message = REFUSED
        if type_ == "begun":
            message = m.Begun(attempt=int(nth.partition("-")[0]), worker="code-1")
        elif type_ == "returned":
            message = m.Returned(worker="code-1")
        state.apply(Fact(FactName(type_, f"{CODE}.{nth}"), message, sequence, START + 1 + sequence / 1000))
    [group] = groups(state, {CODE: said} if said else {}, START + 100)
    row = group.rows[1]
    assert (row.mark, row.note, row.doing) == found


def test_in_the_end(told: Any) -> None:
    state, _ = told()
    [group] = groups(state, {"result.docs.s2": SAYS}, START + 100)
    assert marks(group) == [
        ("plan", Mark.COMPLETE),
        ("code", Mark.COMPLETE),
        ("docs", Mark.FAILED),
        ("docs", Mark.COMPLETE),
        ("report", Mark.COMPLETE),
    ]
    assert [row.note for row in group.rows] == ["", "1 finding", "2 attempts", "nothing found", "$0.05"]
    assert group.rows[2].doing == "it cannot be read"
    assert group.rows[1].seconds == 1.2


def test_what_did_not_end_is_named_as_such(told: Any) -> None:
    state, _ = told("dispatched.1")
    state.outcome = m.Outcome(status=m.OutcomeStatus.CANCELLED, reason="enough")
    [group] = groups(state, {"result.docs.s2": SAYS}, START + 1)
    assert [(row.mark, row.note) for row in group.rows[1:]] == [
        (Mark.MISSING, "did not end"),
        (Mark.MISSING, "did not end"),
        (Mark.MISSING, "not begun"),
    ]


def test_a_plan_that_was_only_to_be_made_lacks_nothing(told: Any) -> None:
    state, _ = told("plan.0", {"submitted": m.Submitted(request="Why?", until="plan")})
    state.outcome = m.Outcome(status=m.OutcomeStatus.ANSWERED, reason="")
    [group] = groups(state, {}, START)
    assert [row.mark for row in group.rows] == [Mark.COMPLETE, Mark.WAITING, Mark.WAITING, Mark.WAITING]


def test_failed_planning_is_seen(told: Any) -> None:
    failed = m.Planned(status=m.ResultStatus.FAILED, error=m.Failure(code="x", message="no plan"))
    state, _ = told("plan.0", {"plan.0": failed})
    [group] = groups(state, {}, START)
    assert marks(group) == [("plan", Mark.FAILED)]
    assert group.rows[0].doing == "no plan"


def test_rounds_are_groups(told: Any) -> None:
    state, _ = told("synthesis.0")
    state.sent["plan.1"] = 1
    first, second = groups(state, {}, START)
    assert (first.title, second.title) == ("round 1", "round 2")
    assert first.why == "Code and guide may differ."


def crowd(**counts: int) -> Group:
    rows = [
        Row(Mark(mark), "code", f"{mark} {n}", doing="x", fold=True) for mark, count in counts.items() for n in range(count)
    ]
    return Group("round 1", "", (Row(Mark.COMPLETE, "plan", "planned"), *rows))


def test_what_fits_stays_as_it_is() -> None:
    group = crowd(running=2)
    assert fit([group], 10) == (group,)


def test_first_goes_what_each_is_doing() -> None:
    [group] = fit([crowd(running=5)], 8)
    assert len(group.rows) == 6
    assert not any(row.doing for row in group.rows)


def test_then_the_least_telling_rows_are_folded_into_one() -> None:
    [group] = fit([crowd(complete=900, failed=2, running=3, waiting=95)], 20)
    assert len(group.rows) <= 20
    kept = [row.mark for row in group.rows]
    assert kept.count(Mark.FAILED) == 2
    assert kept.count(Mark.RUNNING) == 3
    [summary] = [row for row in group.rows if row.kind == "…"]
    assert summary.text.endswith("900 complete, 83 waiting")
    assert group.rows[0].kind == "plan"
