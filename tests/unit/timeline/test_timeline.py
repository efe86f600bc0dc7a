"""What the log says of a task in time: exact, as every moment is known."""

from __future__ import annotations

import pytest
from stories import CLIENT, COMPARE, LARGE, LIMITS, REPORT, ROUND, SMALL, START, Told, failed, hedged, told, wide

from concertino.contracts import messages as m
from concertino.contracts.timeline import Row, Timeline, timeline
from concertino.contracts.timeline.rows import SILENT
from concertino.contracts.view import usage_view

LATER = START + 1_000_000


def of(story: list[Told], until: float = 1e9, now: float | None = None) -> Timeline:
    return timeline(told(story, until), LATER if now is None else START + now)


def row(found: Timeline, name: str) -> Row:
    [one] = [row for row in found.rows if row.name == name]
    return one


def parts(row: Row) -> list[tuple[str, float, float]]:
    return [(part.doing, part.start, part.start + part.seconds) for part in row.parts]


def replaced(name: str, message: m.Message | None, at: float | None = None) -> list[Told]:
    return [(n, message, t if at is None else at) if n == name else (n, old, t) for n, old, t in ROUND]


def without(*names: str) -> list[Told]:
    return [fact for fact in ROUND if not fact[0].startswith(names)]


def test_each_row_is_cut_into_what_it_waited_for_and_what_was_done() -> None:
    found = of(ROUND)
    assert {r.name: parts(r) for r in found.rows} == {
        "planning": [("sending", 0.0, 0.5), ("queued", 0.5, 1.0), ("working", 1.0, 4.0)],
        "limits": [
            ("sending", 4.0, 4.5),
            ("queued", 4.5, 5.0),
            ("in_vain", 5.0, 9.0),
            ("retrying", 9.0, 11.0),
            ("working", 11.0, 19.0),
        ],
        "client": [("sending", 4.0, 4.5), ("queued", 4.5, 5.0), ("working", 5.0, 10.0)],
        "compare": [("blocked", 4.0, 19.0), ("sending", 19.0, 19.5), ("queued", 19.5, 20.0), ("working", 20.0, 22.0)],
        "report": [("sending", 22.0, 22.5), ("queued", 22.5, 23.0), ("working", 23.0, 29.0)],
    }
    vain = row(found, "limits").parts[2]
    assert (vain.attempt, vain.worker, vain.why) == (1, "web-1", "overloaded")
    assert (row(found, "limits").attempts, row(found, "limits").untold) == (2, 0)
    assert row(found, "compare").after == ("result.web.limits", "result.code.client")
    assert {r.status for r in found.rows} == {"complete"}


def test_the_critical_path_is_the_whole_time() -> None:
    found = of(ROUND)
    assert [(segment.row, segment.phase, segment.start, segment.seconds) for segment in found.path] == [
        ("plan.0", "coordination", 0.0, 0.5),
        ("plan.0", "queue", 0.5, 0.5),
        ("plan.0", "planning", 1.0, 3.0),
        ("result.web.limits", "coordination", 4.0, 0.5),
        ("result.web.limits", "queue", 4.5, 0.5),
        ("result.web.limits", "retries", 5.0, 4.0),
        ("result.web.limits", "retries", 9.0, 2.0),
        ("result.web.limits", "work", 11.0, 8.0),
        ("result.general.compare", "coordination", 19.0, 0.5),
        ("result.general.compare", "queue", 19.5, 0.5),
        ("result.general.compare", "work", 20.0, 2.0),
        ("synthesis.0", "coordination", 22.0, 0.5),
        ("synthesis.0", "queue", 22.5, 0.5),
        ("synthesis.0", "synthesis", 23.0, 6.0),
        ("", "coordination", 29.0, 1.0),
    ]
    assert {r.name: r.critical for r in found.rows} == {"planning": 4, "limits": 15, "client": 0, "compare": 3, "report": 7}
    assert {name: (total.critical, total.all_rows) for name, total in found.phases.items()} == {
        "planning": (3.0, 3.0),
        "dependencies": (0.0, 15.0),
        "coordination": (3.0, 3.5),
        "queue": (2.0, 2.5),
        "work": (10.0, 15.0),
        "retries": (6.0, 6.0),
        "synthesis": (6.0, 6.0),
    }


def test_tokens_and_money_go_by_row_by_kind_and_in_all() -> None:
    found = of(ROUND)
    assert {r.name: r.usage for r in found.rows} == {
        "planning": usage_view(SMALL),
        "limits": usage_view(SMALL + LARGE),
        "client": usage_view(LARGE),
        "compare": usage_view(m.Usage()),
        "report": usage_view(m.Usage()),
    }
    web = found.kinds["web"]
    assert (web.rows, web.attempts, web.waited, web.worked, web.retries, web.critical) == (1, 2, 1.0, 8.0, 6.0, 15.0)
    assert web.usage == usage_view(SMALL + LARGE)
    assert list(found.kinds) == ["plan", "web", "code", "general", "synthesize"]
    assert found.usage == usage_view(SMALL + SMALL + LARGE + LARGE)


def test_while_it_runs_it_says_who_works_and_who_waits() -> None:
    found = of(ROUND, until=12.0, now=15.0)
    assert (found.status, found.seconds) == ("running", 15.0)
    assert {r.name: r.status for r in found.rows} == {
        "planning": "complete",
        "limits": "running",
        "client": "complete",
        "compare": "waiting",
    }
    assert parts(row(found, "limits"))[-1] == ("working", 11.0, 15.0)
    assert row(found, "limits").parts[-1].worker == "web-2"
    assert parts(row(found, "compare")) == [("blocked", 4.0, 15.0)]
    assert {s.row for s in found.path} == {"plan.0", "result.web.limits"}
    assert sum(s.seconds for s in found.path) == 15.0


def test_between_two_attempts_it_is_queued() -> None:
    found = of(ROUND, until=9.5, now=10.0)
    assert row(found, "limits").status == "queued"
    assert parts(row(found, "limits"))[-2:] == [("in_vain", 5.0, 9.0), ("retrying", 9.0, 10.0)]
    assert row(found, "limits").attempts == 1


def test_what_has_just_been_queued_is_queued() -> None:
    found = of(ROUND, until=4.5, now=4.75)
    assert (row(found, "limits").status, parts(row(found, "limits"))) == (
        "queued",
        [("sending", 4.0, 4.5), ("queued", 4.5, 4.75)],
    )


def test_right_after_its_submission_there_is_nothing_but_time() -> None:
    found = of(ROUND, until=0.0, now=0.25)
    assert (found.rows, found.seconds) == ((), 0.25)
    assert [(s.row, s.phase, s.seconds) for s in found.path] == [("", "coordination", 0.25)]


def test_a_worker_that_fell_silent_is_told_from_what_it_had_begun() -> None:
    found = of(without("spent."))
    limits = row(found, "limits")
    assert parts(limits)[2:] == [("in_vain", 5.0, 11.0), ("working", 11.0, 19.0)]
    assert limits.parts[2].why == "its worker fell silent"
    assert limits.untold == 0


def test_what_was_begun_too_often_was_no_attempt_at_the_end() -> None:
    story = replaced(
        "result.web.limits", m.Result(status=m.ResultStatus.FAILED, error=m.Failure(code="abandoned", message="no"))
    )
    limits = row(of([fact for fact in story if not fact[0].startswith("spent.")]), "limits")
    assert parts(limits)[2:] == [("in_vain", 5.0, 11.0), ("in_vain", 11.0, 19.0)]
    assert (limits.status, limits.attempts) == ("failed", 2)


def test_what_a_limit_of_time_ended_was_no_attempt_either() -> None:
    def story(attempts: int, *gone: str) -> list[tuple[str, m.Message | None, float]]:
        failed, why = m.ResultStatus.FAILED, m.Failure(code="deadline", message="no")
        ended = m.Result(status=failed, error=why, worker=m.COORDINATOR, attempts=attempts)
        return [fact for fact in replaced("result.web.limits", ended) if not fact[0].startswith(gone)]

    limits = row(of(story(2, "spent.")), "limits")
    assert parts(limits)[2:] == [("in_vain", 5.0, 11.0), ("in_vain", 11.0, 19.0)]
    assert (limits.status, limits.attempts) == ("failed", 2)

    limits = row(of(story(0, "spent.", "begun.result.web.limits")), "limits")
    assert parts(limits) == [("sending", 4.0, 4.5), ("queued", 4.5, 19.0)]
    assert (limits.status, limits.attempts) == ("failed", 0)


def test_attempts_without_a_word_are_counted() -> None:
    limits = row(of(without("spent.", "begun.")), "limits")
    assert parts(limits) == [("sending", 4.0, 4.5), ("queued", 4.5, 11.0), ("working", 11.0, 19.0)]
    assert (limits.attempts, limits.untold) == (2, 1)


def test_the_log_of_an_older_release_is_read() -> None:
    """Neither beginnings nor times of what was in vain stood in it."""
    story = [fact for fact in ROUND if not fact[0].startswith("begun.")]
    story = [
        (n, m.Spent(worker="web-1", why="overloaded", usage=SMALL) if n.startswith("spent.") else f, t) for n, f, t in story
    ]
    limits = row(of(story), "limits")
    assert parts(limits)[2:] == [("in_vain", 9.0, 9.0), ("retrying", 9.0, 11.0), ("working", 11.0, 19.0)]
    assert (limits.attempts, limits.untold, limits.parts[2].attempt) == (2, 0, 1)


def test_an_attempt_beside_the_one_that_was_first_took_nothing_from_it() -> None:
    late = m.Spent(worker="code-2", why="another attempt was first", attempt=2, seconds=6.0, usage=SMALL)
    client = row(of([*ROUND, ("spent.result.code.client.2", late, 12.0)]), "client")
    assert parts(client)[2:] == [("working", 5.0, 10.0), ("in_vain", 10.0, 10.0)]
    assert client.parts[3].why == "another attempt was first"
    assert client.usage == usage_view(LARGE + SMALL)


def test_what_was_handed_back_did_not_count_as_an_attempt() -> None:
    back: list[Told] = [
        ("spent.result.code.client.1", m.Spent(worker="code-0", why="handed back", attempt=1, seconds=0.25), 4.9),
        ("returned.result.code.client.1", m.Returned(worker="code-0"), 4.9),
    ]
    client = row(of([*ROUND, *back]), "client")
    assert [(p.doing, p.attempt, p.why) for p in client.parts if p.attempt] == [
        ("in_vain", 1, "handed back"),
        ("working", 1, ""),
    ]
    assert (client.attempts, client.untold) == (1, 0)


def test_what_was_handed_back_before_it_began_is_told() -> None:
    client = row(of([*ROUND, ("returned.result.code.client.1", m.Returned(worker="code-0"), 4.75)]), "client")
    assert parts(client)[1:] == [
        ("queued", 4.5, 4.75),
        ("in_vain", 4.75, 4.75),
        ("retrying", 4.75, 5.0),
        ("working", 5.0, 10.0),
    ]
    assert client.parts[2].why == "handed back before it began"


def test_a_result_may_come_before_the_word_that_it_was_queued() -> None:
    found = of(replaced("dispatched.1", next(f for n, f, _ in ROUND if n == "dispatched.1"), 10.5))
    assert parts(row(found, "client")) == [("sending", 4.0, 5.0), ("working", 5.0, 10.0)]


def test_what_a_result_says_of_its_time_cannot_reach_beyond_what_it_waited_for() -> None:
    for seconds, began in ((1e9, 20.0), (-5.0, 22.0)):
        compare = row(of(replaced("result.general.compare", m.Result(seconds=seconds))), "compare")
        assert compare.parts[-1].start == (19.0 if seconds > 0 else began)
        assert sum(p.seconds for p in compare.parts) == pytest.approx(compare.seconds)


def test_a_failure_says_why() -> None:
    found = of(replaced("result.code.client", failed("it is not there", seconds=5.0)))
    assert (row(found, "client").status, row(found, "client").error) == ("failed", "it is not there")


def test_what_never_ended_is_missing_and_was_waited_for() -> None:
    """The join closed at 25 s without it; the report was written on what there was."""
    story = [fact for fact in without("result.general", "dispatched.3", "synthesis", "outcome") if fact[2] < 22]
    story += [
        ("begun.result.general.compare.1", m.Begun(worker="general-1", seconds=1.0), 21.0),
        ("dispatched.3", m.Dispatched(work=(("synthesis.0", 1),)), 25.0),
        ("synthesis.0", m.Synthesized(report=REPORT, seconds=4.0), 29.0),
        ("outcome", m.Outcome(status=m.OutcomeStatus.PARTIAL, reason="compare is missing"), 30.0),
    ]
    found = of(story)
    compare = row(found, "compare")
    assert (compare.status, parts(compare)[-1], compare.parts[-1].why) == (
        "missing",
        ("in_vain", 20.0, 30.0),
        "the task ended",
    )
    assert compare.critical == 6.0  # from 19 s, when it could begin, until it was waited for no longer
    assert row(found, "report").parts[0].start == 25.0


def test_what_was_cancelled_says_so() -> None:
    story = [fact for fact in ROUND if fact[2] < 12]
    story += [
        ("cancel", m.Cancel(reason="too dear"), 12.0),
        ("outcome", m.Outcome(status=m.OutcomeStatus.CANCELLED, reason="too dear"), 12.5),
    ]
    found = of(story)
    assert found.notes == ("cancelled by the caller after 12.0 s: too dear",)
    assert (found.status, found.seconds) == ("cancelled", 12.5)
    assert {r.name: r.status for r in found.rows} == {
        "planning": "complete",
        "limits": "missing",
        "client": "complete",
        "compare": "missing",
    }


def test_a_plan_alone_is_no_shortcoming() -> None:
    story: list[Told] = [
        ("submitted", m.Submitted(request="?", until="plan"), 0.0),
        ("dispatched.0", m.Dispatched(work=(("plan.0", 1),)), 0.0),
        ("plan.0", m.Planned(plan=m.Plan(subtasks=(LIMITS,)), seconds=2.0), 2.0),
        ("outcome", m.Outcome(status=m.OutcomeStatus.ANSWERED, reason="planned"), 2.5),
    ]
    found = of(story)
    assert row(found, "limits").status == "waiting"
    assert row(found, "planning").critical == 2.0


def test_a_plan_that_the_caller_brought_has_no_row() -> None:
    found = of(wide(8))
    assert [r.name for r in found.rows] == [*(f"s{n:04}" for n in range(8)), "report"]
    assert found.seconds == 9.0


def test_rounds_follow_each_other() -> None:
    again = m.Subtask(id="again", kind="web", objective="Once more.")
    story = [fact for fact in ROUND if fact[0] != "outcome"]
    story += [
        ("dispatched.4", m.Dispatched(work=(("plan.1", 1),)), 29.0),
        ("plan.1", m.Planned(plan=m.Plan(subtasks=(again,)), seconds=1.0), 30.0),
        ("dispatched.5", m.Dispatched(work=(("result.web.again", 1),)), 30.0),
        ("result.web.again", m.Result(seconds=2.0), 32.0),
        ("dispatched.6", m.Dispatched(work=(("synthesis.1", 1),)), 32.0),
        ("synthesis.1", m.Synthesized(report=REPORT, seconds=3.0), 35.0),
        ("outcome", m.Outcome(status=m.OutcomeStatus.ANSWERED, reason="."), 35.0),
    ]
    found = of(story)
    assert [(r.name, r.round) for r in found.rows][-3:] == [("planning 2", 1), ("again", 1), ("report 2", 1)]
    assert found.rounds == 2
    assert list(dict.fromkeys(s.row for s in found.path)) == [
        "plan.0",
        "result.web.limits",
        "result.general.compare",
        "synthesis.0",
        "plan.1",
        "result.web.again",
        "synthesis.1",
    ]


def test_of_a_log_that_has_half_expired_the_rest_is_told() -> None:
    found = of([fact for fact in ROUND if fact[2] > 8])
    assert found.notes == ("the beginning of this log has expired: what is left of it begins with its earliest fact",)
    assert (found.began, found.seconds, found.request) == (START + 9.0, 21.0, "")
    assert {r.name for r in found.rows} == {"limits", "client", "compare", "report"}
    assert {r.kind for r in found.rows} == {"web", "code", "general", "synthesize"}
    assert parts(row(found, "compare"))[-1] == ("working", 11.0, 13.0)
    assert sum(s.seconds for s in found.path) == pytest.approx(21.0)


def test_a_task_that_nobody_ends_says_so() -> None:
    found = of(ROUND, until=20.0, now=700.0)
    assert found.notes == (
        "its time was up 100.0 s ago, and no orchestrator has ended it (`concertino workers` shows who is there)",
    )


def test_a_clock_that_was_set_back_makes_no_time_negative() -> None:
    found = of([(n, f, t - 3 if n == "plan.0" else t - 30 if n == "synthesis.0" else t) for n, f, t in ROUND])
    assert all(part.seconds >= 0 and part.start >= 0 for r in found.rows for part in r.parts)
    assert sum(s.seconds for s in found.path) == pytest.approx(found.seconds)


def test_a_stranger_in_place_of_a_result_counts_for_nothing() -> None:
    found = of([*ROUND, ("result.web.client", m.Result(seconds=1.0, usage=LARGE), 8.0)])
    assert [r.id for r in found.rows] == [r.id for r in of(ROUND).rows]
    assert found.usage == of(ROUND).usage


def test_dependencies_on_nothing_that_is_there_are_left_out() -> None:
    wrong = m.Subtask(id="compare", kind="general", objective="?", depends_on=("ghost", "client"))
    found = of(replaced("plan.0", m.Planned(plan=m.Plan(subtasks=(LIMITS, CLIENT, wrong)), seconds=3.0)))
    assert row(found, "compare").after == (CLIENT.work_id,)
    assert COMPARE.work_id == row(found, "compare").id


def test_a_second_attempt_that_was_first_outran_the_other() -> None:
    found = of(hedged(won=True))
    limits = row(found, "limits")
    assert parts(limits)[-2:] == [("in_vain", 2.0, 8.0), ("working", 8.0, 12.0)]
    assert [part.hedge for part in limits.parts[-2:]] == [False, True]
    [rest] = limits.beside
    assert (rest.doing, rest.worker, rest.start, rest.seconds) == ("in_vain", "web-1", 8.0, 4.5)  # until it had heard of it
    assert (limits.attempts, limits.untold, limits.status) == (2, 0, "complete")
    assert limits.usage == usage_view(LARGE + SMALL)
    assert found.kinds["web"].retries == 6.0 + 4.5


def test_a_second_attempt_that_lost_took_nothing_from_the_first() -> None:
    found = of(hedged(won=False))
    limits = row(found, "limits")
    assert parts(limits)[-1] == ("working", 2.0, 12.0)
    [second] = limits.beside
    assert (second.doing, second.worker, second.hedge) == ("in_vain", "web-2", True)
    assert (second.start, second.seconds, second.why) == (8.0, 4.5, "another attempt was first")
    assert found.phases["retries"].critical == 0


def test_while_both_go_on_neither_is_in_vain() -> None:
    limits = row(of(hedged(won=True), until=9.0, now=10.0), "limits")
    assert (limits.status, parts(limits)[-1], limits.attempts) == ("running", ("working", 2.0, 10.0), 2)
    [second] = limits.beside
    assert (second.doing, second.hedge, second.start, second.seconds) == ("working", True, 8.0, 2.0)


def test_a_first_that_never_says_another_word_fell_silent() -> None:
    limits = row(of([fact for fact in hedged(won=True) if not fact[0].startswith("spent")]), "limits")
    assert [part.why for part in (*limits.parts[-2:], *limits.beside)] == [SILENT, "", SILENT]


def test_work_without_a_name_is_not_taken_for_the_time_between() -> None:
    story: list[Told] = [
        ("plan.0", m.Planned(plan=m.Plan(subtasks=(LIMITS,)), seconds=1.0), 30.0),
        ("dispatched.2", m.Dispatched(work=(("", 1), ("result.web.limits", 1))), 60.0),
        ("result.web.limits", m.Result(seconds=1.0), 90.0),
    ]
    found = of(story, now=90.0)
    assert [r.name for r in found.rows] == ["planning", "limits"]
    assert sum(r.critical for r in found.rows) <= found.seconds
