"""The judge decides what is claimed of planners: each of its rules, on plans made for it."""

from __future__ import annotations

import pytest
from msgspec import structs

from concertino.contracts.messages import Limits, Plan, Source, Subtask, Usage
from evals.decomposition.judge import depth, judge, score
from evals.decomposition.requests import Request, faults, fleet, requests
from evals.decomposition.table import misses, table

A, B = Source(kind="code", location="/a"), Source(kind="code", location="/b")
REQUEST = Request(
    domain="chain",
    ask="First this, then that.",
    sources=("code:/a", "code:/b"),
    workers=(2, 3),
    kinds=frozenset({"code"}),
    may=frozenset({"web"}),
    depth=(1, 2),
)


def part(id_: str, *depends_on: str, kind: str = "code", sources: tuple[Source, ...] | None = (A,)) -> Subtask:
    return Subtask(
        id=id_,
        kind=kind,
        objective=f"look into {id_}",
        expected_output="its name",
        boundaries="no more than that",
        depends_on=depends_on,
        sources=sources,
    )


GOOD = Plan(subtasks=(part("x"), part("y", "x", sources=(B,))))


def test_a_good_plan_is_good() -> None:
    assert judge(REQUEST, GOOD).good
    assert judge(REQUEST, Plan(subtasks=(*GOOD.subtasks, part("z", kind="web", sources=())))).good


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        (Plan(subtasks=(part("x", sources=(A, B)),)), {"workers", "too_few"}),
        (Plan(subtasks=tuple(part(i, sources=(A, B)) for i in "wxyz")), {"workers", "too_many"}),
        (Plan(subtasks=(part("x", kind="web"), part("y", kind="web", sources=(B,)))), {"kinds"}),
        (Plan(subtasks=(part("x"), part("y", kind="docs", sources=(B,)))), {"kinds"}),
        (Plan(subtasks=(part("x"), part("y", "x"), part("z", "y", sources=(B,)))), {"order"}),
        (Plan(subtasks=(part("x"), part("y"))), {"reads"}),
        (Plan(subtasks=(part("x"), structs.replace(part("X", sources=(A, B)), objective="Look  into X"))), {"apart"}),
        (Plan(subtasks=(part("x"), structs.replace(part("y", sources=(B,)), boundaries=" "))), {"whole"}),
        (Plan(subtasks=(part("x"), structs.replace(part("y", sources=(B,)), expected_output=""))), {"whole"}),
    ],
)
def test_each_fault_is_seen_and_no_other(plan: Plan, wrong: set[str]) -> None:
    verdict = judge(REQUEST, plan)

    rights = {name: getattr(verdict, name) for name in ("workers", "kinds", "order", "reads", "apart", "shared", "whole")}
    faults = {name for name in ("too_few", "too_many") if getattr(verdict, name)}
    assert {name for name, right in rights.items() if not right} | faults == wrong
    assert not verdict.good


def test_no_plan_and_an_empty_one_are_not_good_for_anything() -> None:
    for verdict in (judge(REQUEST, None, trouble="it declines"), judge(REQUEST, Plan(subtasks=()))):
        rights = ("good", "workers", "kinds", "order", "reads", "apart", "shared", "whole")
        assert not any(getattr(verdict, name) for name in rights)
    assert judge(REQUEST, None, trouble="it declines").trouble == "it declines"


def test_sources_that_are_not_named_are_all_of_the_kind() -> None:
    assert judge(REQUEST, Plan(subtasks=(part("x", sources=None), part("y", kind="web", sources=())))).reads


def test_the_same_words_are_the_same_ground_only_with_a_source_in_common_or_without_any() -> None:
    def apart(*sources: tuple[Source, ...]) -> bool:
        return judge(
            REQUEST, Plan(subtasks=tuple(structs.replace(part("x", sources=s), id=f"x{i}") for i, s in enumerate(sources)))
        ).apart

    assert apart((A,), (B,))
    assert not apart((A,), (A, B))
    assert not apart((), ())


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("Find the secrets in these repositories.", "Determine which secrets are in the repositories", False),
        ("x0", "x1", False),
        ("part 1: the retry limits", "part 2: the retry limits", False),
        ("retry limit of client and server in production", "retry limit of client and server in production, really", False),
        ("the changes of release 3", "the changes of release 4", True),  # the request names them
        ("the pricing of Auth0", "the pricing of Okta", True),
        ("the architecture of the system", "how the system is deployed", True),
    ],
)
def test_all_but_the_same_words_are_the_same_ground(one: str, other: str, apart: bool) -> None:
    request = structs.replace(REQUEST, ask="What changed from release 3 to 4?")
    plan = Plan(subtasks=(structs.replace(part("x"), objective=one), structs.replace(part("y"), objective=other)))
    assert judge(request, plan).apart == apart


AUDIT = Request(
    domain="audit", ask="Audit them.", sources=("code:/{1..12}", "docs:/rules"), workers=(1, 9), kinds=frozenset({"code"})
)


def shares(*sizes: range) -> Plan:
    return Plan(subtasks=tuple(part(str(i), sources=tuple(AUDIT.given[n] for n in s)) for i, s in enumerate(sizes)))


@pytest.mark.parametrize(
    ("plan", "shared", "times"),
    [
        (shares(range(12)), True, 12 / 13),
        (shares(range(4), range(4, 8), range(8, 13)), True, 1.0),
        (shares(range(8), range(8, 12), range(12, 13), range(12, 13)), True, 14 / 13),  # the rules are one source: all read it
        (shares(range(12), range(12)), False, 24 / 13),
        (shares(range(9), range(9, 10), range(10, 11), range(11, 12)), False, 12 / 13),  # one does the work of all
        (Plan(subtasks=(part("a", sources=None), part("b", sources=None))), False, 24 / 13),
    ],
)
def test_the_sources_of_an_audit_are_shared_out(plan: Plan, shared: bool, times: float) -> None:
    verdict = judge(AUDIT, plan)
    assert (verdict.shared, verdict.times) == (shared, pytest.approx(times))
    assert judge(structs.replace(AUDIT, domain="survey"), plan).shared  # its aspects may be put to the same sources


def test_no_plan_in_which_everybody_reads_everything_is_good() -> None:
    for request in (r for r in requests() if r.domain == "audit" and r.workers[0] > 1):
        copies = tuple(
            part(f"x{i}", kind=kind, sources=tuple(s for s in request.given if s.kind == kind))
            for kind in request.kinds
            for i in range(request.workers[0])
        )
        verdict = judge(request, Plan(subtasks=copies))
        assert not verdict.shared
        assert not verdict.apart


def test_the_depth_is_that_of_the_longest_chain_and_what_came_before_does_not_count() -> None:
    assert depth(Plan(subtasks=(part("a"), part("b"), part("c", "a"), part("d", "c", "b"), part("e", "earlier")))) == 3
    assert depth(Plan(subtasks=())) == 0


def test_a_brief_is_whole_with_boundaries_where_it_has_siblings() -> None:
    full = Subtask(id="x", kind="code", objective="o", expected_output="e", sources=(A, B))
    assert judge(REQUEST, Plan(subtasks=(full,))).briefs == 1
    assert judge(REQUEST, Plan(subtasks=(full, structs.replace(full, id="y", boundaries="not x")))).briefs == 1


def test_the_score_counts_by_domain() -> None:
    fact = structs.replace(REQUEST, domain="fact")
    total = score([judge(REQUEST, GOOD, usage=Usage(cost_usd=0.5), seconds=2), judge(REQUEST, None), judge(fact, GOOD)])

    assert total.domains == {"chain": (1, 2), "fact": (1, 1)}
    assert (total.asked, total.planned, total.good, total.subtasks) == (3, 2, 2, 4)
    assert (total.cost_usd, total.median_seconds, total.worst_seconds) == (0.5, 0.0, 2.0)
    assert score([]).worst_seconds == 0.0


def test_the_score_counts_audits_apart() -> None:
    total = score([judge(REQUEST, GOOD), judge(AUDIT, shares(range(13))), judge(AUDIT, shares(*[range(13)] * 3))])
    assert (total.audits, total.shared, total.times) == (2, 1, 2.0)
    assert score([judge(AUDIT, None)]).times == 0.0


def test_the_table_and_the_misses_name_what_is_wrong() -> None:
    verdicts = [judge(REQUEST, GOOD), judge(REQUEST, Plan(subtasks=(part("x"),))), judge(REQUEST, None, trouble="it declines")]
    shown = table({"rules": score(verdicts)})
    assert "good plans in all" in shown
    assert "1/3  33%" in shown

    told = misses(verdicts)
    assert "1 workers, not 2 to 3; sources that nobody reads" in told
    assert "no plan: it declines" in told
    assert told.count("First this") == 2


def test_the_fifty_requests_can_be_met_and_a_wrong_one_is_found() -> None:
    assert len(requests()) == 50
    assert list(faults(requests(), fleet())) == []
    wrong = structs.replace(
        REQUEST,
        workers=(3, 2),
        depth=(3, 9),
        kinds=frozenset({"ghost"}),
        reads=("code:/z",),
        limits=Limits(max_subtasks=1),
    )
    assert [fault.partition(": ")[2] for fault in faults((wrong,), fleet())] == [
        "3 to 2 workers cannot be had",
        "a depth of 3 to 9 cannot be had",
        "the fleet has no ghost",
        "it is to read what it was not given",
    ]
