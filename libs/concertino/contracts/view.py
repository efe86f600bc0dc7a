"""A task as people and programs see it: the JSON of ``concertino ask --json`` and ``show --json``. Its names are a contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from concertino.contracts.messages import Finding, Limits, Locator, Report, Result, Settled, Subtask, Usage
from concertino.contracts.state import State
from concertino.contracts.subjects import PLAN, SYNTHESIZE

Status = Literal["running", "answered", "partial", "failed", "cancelled"]


class CitationView(Struct, frozen=True):
    id: str
    source: str
    locator: Locator
    quote: str
    root: str
    """The given source that ``source`` is relative to; empty for a URL, and where there is one source only."""


class PositionView(Struct, frozen=True):
    claim: str
    citations: tuple[str, ...]


class ConflictView(Struct, frozen=True):
    statement: str
    positions: tuple[PositionView, ...]
    resolution: str
    why: str


class ReportView(Struct, frozen=True):
    text: str
    citations: tuple[CitationView, ...]
    conflicts: tuple[ConflictView, ...]
    gaps: tuple[str, ...]
    checked: int
    """Quotes that stand, word for word, in what workers kept as evidence."""
    dropped: int
    """What failed a check and is not used."""
    marked: int
    """Sentences that are marked in the text: a figure or a name in them stands in none of the quotes that they cite."""


class UsageView(Struct, frozen=True):
    """What models took. ``input_tokens`` were read anew; what was written to the provider's cache or read from it is beside."""

    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cache_write_tokens: int
    cache_read_tokens: int
    web_searches: int
    unpriced_calls: int
    """Calls of models without a price: ``cost_usd`` does not contain them."""


class WorkView(Struct, frozen=True):
    """A piece of work that is settled, other than a subtask: a round's planning, or its writing."""

    status: Literal["complete", "partial", "failed"]
    attempts: int
    seconds: float
    """Of the attempt that ended it."""
    error: str
    """Why it failed, or is less than was asked for."""
    model: str
    """Who thought, or ``extractive``."""
    prompt: str
    """The prompts that were used, each with its version."""
    usage: UsageView


class RoundView(Struct, frozen=True):
    why: str
    subtasks: tuple[Subtask, ...]
    planning: WorkView | None
    """None where the caller brought the plan."""
    writing: WorkView | None
    """None until there is a report, or has failed to be one."""


class PlanView(Struct, frozen=True):
    rounds: tuple[RoundView, ...]


class SubtaskView(Struct, frozen=True):
    """``status`` is ``waiting`` (for others), ``queued`` (or running), then the result's, or ``missing`` if none came."""

    id: str
    kind: str
    objective: str
    status: Literal["waiting", "queued", "complete", "partial", "failed", "missing"]
    attempts: int
    findings: tuple[Finding, ...]
    gaps: tuple[str, ...]
    """What was looked for in vain."""
    notes: tuple[str, ...]
    """Such as what could not be read."""
    seconds: float
    """Of the attempt that ended it."""
    error: str
    """Why it failed, or is less than was asked for."""
    model: str
    prompt: str
    usage: UsageView
    earlier: str
    """The task that brought this result, where it was an earlier one; ``usage`` is nothing then, as that one paid."""


class TaskView(Struct, frozen=True):
    """The whole of a task."""

    task: str
    status: Status
    reason: str
    report: ReportView | None
    plan: PlanView
    subtasks: tuple[SubtaskView, ...]
    usage: UsageView
    """All of it, that of attempts in vain included."""
    by_kind: dict[str, UsageView]
    """``usage`` by the kind of worker: ``plan``, ``code``, ..., ``synthesize``."""
    by_model: dict[str, UsageView]
    max_tokens: int | None
    """What it may spend; None: as much as it takes."""
    max_cost: float | None
    """The same in US dollars."""
    limits: Limits | None
    """As its caller set them. None: not known."""
    again: str
    """The task that this one runs again, of which it has results; empty where there is none."""
    redriven: tuple[str, ...]
    """The tasks that run this one again."""

    def to_json(self) -> bytes:
        """Indented JSON, every field present."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def view(state: State) -> TaskView:
    """``state`` for its readers."""
    outcome = state.outcome
    max_tokens, max_cost = budget(state)
    report = outcome.report if outcome else None
    spending = list(_spending(state))
    return TaskView(
        task=state.task,
        status=outcome.status.value if outcome else "running",
        reason=outcome.reason if outcome else "",
        report=_report(report) if report else None,
        plan=PlanView(
            rounds=tuple(
                RoundView(
                    why=round_.plan.why,
                    subtasks=round_.plan.subtasks,
                    planning=_work(state.plans.get(round_.number)) if f"plan.{round_.number}" in state.times else None,
                    writing=_work(round_.synthesis),
                )
                for round_ in state.rounds
            )
        ),
        subtasks=tuple(_subtask(state, subtask) for subtask in state.subtasks),
        usage=usage_view(state.usage),
        by_kind=_summed((kind, usage) for kind, _, usage in spending),
        by_model=_summed((model, usage) for _, model, usage in spending),
        max_tokens=max_tokens,
        max_cost=max_cost,
        limits=state.submitted.limits if state.submitted else None,
        again=state.submitted.again if state.submitted else "",
        redriven=tuple(sorted(state.again)),
    )


def budget(state: State) -> tuple[int | None, float | None]:
    """Tokens and dollars that the task may spend: what its outcome says that applied, before that what its caller asked for."""
    if state.outcome and (state.outcome.max_tokens is not None or state.outcome.max_cost is not None):
        return state.outcome.max_tokens, state.outcome.max_cost
    return (state.submitted.limits.max_tokens, state.submitted.limits.max_cost) if state.submitted else (None, None)


def _spending(state: State) -> Iterator[tuple[str, str, Usage]]:
    """Kind, model and usage of everything that models did for the task, in the order of rounds."""
    kinds = {subtask.work_id: subtask.kind for subtask in state.subtasks}
    settled: list[tuple[str, Settled]] = [(PLAN, plan) for plan in state.plans.values()]
    settled += [(kinds[work], result) for work, result in state.results.items() if work in kinds]
    settled += [(SYNTHESIZE, synthesis) for synthesis in state.syntheses.values()]
    for kind, one in settled:
        yield from ((kind, *spent) for spent in _by_model(one.usage, one.spent, one.model))
    for name, lost in state.lost.items():
        work = name.rpartition(".")[0]
        kind = kinds.get(work) or {"plan": PLAN, "synthesis": SYNTHESIZE}.get(work.partition(".")[0], "?")
        yield from ((kind, *spent) for spent in _by_model(lost.usage, lost.spent, ""))


def _by_model(usage: Usage, spent: Mapping[str, Usage], model: str) -> Iterator[tuple[str, Usage]]:
    """``spent``; where a worker gives the sum alone, that of ``model``."""
    if spent:
        yield from spent.items()
    elif usage != _NOTHING:
        yield model or "?", usage


def _summed(spending: Iterator[tuple[str, Usage]]) -> dict[str, UsageView]:
    found: dict[str, Usage] = {}
    for name, usage in spending:
        found[name] = found[name] + usage if name in found else usage
    return {name: usage_view(usage) for name, usage in found.items()}


def usage_view(usage: Usage) -> UsageView:
    """``usage`` for its readers."""
    return _NO_USAGE if usage == _NOTHING else _usage_view(usage)


def _usage_view(usage: Usage) -> UsageView:
    return UsageView(**{name: getattr(usage, name) for name in UsageView.__struct_fields__})


def _work(settled: Settled | None) -> WorkView | None:
    if settled is None:
        return None
    return WorkView(
        status=settled.status.value,
        attempts=settled.attempts,
        seconds=round(settled.seconds, 3),
        error=settled.error.message if settled.error else "",
        model=settled.model,
        prompt=settled.prompt,
        usage=usage_view(settled.usage),
    )


_NONE = Result()
_NOTHING = Usage()
_NO_USAGE = _usage_view(_NOTHING)


def _report(report: Report) -> ReportView:
    return ReportView(
        text=report.text,
        citations=tuple(CitationView(c.id, c.source, c.locator, c.quote, c.root) for c in report.citations),
        conflicts=tuple(
            ConflictView(c.statement, tuple(PositionView(p.claim, p.citations) for p in c.positions), c.resolution, c.why)
            for c in report.conflicts
        ),
        gaps=report.gaps,
        checked=report.checked,
        dropped=report.dropped,
        marked=report.marked,
    )


def _subtask(state: State, subtask: Subtask) -> SubtaskView:
    result = state.results.get(subtask.work_id)
    done = result or _NONE
    return SubtaskView(
        id=subtask.id,
        kind=subtask.kind,
        objective=subtask.objective,
        status=_status(state, subtask, result),
        attempts=result.attempts if result else state.sent.get(subtask.work_id, 0),
        findings=done.findings,
        gaps=done.gaps,
        notes=done.notes,
        seconds=round(done.seconds, 3),
        error=done.error.message if done.error else "",
        model=done.model,
        prompt=done.prompt,
        usage=usage_view(done.usage),
        earlier=state.submitted.again if state.submitted and subtask.work_id in state.done else "",
    )


def _status(
    state: State, subtask: Subtask, result: Result | None
) -> Literal["waiting", "queued", "complete", "partial", "failed", "missing"]:
    if result:
        return result.status.value
    if state.outcome:
        return "missing"
    return "queued" if subtask.work_id in state.sent else "waiting"
