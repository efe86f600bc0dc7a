"""The verdict can fail: each figure is raised by what it is there for, and so is the exit status."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from msgspec import structs
from tests.chaos import __main__ as command
from tests.chaos import collect, orders
from tests.chaos.answers import Turn, turn_of
from tests.chaos.model import Call, Calls
from tests.chaos.verdict import KNOWN_AFTER, OVERDUE, Broke, Evidence, Kept, Verdict, percentile, placed, verdict
from tests.chaos.watch import Seen

from concertino.client import Limits, Plan, Subtask
from concertino.contracts.facts import Fact
from concertino.contracts.messages import (
    Amount,
    Begun,
    Checkpoint,
    Dispatched,
    Finding,
    Hold,
    Message,
    Outcome,
    OutcomeStatus,
    Planned,
    Record,
    Result,
    Spent,
    Submitted,
    Usage,
)
from concertino.contracts.state import fold
from concertino.contracts.subjects import FactName
from concertino.model.anthropic import research
from concertino.testing import Asked

TASK, WORK = "c1-0-0000", "result.tally.s0"
PLAN = Plan(subtasks=(Subtask(id="s0", kind="tally", objective="count"),), synthesize=False)
SUBMITTED = Submitted(request="count", plan=PLAN, limits=Limits(deadline=60, max_tokens=1_000))
RESULT = Result(findings=(Finding(claim="counted"),), usage=Usage(model_calls=2, input_tokens=100))
ANSWERED = Outcome(
    status=OutcomeStatus.ANSWERED, reason="1 subtask done", usage=Usage(model_calls=2, input_tokens=100), max_tokens=1_000
)
LOG: Sequence[tuple[str, Message]] = (
    ("submitted", SUBMITTED),
    ("dispatched.1", Dispatched(work=((WORK, 1),))),
    (WORK, RESULT),
    ("outcome", ANSWERED),
)
TURN = Turn(TASK, WORK, "research", 0)


def kept(message: str, time: float, **more: object) -> Kept:
    """An answer in the journal."""
    record = Record(key="k", answer=True, value={"model": "m", "message": {"id": message}}, **more)
    return Kept(f"ctn.checkpoint.{TASK}.{WORK}.1", time, Checkpoint(worker="w", delivery=1, records=(record,)))


KEPT = [kept("msg_1", 102.0)]


def facts(log: Sequence[tuple[str, Message]] = LOG, every: float = 2.0) -> list[Fact]:
    """``log``, with a fact every so many seconds."""
    named = ((FactName(*name.partition(".")[::2]), message) for name, message in log)
    return [Fact(name, message, i + 1, 100.0 + i * every) for i, (name, message) in enumerate(named)]


def evidence(log: Sequence[Fact] | None = None, **more: object) -> Evidence:
    """A run of one task in which all went well, but for what is given."""
    log = facts() if log is None else log
    final = {(TASK, str(fact.name)): [Seen(fact.sequence, "a")] for fact in log}
    made = Evidence(accepted=frozenset({TASK}), logs={TASK: log}, final=final, watched={})
    for name, value in more.items():
        setattr(made, name, value)
    return made


def line(judged: Verdict) -> str:
    return judged.line.rpartition(" ")[0]


def test_all_is_well() -> None:
    judged = verdict(evidence())
    assert line(judged) == "submitted=1 outcomes=1 lost=0 duplicated=0 stuck=0 repeated_model_calls=0"
    assert judged.good, judged


def test_a_task_without_an_outcome_is_lost() -> None:
    judged = verdict(evidence(facts(LOG[:-1])))
    assert line(judged) == "submitted=1 outcomes=0 lost=1 duplicated=0 stuck=0 repeated_model_calls=0"
    assert not judged.good


def test_an_acknowledged_task_that_is_in_no_log_is_lost() -> None:
    assert len(verdict(evidence([], logs={})).lost) == 1


def test_a_task_whose_acknowledgement_was_lost_counts() -> None:
    assert verdict(evidence(accepted=frozenset())).submitted == 1


def test_a_result_that_its_outcome_does_not_know_is_lost() -> None:
    failed = Outcome(status=OutcomeStatus.FAILED, reason="no subtask succeeded", usage=ANSWERED.usage, max_tokens=1_000)
    assert len(verdict(evidence(facts([*LOG[:-1], ("outcome", failed)]))).lost) == 1
    unpaid = msgspec.structs.replace(ANSWERED, usage=Usage())
    assert len(verdict(evidence(facts([*LOG[:-1], ("outcome", unpaid)]))).lost) == 1


def test_a_result_that_came_with_the_outcome_may_have_been_too_late() -> None:
    failed = Outcome(status=OutcomeStatus.FAILED, reason="no subtask succeeded", max_tokens=1_000)
    assert verdict(evidence(facts([*LOG[:-1], ("outcome", failed)], every=0.1))).lost == ()


def test_a_fact_that_is_gone_is_lost() -> None:
    judged = verdict(evidence(watched={(TASK, "cancel"): frozenset({Seen(9, "a")})}))
    assert len(judged.lost) == 1


def test_two_outcomes_are_one_too_many() -> None:
    judged = verdict(evidence(final={(TASK, "outcome"): [Seen(4, "a"), Seen(5, "b")]}))
    assert line(judged) == "submitted=1 outcomes=1 lost=0 duplicated=1 stuck=0 repeated_model_calls=0"
    assert not judged.good


def test_a_result_that_a_follower_saw_otherwise_was_overwritten() -> None:
    judged = verdict(evidence(final={(TASK, WORK): [Seen(7, "b")]}, watched={(TASK, WORK): frozenset({Seen(3, "a")})}))
    assert len(judged.duplicated) == 1


def test_where_garbage_was_written_the_first_has_to_stay() -> None:
    about = (TASK, "outcome")
    after = evidence(final={about: [Seen(4, "a"), Seen(5, "b")]}, watched={about: frozenset({Seen(4, "a"), Seen(5, "b")})})
    after.spoiled = frozenset({about})
    assert verdict(after).duplicated == ()
    after.final = {about: [Seen(5, "b")]}
    assert len(verdict(after).duplicated) == 1


def test_garbage_that_can_be_read_breaks_no_invariant() -> None:
    garbage = ("dispatched.1", Dispatched(work=(("x", 1),)))
    spoiled = evidence(facts([LOG[0], garbage, *LOG[2:]]), spoiled=frozenset({(TASK, "")}))
    assert verdict(spoiled).good


def test_a_log_with_a_fact_twice_breaks_the_invariants_as_well() -> None:
    judged = verdict(evidence(facts([*LOG, ("outcome", ANSWERED)])))
    assert any("more than once" in wrong for wrong in judged.wrong)


def test_what_is_left_is_stuck() -> None:
    judged = verdict(evidence(left=["CTN_WORK: batch-docs: 1 wait, 0 are not settled"]))
    assert line(judged) == "submitted=1 outcomes=1 lost=0 duplicated=0 stuck=1 repeated_model_calls=0"
    assert not judged.good


def test_an_outcome_long_after_the_deadline_was_stuck() -> None:
    late = facts(every=(60 + OVERDUE + 3) / 3)
    assert len(verdict(evidence(late)).stuck) == 1
    assert verdict(evidence(facts(every=20))).stuck == ()


def test_a_call_for_what_was_kept_is_repeated() -> None:
    calls = [Call(TURN, 100.0, "msg_1", whole=True), Call(TURN, 103.0 + KNOWN_AFTER, "msg_2", whole=True)]
    judged = verdict(evidence(calls=Calls(tuple(calls)), kept=KEPT))
    assert line(judged) == "submitted=1 outcomes=1 lost=0 duplicated=0 stuck=0 repeated_model_calls=1"
    assert not judged.good


@pytest.mark.parametrize(
    "second",
    [
        Call(TURN, 101.0, "msg_2"),  # before it was kept: nobody could know
        Call(Turn(TASK, WORK, "research", 1), 110.0, "msg_2"),  # the next turn
        Call(Turn(TASK, "result.tally.s1", "research", 0), 110.0, "msg_2"),  # of other work
    ],
)
def test_a_call_for_what_nobody_had_is_not_repeated(second: Call) -> None:
    calls = Calls((Call(TURN, 100.0, "msg_1", whole=True), second))
    assert verdict(evidence(calls=calls, kept=KEPT)).repeated == ()


@pytest.mark.parametrize(
    "entries",
    [
        [kept("msg_1", 102.0, part=True)],  # a piece of it
        [*KEPT, Kept(KEPT[0].about, 103.0, Checkpoint(worker="w", delivery=1, left="tried_again", doubted=True))],  # to blame
        [msgspec.structs.replace(KEPT[0], about=f"ctn.checkpoint.{TASK}.result.tally.s01.1")],  # of other work
    ],
)
def test_what_could_not_be_used_may_be_asked_again(entries: list[Kept]) -> None:
    calls = Calls((Call(TURN, 100.0, "msg_1", whole=True), Call(TURN, 200.0, "msg_2")))
    assert verdict(evidence(calls=calls, kept=entries)).repeated == ()
    assert len(verdict(evidence(calls=calls, kept=KEPT)).repeated) == 1


def test_the_report_of_another_round_is_another_call() -> None:
    plans = [("plan.0", Planned(plan=PLAN)), ("plan.1", Planned(plan=PLAN))]  # at 100 and 102
    turn = Turn(TASK, "synthesis.0", "weigh", 0)
    calls = [Call(turn, 101.0, "msg_1"), Call(turn, 110.0, "msg_2"), Call(turn, 111.0, "msg_3")]
    assert [call.turn.work for call in placed(calls, {TASK: fold(TASK, facts(plans))})] == [
        "synthesis.0",
        "synthesis.1",
        "synthesis.1",
    ]


def test_recovery_is_the_time_to_the_next_fact_of_each_task_under_way() -> None:
    judged = verdict(evidence(faults=[Broke(101.5, "kill"), Broke(103.0, "cut"), Broke(107.0, "after the end")]))
    assert [each.seconds for each in judged.recovery] == [0.5, 1.0]
    assert judged.line.endswith("recovery_p99=1.0s")


def test_a_budget_that_was_not_held_is_wrong() -> None:
    spent = msgspec.structs.replace(RESULT, usage=Usage(model_calls=2, input_tokens=2_000))
    assert any("1000 allowed" in wrong for wrong in verdict(evidence(facts([*LOG[:2], (WORK, spent), LOG[3]]))).wrong)


def test_percentiles() -> None:
    assert percentile([], 99) == 0
    assert percentile(range(1, 101), 99) == 100
    assert percentile([3.0], 99) == 3


def test_halves_add_up() -> None:
    both = verdict(evidence()) + verdict(evidence(facts(LOG[:-1])))
    assert (both.submitted, both.outcomes, len(both.lost)) == (2, 1, 1)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (evidence(), 0),
        (evidence(facts(LOG[:-1])), 1),
        (evidence(final={(TASK, "outcome"): [Seen(4, "a"), Seen(5, "b")]}), 1),
        (
            evidence(calls=Calls((Call(TURN, 100.0, "msg_1"), Call(TURN, 200.0, "msg_2"))), kept=KEPT),
            1,
        ),
    ],
)
def test_the_exit_status_says_it(found: Evidence, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    judged = verdict(found)
    assert command.told(judged) == status
    assert capsys.readouterr().out.splitlines()[-1] == judged.line


@pytest.mark.parametrize(
    ("said", "stuck"),
    [
        ((WORK, RESULT), True),
        ((f"spent.{WORK}.1", Spent(worker="w", why="the task ended")), True),
        (("outcome", ANSWERED), False),  # its worker died, and the task ended without it
        ((f"begun.{WORK}.2", Begun(worker="v", attempt=2)), False),
        ((WORK, structs.replace(RESULT, attempts=2)), False),
    ],
)
def test_what_a_living_worker_reserved_is_given_back(said: tuple[str, Message], stuck: bool) -> None:
    hold = Hold(id="h", work=WORK, attempt=1, delivery=1, amount=Amount(tokens=10))
    assert collect.ended(hold, facts([LOG[0], said])) is stuck


@pytest.mark.parametrize("ask", [research._FINISH_UP, research._TIME_UP, research._BUDGET_UP, research._CIRCLES])
def test_to_be_asked_for_what_there_is_is_another_question_than_the_turn_it_comes_instead_of(ask: str) -> None:
    def turn(*says: str) -> Turn:
        told = [{"role": "user", "content": f"<brief>\n{orders.mark(TASK, 'docs', 's0')} Look.\n</brief>"}]
        whole = {"system": "You research.", "messages": [*told, *({"role": "user", "content": text} for text in says)]}
        return turn_of(Asked("/v1/messages", {}, whole, whole))

    assert turn() == turn("It says 3.") != turn(ask)
