"""Tasks, plans and what comes of work: mostly sound, so that a task gets somewhere, and now and then as bad as it may be."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import structs

from concertino.contracts.messages import (
    Done,
    Failure,
    Finding,
    Limits,
    Plan,
    Planned,
    Report,
    Result,
    ResultStatus,
    Settled,
    Source,
    Submitted,
    Subtask,
    Synthesized,
    Usage,
    Work,
)

KINDS = ["web", "code"]
SOURCES = (Source(kind="web", location="https://a.example"), Source(kind="code", location="src"))
_OBJECTIVES = ["what", "why", "how", "who", "when", "where", "which"]
_failures = st.sampled_from([None, None, None, Failure(code="source", message="it is not there")])


@st.composite
def sound_plans(draw: st.DrawFn, number: int) -> Plan:
    """Ids that no other round uses, dependencies on what stands before."""
    subtasks: list[Subtask] = []
    for i in range(draw(st.integers(1, 3))):
        before = [subtask.id for subtask in subtasks]
        subtasks.append(
            Subtask(
                id=f"r{number}s{i}",
                kind=draw(st.sampled_from(KINDS)),
                objective=f"{draw(st.sampled_from(_OBJECTIVES))} {number} {i}",
                depends_on=tuple(draw(st.lists(st.sampled_from(before), unique=True, max_size=2))) if before else (),
                sources=draw(st.sampled_from([None, (), SOURCES[:1]])),
                max_tokens=draw(st.sampled_from([None] * 9 + [50, 500])),
                max_seconds=draw(st.sampled_from([None] * 3 + [1.5, 30.0])),
            )
        )
    return Plan(subtasks=tuple(subtasks), synthesize=draw(st.sampled_from([True, True, True, False])))


@st.composite
def wild_plans(draw: st.DrawFn) -> Plan:
    """Cycles, unknown kinds, foreign sources, repeated ids and briefs, nothing at all, too much."""
    ids = ["r0s0", "r0s1", "r1s0", "x", "y"]
    subtask = st.builds(
        Subtask,
        id=st.sampled_from(ids),
        kind=st.sampled_from([*KINDS, "ghost"]),
        objective=st.sampled_from(_OBJECTIVES[:2]),
        depends_on=st.lists(st.sampled_from(ids), max_size=2).map(tuple),
        sources=st.sampled_from([None, (Source(kind="web", location="https://stranger.example"),)]),
    )
    return Plan(subtasks=tuple(draw(st.lists(subtask, max_size=6))))


def plans(number: int) -> st.SearchStrategy[Plan]:
    return st.sampled_from([*[True] * 9, False]).flatmap(lambda sound: sound_plans(number) if sound else wild_plans())


_fresh_tasks = st.builds(
    Submitted,
    request=st.just("What is it?"),
    sources=st.just(SOURCES),
    limits=st.builds(
        Limits,
        deadline=st.sampled_from([10.0, 100.0, 600.0]),
        max_subtasks=st.sampled_from([None, None, None, None, 6, 4, 3, 2, 1]),
        max_rounds=st.sampled_from([4, 3, 2, 1]),
        max_tokens=st.sampled_from([None, None, 10_000, 1000, 100]),
        max_cost=st.sampled_from([None, None, 10.0, 1.0]),
        max_queued=st.sampled_from([None, None, 2.0, 40.0]),
    ),
    plan=st.one_of(st.none(), st.none(), plans(0)),
    until=st.sampled_from([*["report"] * 8, "plan"]),
)

_statuses = st.sampled_from([ResultStatus.COMPLETE] * 6 + [ResultStatus.PARTIAL, ResultStatus.FAILED])
_usages = st.builds(
    Usage,
    model_calls=st.integers(0, 2),
    output_tokens=st.sampled_from([0, 10, 300]),
    cost_usd=st.sampled_from([0.0, 0.015625, 0.25]),  # whatever order they are added in, the sum is the same
)
_results = st.builds(
    Result,
    status=_statuses,
    error=_failures,
    findings=st.sampled_from([*((Finding(claim=claim),) for claim in ("so it is", "so is that", "and that")), ()]),
    usage=_usages,
)
_gaps = st.lists(st.sampled_from(["g1", "g2", "g3"]), min_size=1, max_size=2, unique=True).map(tuple)
_reports = st.builds(Report, text=st.just("It is so."), open=st.one_of(_gaps, _gaps, _gaps, st.just(())))
_syntheses = st.builds(
    Synthesized, status=_statuses, error=_failures, report=st.one_of(*[_reports] * 5, st.none()), usage=_usages
)


@st.composite
def _redriven(draw: st.DrawFn) -> Submitted:
    """Now and then a task begins with results of an earlier one: of its own subtasks, or of nobody's."""
    task = draw(_fresh_tasks)
    if task.plan is None or draw(st.booleans()):
        return task
    some = draw(st.lists(st.sampled_from(task.plan.subtasks), unique_by=lambda one: one.work_id)) if task.plan.subtasks else []
    names = [subtask.work_id for subtask in some] + draw(st.sampled_from([[]] * 9 + [["result.web.nobody"]]))
    return structs.replace(task, done=tuple(Done(work=name, result=draw(_results)) for name in names), again="t0")


tasks = _redriven()


def settled(work: Work) -> st.SearchStrategy[Settled]:
    """What a worker may make of ``work``."""
    type_, _, about = work.id.partition(".")
    match type_:
        case "plan":
            plan = plans(int(about))
            failed = st.just(Planned(status=ResultStatus.FAILED, error=Failure(code="invalid_plan", message="no plan")))
            empty = st.just(Planned(plan=Plan(subtasks=())))
            by_rule = st.builds(Planned, plan=plan, status=st.just(ResultStatus.PARTIAL))
            return st.one_of(*[st.builds(Planned, plan=plan, usage=_usages)] * 10, failed, empty, by_rule)
        case "synthesis":
            return _syntheses
    return _results


def well_settled(work: Work) -> Settled:
    """What a good worker makes of it; a synthesizer names a new gap and an old one: only limits end it."""
    type_, _, about = work.id.partition(".")
    match type_:
        case "plan":
            kind = KINDS[0]
            return Planned(plan=Plan(subtasks=(Subtask(id=f"good{about}", kind=kind, objective=f"good {about}"),)))
        case "synthesis":
            return Synthesized(report=Report(text="It is so.", open=(f"gap {about}", f"gap {int(about) - 1}")))
    return Result(findings=(Finding(claim="so it is"),))
