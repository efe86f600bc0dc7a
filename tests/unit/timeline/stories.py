"""Tasks whose every moment is known, so that a timeline of them can be told exactly."""

from __future__ import annotations

from collections.abc import Iterable

from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.state import State
from concertino.contracts.subjects import FactName

START = 1_800_000_000.0
Told = tuple[str, m.Message | None, float]

REPORT = m.Report(text="x")
SMALL = m.Usage(model_calls=1, input_tokens=900, output_tokens=100, cost_usd=0.01)
LARGE = m.Usage(model_calls=2, input_tokens=18_000, output_tokens=2_000, cost_usd=0.25)


def told(story: Iterable[Told], until: float = 1e9, task: str = "t1") -> State:
    """The state after what of ``story`` happened in its first ``until`` seconds."""
    state = State(task)
    for sequence, (name, message, after) in enumerate(sorted(story, key=lambda fact: fact[2]), 1):
        type_, _, about = name.partition(".")
        if after <= until:
            state.apply(Fact(FactName(type_, about), message, sequence, START + after))
    return state


def failed(message: str, **more: object) -> m.Result:
    return m.Result(status=m.ResultStatus.FAILED, error=m.Failure(code="source", message=message), **more)  # type: ignore[arg-type]


LIMITS = m.Subtask(id="limits", kind="web", objective="Find the documented limits.")
CLIENT = m.Subtask(id="client", kind="code", objective="Find where the client retries.")
COMPARE = m.Subtask(id="compare", kind="general", objective="Compare both.", depends_on=("limits", "client"))

ROUND: list[Told] = [
    ("submitted", m.Submitted(request="How often does the client retry?"), 0.0),
    ("timer.join", None, 0.0),
    ("dispatched.0", m.Dispatched(work=(("plan.0", 1),)), 0.5),
    ("begun.plan.0.1", m.Begun(worker="plan-1", seconds=1.0), 2.0),
    ("plan.0", m.Planned(plan=m.Plan(subtasks=(LIMITS, CLIENT, COMPARE)), seconds=3.0, worker="plan-1", usage=SMALL), 4.0),
    ("dispatched.1", m.Dispatched(work=(("result.web.limits", 1), ("result.code.client", 1))), 4.5),
    ("begun.result.web.limits.1", m.Begun(worker="web-1", seconds=1.0), 6.0),
    ("spent.result.web.limits.1", m.Spent(worker="web-1", why="overloaded", attempt=1, seconds=4.0, usage=SMALL), 9.0),
    ("begun.result.web.limits.2", m.Begun(worker="web-2", attempt=2, seconds=1.0), 12.0),
    ("result.code.client", m.Result(worker="code-1", seconds=5.0, usage=LARGE), 10.0),
    ("result.web.limits", m.Result(worker="web-2", attempts=2, seconds=8.0, usage=LARGE), 19.0),
    ("dispatched.2", m.Dispatched(work=(("result.general.compare", 1),)), 19.5),
    ("result.general.compare", m.Result(worker="general-1", seconds=2.0), 22.0),
    ("dispatched.3", m.Dispatched(work=(("synthesis.0", 1),)), 22.5),
    ("synthesis.0", m.Synthesized(report=REPORT, worker="syn-1", seconds=6.0), 29.0),
    ("outcome", m.Outcome(status=m.OutcomeStatus.ANSWERED, reason="all parts are there", report=REPORT), 30.0),
]
"""One round: a subtask that was tried again, one beside it, and one that needs both."""


def hedged(*, won: bool) -> list[Told]:
    """A subtask that was slow, so that another worker made a second attempt beside it: which of them was first is ``won``."""
    quick, slow = ("web-2", "web-1") if won else ("web-1", "web-2")
    lost = m.Spent(worker=slow, why="another attempt was first", attempt=1, seconds=10.5 if won else 4.5, usage=LARGE)
    result = m.Result(worker=quick, hedge=won, seconds=4.0 if won else 10.0, usage=SMALL)
    return [
        ("submitted", m.Submitted(request="Which?", plan=m.Plan(subtasks=(LIMITS,), synthesize=False)), 0.0),
        ("dispatched.1", m.Dispatched(work=(("result.web.limits", 1),), hedge_after={"web": 5.0}), 1.0),
        ("begun.result.web.limits.1", m.Begun(worker="web-1", seconds=1.0, hedge=True), 3.0),
        ("dispatched.2", m.Dispatched(work=(("result.web.limits", 2),)), 7.0),
        ("begun.result.web.limits.2-1", m.Begun(worker="web-2"), 8.0),
        ("result.web.limits", result, 12.0),
        (f"spent.result.web.limits.{'1' if won else '2-1'}", lost, 12.5),
        ("outcome", m.Outcome(status=m.OutcomeStatus.ANSWERED, reason="all parts are there"), 13.0),
    ]


def wide(count: int) -> list[Told]:
    """``count`` subtasks of two kinds, four at a time, every hundredth of them a failure; the report in five seconds."""
    subtasks = tuple(m.Subtask(id=f"s{n:04}", kind=("web", "code")[n % 2], objective=f"part {n}") for n in range(count))
    ends = {subtask.work_id: 3.0 + n // 4 for n, subtask in enumerate(subtasks)}
    last = max(ends.values())
    results: list[Told] = [
        (id_, failed("it is not there", seconds=0.5) if n % 100 == 99 else m.Result(seconds=1.0), end)
        for n, (id_, end) in enumerate(ends.items())
    ]
    return [
        ("submitted", m.Submitted(request="A wide one.", plan=m.Plan(subtasks=subtasks)), 0.0),
        ("dispatched.1", m.Dispatched(work=tuple((subtask.work_id, 1) for subtask in subtasks)), 1.0),
        *results,
        ("dispatched.2", m.Dispatched(work=(("synthesis.0", 1),)), last),
        ("synthesis.0", m.Synthesized(report=REPORT, seconds=5.0), last + 5.0),
        ("outcome", m.Outcome(status=m.OutcomeStatus.PARTIAL, reason="parts failed", report=REPORT), last + 5.0),
    ]
