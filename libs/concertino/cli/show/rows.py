"""A task as rows: one for each piece of work, grouped by round. What the live tree, ``show`` and the tests look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from concertino.cli.show.spending import dollars
from concertino.cli.show.text import clean, one_line, plural
from concertino.contracts.messages import Finding, Progress, Result, Settled, Subtask
from concertino.contracts.state import Round, State
from concertino.contracts.subjects import PLAN
from concertino.contracts.timeline.attempts import SILENT, Attempt, in_vain


class Mark(Enum):
    """The state of a row."""

    WAITING = "waiting"
    """For others to end."""
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    MISSING = "missing"
    """Nothing came of it before the task ended."""


@dataclass(frozen=True)
class Row:
    """``seconds`` since it was queued or, once it has ended, of the attempt that ended it; None: not begun."""

    mark: Mark
    kind: str
    text: str
    note: str = ""
    seconds: float | None = None
    doing: str = ""
    fold: bool = False
    """May be folded into a summary where there is little room."""


@dataclass(frozen=True)
class Group:
    """One round."""

    title: str
    why: str
    rows: tuple[Row, ...]


def groups(state: State, doing: Mapping[str, Progress], now: float) -> tuple[Group, ...]:
    """The rounds of ``state`` at ``now`` (Unix seconds); ``doing`` is the last word of each work id that runs."""
    moment = _Moment(state, doing, _begun(state), _told(state), now)
    found = [moment.group(round_) for round_ in state.rounds]
    number = len(found)
    planning, failed = f"plan.{number}", state.plans.get(number)
    # Only with a plan does a round exist; until then, planning is all that there is to see of it.
    if failed or planning in state.sent or (not found and state.submitted and not state.outcome):
        row = moment.row(PLAN, "splitting the request into parts", planning, failed)
        found.append(Group(f"round {number + 1}", "", (row,)))
    return tuple(found)


def fit(found: Sequence[Group], room: int) -> tuple[Group, ...]:
    """``found`` in at most about ``room`` lines: first without what each is doing, then with the least telling rows folded."""
    if _lines(found) <= room:
        return tuple(found)
    found = [replace(group, rows=tuple(replace(row, doing="") for row in group.rows)) for group in found]
    excess = _lines(found) - room
    if excess <= 0:
        return tuple(found)
    order = (Mark.COMPLETE, Mark.WAITING, Mark.QUEUED, Mark.MISSING, Mark.PARTIAL, Mark.RUNNING, Mark.FAILED)
    candidates = [
        (order.index(row.mark), g, r) for g, group in enumerate(found) for r, row in enumerate(group.rows) if row.fold
    ]
    # A summary takes a line of its own in each group that gives rows away.
    folded = {(g, r) for _, g, r in sorted(candidates)[: excess + len(found)]}
    return tuple(_folded(group, {r for g, r in folded if g == number}) for number, group in enumerate(found))


def _lines(found: Sequence[Group]) -> int:
    return len(found) + sum(1 + bool(row.doing) for group in found for row in group.rows)


def _folded(group: Group, hidden: set[int]) -> Group:
    if not hidden:
        return group
    counts = Counter(group.rows[r].mark for r in hidden)
    summary = ", ".join(f"{count:,} {mark.value}" for mark, count in counts.most_common())
    row = Row(counts.most_common(1)[0][0], "…", f"{len(hidden):,} more: {summary}")
    rows = list(group.rows)
    rows[max(hidden)] = row
    return replace(group, rows=tuple(r for n, r in enumerate(rows) if n not in hidden or n == max(hidden)))


@dataclass(frozen=True)
class _Moment:
    state: State
    doing: Mapping[str, Progress]
    begun: Mapping[str, float]
    told: Mapping[str, Sequence[Attempt]]
    """By work id: the attempts of which the log says something, in order."""
    now: float

    @cached_property
    def settled(self) -> frozenset[str]:
        """Ids of subtasks that have a result."""
        return frozenset(subtask.id for subtask in self.state.subtasks if subtask.work_id in self.state.results)

    @property
    def planned_only(self) -> bool:
        """Nothing of the plan was to be run: that nothing was is no shortcoming."""
        return self.state.submitted is not None and self.state.submitted.until == "plan"

    def group(self, round_: Round) -> Group:
        number, plan = round_.number, round_.plan
        rows: list[Row] = []
        if f"plan.{number}" in self.state.times:  # else the caller brought it
            text = plural(len(plan.subtasks), "subtask")
            rows.append(self.row(PLAN, text, f"plan.{number}", self.state.plans[number]))
        rows += [self.subtask(subtask) for subtask in plan.subtasks]
        writing = f"synthesis.{number}"
        if round_.synthesis or writing in self.state.sent:
            text = "written" if round_.synthesis and round_.synthesis.report else "writing"
            rows.append(self.row("report", text, writing, round_.synthesis))
        return Group(f"round {number + 1}", one_line(plan.why), tuple(rows))

    def subtask(self, subtask: Subtask) -> Row:
        row = self.row(subtask.kind, one_line(subtask.objective), subtask.work_id, self.state.results.get(subtask.work_id))
        if subtask.work_id in self.state.done:
            return replace(row, note=", ".join(filter(None, (row.note, "from an earlier task"))), seconds=None, fold=True)
        needed = [name for name in subtask.depends_on if name not in self.settled]
        if row.mark is Mark.WAITING and needed:
            return replace(row, note=f"after {one_line(', '.join(needed), 24)}", fold=True)
        return replace(row, fold=True)

    def row(self, kind: str, text: str, work: str, settled: Settled | None) -> Row:
        kind = clean(kind)
        if settled:
            return Row(Mark(settled.status.value), kind, text, _note(settled), settled.seconds, _why(settled))
        since = self.begun.get(work)
        if self.state.outcome and not self.planned_only:
            return Row(Mark.MISSING, kind, text, "did not end" if since else "not begun")
        now, told = self.doing.get(work), self.told.get(work, ())
        if told and (now is None or _knows_more(told[-1], now)):
            return self._as_told(kind, text, told, since)
        if now:
            note = f"attempt {now.attempt}" if now.attempt > 1 else ""
            since = now.at if since is None else since
            return Row(Mark.RUNNING, kind, text, note, max(self.now - since, 0.0), one_line(now.doing))
        if since is not None:
            return Row(Mark.QUEUED, kind, text, "", max(self.now - since, 0.0))
        return Row(Mark.WAITING, kind, text)

    def _as_told(self, kind: str, text: str, told: Sequence[Attempt], since: float | None) -> Row:
        """Of work whose worker says nothing, or nothing any more."""
        last = told[-1]
        seconds = max(self.now - (last.began if since is None else since), 0.0)
        if last.ended is not None:
            return Row(Mark.QUEUED, kind, text, "to be tried again", seconds, _in_vain(last.number, last.why))
        if last.number == 1:
            return Row(Mark.RUNNING, kind, text, "", seconds)
        why = told[-2].why if len(told) > 1 else ""
        return Row(Mark.RUNNING, kind, text, f"attempt {last.number}", seconds, _in_vain(last.number - 1, why))


def _note(settled: Settled) -> str:
    parts = []
    if isinstance(settled, Result) and not settled.error:
        parts.append(counted(settled.findings) if settled.findings else "nothing found")
    if settled.attempts > 1:
        parts.append(plural(settled.attempts, "attempt"))
    if settled.usage.cost_usd:
        parts.append(dollars(settled.usage.cost_usd))
    return ", ".join(parts)


def counted(findings: Sequence[Finding]) -> str:
    """``5 findings``; with severities, ``5 findings: 1 critical, 2 high``, the rest being less than that."""
    found = Counter(finding.severity for finding in findings)
    grave = ", ".join(f"{found[severity]:,} {severity}" for severity in ("critical", "high") if found[severity])
    return plural(len(findings), "finding") + (f": {grave}" if grave else "")


def _why(settled: Settled) -> str:
    return one_line(settled.error.message) if settled.error else ""


def _in_vain(number: int, why: str) -> str:
    return f"attempt {number} in vain: {one_line(why or SILENT)}"


def _told(state: State) -> dict[str, list[Attempt]]:
    found = {work: [a for a in known if a.number and not a.hedge] for work, known in in_vain(state).items()}
    return {work: known for work, known in found.items() if known}


def _knows_more(told: Attempt, now: Progress) -> bool:
    """Whether what the log says came after what its worker said last."""
    return told.number > now.attempt or (told.number == now.attempt and told.ended is not None and told.ended >= now.at)


def _begun(state: State) -> dict[str, float]:
    """When each piece of work was first queued."""
    begun: dict[str, float] = {}
    for wave in sorted(state.dispatched):
        for work, _ in state.dispatched[wave].work:
            begun.setdefault(work, state.times[f"dispatched.{wave}"])
    return begun
